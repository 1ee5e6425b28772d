"""The contract file against the vendor's published files, and both sides of the wire against the contract."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from starlette.types import Message, Receive, Scope, Send

from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.metadata import edmx
from deploy.sandbox.s4hana.schema import EntitySet, Property, Service, entity_sets, load_services
from deploy.sandbox.s4hana.values import Unreadable, read
from system_apis.connectors.s4hana.connector import S4Connector
from system_apis.connectors.s4hana.metadata import SERVICE_OF, read_metadata
from system_apis.fields import load_fields
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.served import Sandbox

FOLDER = Path(load_fields.__code__.co_filename).parent / "connectors" / "s4hana"
EDM = "{http://schemas.microsoft.com/ado/2008/09/edm}"
SAP = "{http://www.sap.com/Protocols/SAPData}"
SERVICES = load_services()
SETS = entity_sets(SERVICES.values())
CAPABILITIES = ("creatable", "updatable", "deletable")


async def whole_job(connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())
    await connector.amend_billing_schedule(schedule())
    await connector.create_invoice(draft(amounts=("361.50", "0.07", "12.00")))
    await connector.amend_customer(customer(name="Acme, renamed"), "HC-JP")
    await connector.amend_project(plan(milestones=3))
    await connector.amend_contract(contract(amounts=("1.00", "2.00")))


# --- answers -------------------------------------------------------------------------------------------------------
def unfitting(entity: EntitySet, row: Mapping[str, Any], *, is_whole: bool) -> Iterator[str]:
    """What of a row told in version 2 is not as the contract says."""
    if is_whole and (missing := entity.properties.keys() - row.keys()):
        yield f"{entity.name} lacks {min(missing)}"
    for name, value in row.items():
        if name == "__metadata":
            if value["type"].rpartition(".")[2] != entity.type_name:
                yield f"{entity.name} is told as {value['type']}"
        elif way := entity.children.get(name):
            node: Any = value
            for child in [] if node is None or "__deferred" in node else node.get("results", [node]):
                yield from unfitting(SETS[way.target], child, is_whole=True)
        elif (prop := entity.properties.get(name)) is None:
            yield f"{entity.name} has no {name}"
        elif value is not None:
            try:
                read(prop, value, 2)
            except Unreadable as error:
                yield str(error)


async def test_what_the_simulator_answers_is_as_the_contract_says(connector: S4Connector, firm: S4Firm) -> None:
    await whole_job(connector)
    seen: set[str] = set()
    for service in SERVICES.values():
        if service.version != 2:
            continue
        for entity in service.sets.values():
            expand = ",".join(entity.children)
            path = f"{service.path.rpartition('/')[2]}/{entity.name}"
            for row in await firm.rows(f"{path}?$expand={expand}" if expand else path):
                seen.add(entity.name)
                assert not list(unfitting(entity, row, is_whole=True))
    assert seen >= set(SERVICE_OF)


def test_what_the_simulator_says_of_itself_is_the_contract() -> None:
    for service in SERVICES.values():
        if service.version != 2:
            continue
        told = read_metadata(edmx(service).encode())
        assert told.keys() == service.sets.keys()
        for name, facts in told.items():
            assert [one.name for one in facts] == list(service.sets[name].properties)


# --- requests ------------------------------------------------------------------------------------------------------
class Recorder:
    """Stands before the simulator and keeps what is sent."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.sent: list[tuple[str, str, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body.extend(message.get("body", b""))
            more = message.get("more_body", False)
        self.sent.append((scope["method"], scope["path"].removeprefix(scope.get("root_path", "")), bytes(body)))

        async def again() -> Message:
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, again, send)


@pytest.fixture
async def recorder(s4hana: Sandbox, firm: S4Firm) -> AsyncIterator[Recorder]:
    del firm
    wire: Any = s4hana.simulator.wire
    kept = wire._app
    wire._app = Recorder(kept)
    yield wire._app
    wire._app = kept


def written(entity: EntitySet, body: Mapping[str, Any], *, creates: bool) -> Iterator[str]:
    """What of a body may not be written, or does not fit."""
    for name, value in body.items():
        if way := entity.children.get(name):
            assert creates, f"{entity.name}: {name} stands in a change"
            for child in value.get("results", [value]):
                yield from written(SETS[way.target], child, creates=True)
            continue
        prop = entity.properties.get(name)
        if prop is None:
            yield f"{entity.name} has no {name}"
        elif not (prop.creatable if creates else prop.updatable) or (not creates and name in entity.key):
            yield f"{entity.name}.{name} is not to be written"
        else:
            try:
                read(prop, value, 2)
            except Unreadable as error:
                yield str(error)


async def test_what_the_connector_sends_is_as_the_contract_says(recorder: Recorder, connector: S4Connector) -> None:
    await whole_job(connector)
    checked: set[str] = set()
    for method, path, body in recorder.sent:
        for verb, target, content in _calls(method, path, body):
            entity = _target(target)
            if entity is None or verb not in {"POST", "PATCH"}:
                continue
            checked.add(f"{verb} {entity.name}")
            assert not list(written(entity, json.loads(content), creates=verb == "POST")), target
    assert {
        "POST A_BusinessPartner",
        "POST A_SalesOrder",
        "POST A_DebitMemoRequest",
        "POST A_EnterpriseProject",
    } <= checked
    assert {
        "PATCH A_BusinessPartner",
        "PATCH A_SalesOrderItemPrElement",
        "POST A_SlsOrderItemBillingPlanItem",
    } <= checked


def _calls(method: str, path: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
    if not path.endswith("/$batch"):
        yield method, path, body
        return
    service = path.removesuffix("/$batch")
    for block in body.split(b"Content-Type: application/http")[1:]:
        head, _, rest = block.partition(b" HTTP/1.1")
        verb, _, target = head.strip().rpartition(b"\n")[2].partition(b" ")
        content = rest.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
        yield verb.decode(), f"{service}/{target.decode()}", content


def _target(path: str) -> EntitySet | None:
    last = path.rpartition("/")[2]
    name = last.partition("(")[0]
    if name.startswith("to_"):
        parent = path.rpartition("/")[0].rpartition("/")[2].partition("(")[0]
        return SETS[SETS[parent].children[name].target]
    return SETS.get(name)


# --- the published files -------------------------------------------------------------------------------------------
@pytest.fixture
def published() -> Path:
    folder = os.environ.get("THROUGHLINE_VENDOR_CONTRACTS")
    if not folder:
        pytest.skip("THROUGHLINE_VENDOR_CONTRACTS names no folder with the vendors' published files")
    return Path(folder) / "sap-s4hana"


def _spec(prop: Property) -> tuple[object, ...]:
    length = prop.length if prop.kind in {"String", "Decimal"} else None
    return (prop.kind, length, prop.scale or 0, prop.nullable, prop.creatable, prop.updatable)


def _edmx(service: Service, folder: Path) -> Iterator[str]:
    root = ET.parse(folder / str(service.source)).getroot()  # noqa: S314 - files that we keep ourselves
    types = {kind.get("Name"): kind for kind in root.iter(f"{EDM}EntityType")}
    sets = {entity.get("Name"): entity for entity in root.iter(f"{EDM}EntitySet")}
    for name, ours in service.sets.items():
        entity, kind = sets[name], types[ours.type_name]
        assert entity.get("EntityType") == f"{service.namespace}.{ours.type_name}"
        if {what for what in CAPABILITIES if entity.get(f"{SAP}{what}") == "false"} != ours.denied:
            yield f"{name}: other capabilities"
        if tuple(ref.get("Name") for ref in kind.iter(f"{EDM}PropertyRef")) != ours.key:
            yield f"{name}: another key"
        if missing := ours.children.keys() - {way.get("Name") for way in kind.findall(f"{EDM}NavigationProperty")}:
            yield f"{name}: no way {min(missing)}"
        props = {prop.get("Name"): prop for prop in kind.findall(f"{EDM}Property")}
        for prop in ours.properties.values():
            if prop.is_custom:
                continue
            there = props.get(prop.name)
            if (
                there is None
                or _spec(prop) != _told(there)
                or prop.filterable != (there.get(f"{SAP}filterable") != "false")
            ):
                yield f"{name}.{prop.name}: {_spec(prop)} is published as {None if there is None else _told(there)}"
    functions = {one.get("Name"): one for one in root.iter(f"{EDM}FunctionImport")}
    for name, function in service.functions.items():
        names = [one.get("Name") for one in functions[name].findall(f"{EDM}Parameter")]
        if names != list(function.parameters):
            yield f"{name}: other parameters"


def _told(prop: ET.Element) -> tuple[object, ...]:
    kind = (prop.get("Type") or "").removeprefix("Edm.")
    length = {"String": prop.get("MaxLength"), "Decimal": prop.get("Precision")}.get(kind)
    return (
        kind,
        int(length) if length else None,
        int(prop.get("Scale") or 0) if kind == "Decimal" else 0,
        prop.get("Nullable") != "false",
        prop.get(f"{SAP}creatable") != "false",
        prop.get(f"{SAP}updatable") != "false",
    )


def _openapi(service: Service, folder: Path) -> Iterator[str]:
    document = json.loads((folder / str(service.source)).read_text(encoding="utf-8"))
    schemas, paths = document["components"]["schemas"], document["paths"]
    for name, ours in service.sets.items():
        told, made, changed = (schemas[f"{prefix}{name}"]["properties"] for prefix in ("", "Create", "Update"))
        if ("post" in paths[f"/{name}"]) != ("creatable" not in ours.denied):
            yield f"{name}: other capabilities"
        for way in ours.children:
            if way not in told:
                yield f"{name}: no way {way}"
        for prop in ours.properties.values():
            if prop.is_custom:
                continue
            there = told.get(prop.name)
            if there is None:
                yield f"{name}.{prop.name} is not published"
                continue
            length = there.get("maxLength") if prop.kind == "String" else there.get("x-sap-precision")
            length = length if prop.kind in {"String", "Decimal"} else None
            published = (
                length,
                there.get("x-sap-scale", 0),
                bool(there.get("nullable")),
                prop.name in made,
                prop.name in changed,
            )
            if published != _spec(prop)[1:]:
                yield f"{name}.{prop.name}: {_spec(prop)} is published as {published}"


def test_the_contract_is_what_the_vendor_has_published(published: Path) -> None:
    compared = 0
    wrong: list[str] = []
    for service in SERVICES.values():
        if service.source:
            compared += 1
            wrong += list((_openapi if service.source.endswith(".json") else _edmx)(service, published))
    assert compared == 5
    assert not wrong


def test_every_field_is_in_the_contract() -> None:
    for entity, fields in load_fields(FOLDER).items():
        known = SETS[fields.object].properties
        assert not [path for path in fields.paths() if path not in known], entity
