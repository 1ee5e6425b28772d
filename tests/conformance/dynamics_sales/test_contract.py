"""The vendor's published columns against the simulator's answers, our requests, and the vendor's full documents."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import yaml
from starlette.types import Message, Receive, Scope, Send

import deploy.sandbox.dynamics_sales as sandbox_package
from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.session import API
from deploy.sandbox.kit.wire import Wire
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.dynamics_sales.connector import open_connector
from tests.conformance.dynamics_sales.conftest import Place
from tests.conformance.dynamics_sales.environments import ask, binding_for, load_closed
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables

Facts = Mapping[str, Any]
VENDOR_CONTRACTS = "THROUGHLINE_VENDOR_CONTRACTS"
CONTRACT = Path(sandbox_package.__file__).with_name("contract.yaml")
SETS = {
    "account": "accounts",
    "opportunity": "opportunities",
    "opportunityproduct": "opportunityproducts",
    "opportunityclose": "opportunitycloses",
    "product": "products",
    "transactioncurrency": "transactioncurrencies",
}
# Kind → the metadata's word, and what JSON carries it.
KINDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "string": ("String", str),
    "name": ("String", str),
    "email": ("String", str),
    "phone": ("String", str),
    "integer": ("Integer", int),
    "bigInteger": ("BigInt", int),
    "decimal": ("Decimal", (int, float)),
    "currency": ("Money", (int, float)),
    "baseCurrency": ("Money", (int, float)),
    "boolean": ("Boolean", bool),
    "dateTime": ("DateTime", str),
    "entityId": ("Uniqueidentifier", str),
    "guid": ("Uniqueidentifier", str),
    "lookup": ("Lookup", str),
    "listLookup": ("Picklist", int),
    "listLookupCorrelated": ("Status", int),
}
LEVELS = {"none": "None", "required": "ApplicationRequired", "systemrequired": "SystemRequired"}
LEADS_TO = {"currency": "transactioncurrency", "unit": "uom", "pricelist": "pricelevel", "user": "systemuser"}


@cache
def contract() -> Mapping[str, Mapping[str, Facts]]:
    return yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))  # type: ignore[no-any-return] # tables by name


def wire_name(column: str, facts: Facts) -> str:
    return f"_{column}_value" if facts["kind"] == "lookup" else column


@pytest.mark.parametrize("table", sorted(SETS))
async def test_the_simulators_rows_have_the_published_columns_in_the_published_types(place: Place, table: str) -> None:
    rows = (await place.admin.send("GET", SETS[table])).json()["value"]
    assert rows
    for row in rows:
        for column, facts in contract()[table].items():
            name = wire_name(column, facts)
            assert name in row, f"{table}.{name}"
            value = row[name]
            if value is None:
                continue
            assert isinstance(value, KINDS[facts["kind"]][1]), f"{table}.{name}: {value!r}"
            if facts["kind"] != "boolean":
                assert not isinstance(value, bool), f"{table}.{name}"
            if "values" in facts:
                assert value in facts["values"] or value >= 100_000, f"{table}.{name}: {value}"
            if "length" in facts:
                assert len(value) <= facts["length"]


@pytest.mark.parametrize("table", sorted(SETS))
async def test_the_simulators_metadata_says_what_is_published(place: Place, table: str) -> None:
    base = f"EntityDefinitions(LogicalName='{table}')"
    told = {one["LogicalName"]: one for one in (await place.admin.call("GET", f"{base}/Attributes"))["value"]}
    options: dict[str, dict[int, Any]] = {}
    for kind in ("Picklist", "State", "Status"):
        path = f"{base}/Attributes/Microsoft.Dynamics.CRM.{kind}AttributeMetadata"
        for one in (await place.admin.call("GET", path, select="LogicalName", expand="OptionSet"))["value"]:
            listed = one["OptionSet"]["Options"]
            options[one["LogicalName"]] = {option["Value"]: option for option in listed}
    for column, facts in contract()[table].items():
        attribute = told[column]
        kind = "State" if column == "statecode" else KINDS[facts["kind"]][0]
        assert attribute["AttributeType"] in {kind, "Memo" if kind == "String" else kind}, f"{table}.{column}"
        assert attribute["RequiredLevel"]["Value"] == LEVELS[facts["level"]], f"{table}.{column}"
        assert attribute.get("MaxLength") == facts.get("length"), f"{table}.{column}"
        if "to" in facts:
            assert attribute["Targets"] == [LEADS_TO.get(facts["to"], facts["to"])], f"{table}.{column}"
        for value, text in facts.get("values", {}).items():
            label, _, state = str(text).partition("@")
            option = options[column][value]
            assert option["Label"]["UserLocalizedLabel"]["Label"] == label
            assert not state or option["State"] == int(state)


# --- what we ask ---------------------------------------------------------------------------------------------------
@dataclass
class Heard:
    """A request as it was sent."""

    method: str
    path: str
    options: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


@dataclass
class Ear:
    """A wire that keeps what our connector sends."""

    wire: Wire
    heard: list[Heard] = field(default_factory=list[Heard])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = bytearray()

        async def overhear() -> Message:
            message = await receive()
            content.extend(message.get("body", b""))
            return message

        await self.wire(scope, overhear, send)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        if headers.get("user-agent") == "throughline" and API in scope["path"]:
            path = unquote(scope["raw_path"].decode()).partition(f"{API}/")[2]
            options = dict(parse_qsl(scope["query_string"].decode()))
            body = json.loads(content) if content else None
            self.heard.append(Heard(scope["method"], path, options, headers, body))


async def overheard(serve: Serve) -> list[Heard]:
    """Everything the connector asks in a day's work."""
    made = simulator()
    ear = Ear(made.wire)
    sandbox = await serve(replace(made, wire=ear))  # type: ignore[arg-type] # behaves as the wire it wraps
    await load_closed(sandbox.base_url, tables(deals=2))
    assert made.configure
    made.configure({"closed_rows": "writable"})
    shown = InvoiceStatus(
        invoice_ref="1", period="2026-01", stage=InvoiceStage.PAID, gross=Money.of(1, "EUR"), paid=Money.of(1, "EUR")
    )
    for settings in ({}, {"delivery_on": "opportunity"}):
        connector = open_connector(binding_for(sandbox.base_url, **settings))
        await connector.ping()
        for deal in await read_on(connector.list_opportunities, limit=1):
            await connector.find_contract(deal.source.ref)
            status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="p", project_ref="7", message="m")
            await connector.amend_delivery_status(deal.source.ref, status)
            await connector.amend_invoice_status(deal.source.ref, "inv_1", shown)
        await read_on(connector.list_customers)
        await read_on(connector.list_contracts)
        reading = await connector.read_feed(None)
        await connector.read_feed(reading.position)
        hints = await connector.list_changes(None)
        await connector.list_changes(max(hint.occurred_at for hint in hints if hint.occurred_at))
        await connector.aclose()
    return ear.heard


def ours(name: str) -> bool:
    return name.startswith(("thl_", "_thl_"))


# Columns that the published documents generate from groups and inherited attributes, so that they name none of them.
GENERATED = {"modifiedon", "versionnumber", "_ownerid_value"} | {
    f"address1_{part}" for part in ("line1", "line2", "line3", "city", "postalcode", "country")
}


async def test_our_requests_use_published_columns_or_our_own(serve: Serve) -> None:
    """Every column selected, expanded, ordered or filtered by, of every standard table."""
    by_set = {set_name: table for table, set_name in SETS.items()}
    asked: set[str] = set()
    for one in await overheard(serve):
        table = by_set.get(one.path.partition("(")[0])
        if table is None or one.method != "GET":
            continue
        known = {wire_name(column, facts) for column, facts in contract()[table].items()} | GENERATED
        used = set(one.options.get("$select", "").split(","))
        used |= set(re.findall(r"([a-z_]\w+) (?:eq|ne|ge|asc)", one.options.get("$filter", "")))
        used |= {part.split()[0] for part in one.options.get("$orderby", "").split(",") if part}
        for parent, columns in re.findall(r"(\w+)\(\$select=([\w,]+)\)", one.options.get("$expand", "")):
            assert contract()[table][parent]["kind"] == "lookup"
            target = LEADS_TO.get(contract()[table][parent]["to"], contract()[table][parent]["to"])
            assert set(columns.split(",")) <= contract()[target].keys()
        strange = {name for name in used - known - {""} if not ours(name)}
        assert not strange, f"{table}: {strange}"
        asked.add(table)
    assert asked >= {"account", "opportunity", "opportunityproduct", "transactioncurrency"}


async def test_our_requests_keep_to_the_protocol(serve: Serve) -> None:
    heard = await overheard(serve)
    assert {one.method for one in heard} == {"GET", "PATCH"}
    for one in heard:
        assert one.headers["odata-version"] == one.headers["odata-maxversion"] == "4.0"
        assert one.headers["accept"] == "application/json"
        tracked = "track-changes" in one.headers.get("prefer", "")
        if tracked or "$deltatoken" in one.options:
            assert not {"$filter", "$orderby", "$expand", "$top"} & one.options.keys()
        assert len(str(one.options)) < 32_000
        if one.method != "PATCH":
            continue
        assert one.headers["content-type"].startswith("application/json")
        assert one.headers.get("if-match") == ("*" if one.path.startswith("opportunities(") else None)
        for name, value in one.body.items():
            if "@" in name:
                assert name.endswith("@odata.bind")
                assert re.fullmatch(r"/(opportunities|transactioncurrencies)\([0-9a-f-]{36}\)", value)
            else:
                assert ours(name)
    written = {one.path.partition("(")[0]: one.body.keys() for one in heard if one.method == "PATCH"}
    assert "thl_OpportunityId@odata.bind" in written["thl_deliverystatuses"], "spelled as the schema spells it"
    assert "transactioncurrencyid@odata.bind" in written["thl_invoicestatuses"]
    assert "thl_invoiceid" not in written["thl_invoicestatuses"], "the key is in the address"


async def test_what_the_connector_writes_is_what_the_table_takes(serve: Serve) -> None:
    """Types of our own tables' columns, by the environment's metadata."""
    sandbox = await serve(simulator())
    await load_closed(sandbox.base_url, tables())
    deal = (await ask(sandbox.base_url, "opportunities"))[0]["opportunityid"]
    connector = open_connector(binding_for(sandbox.base_url))
    shown = InvoiceStatus(
        invoice_ref="1", period="2026-01", stage=InvoiceStage.PAID, gross=Money.of(1, "EUR"), paid=Money.of(1, "EUR")
    )
    await connector.amend_invoice_status(deal, "inv_1", shown)
    facts = {fact.name: fact for fact in (await connector.describe(["thl_invoicestatus"]))["thl_invoicestatus"]}
    assert str((await ask(sandbox.base_url, "thl_invoicestatuses"))[0]["thl_stage"]) in facts["thl_stage"].values
    assert {facts[name].kind for name in ("thl_gross", "thl_paid")} == {"Money"}
    await connector.aclose()


# --- the full documents --------------------------------------------------------------------------------------------
def published(folder: Path, table: str) -> dict[str, Facts]:
    """Columns of a table as the Common Data Model's document has them."""
    document = json.loads((folder / f"{table}.cdm.json").read_text(encoding="utf-8"))
    found: dict[str, Facts] = {}

    def walk(listed: list[Any]) -> None:
        for one in listed:
            group = one.get("attributeGroupReference") if isinstance(one, dict) else None
            if isinstance(group, dict):
                walk(group["members"])
            elif isinstance(one, dict) and "entity" in one:
                key = one.get("resolutionGuidance", {}).get("entityByReference", {}).get("foreignKeyAttribute", {})
                if key.get("sourceName"):
                    found[key["sourceName"]] = {"kind": "lookup", **_facts(key), "to": _target(one["entity"])}
            elif isinstance(one, dict) and one.get("sourceName"):
                kind = one["dataType"]
                found[one["sourceName"]] = {"kind": kind if isinstance(kind, str) else kind["dataTypeReference"]}
                found[one["sourceName"]] |= _facts(one) | _values(kind)  # type: ignore[operator] # made a line above

    walk(document["definitions"][0]["hasAttributes"])
    return found


def _target(entity: Any) -> str:
    named = entity["entityReference"] if isinstance(entity, dict) else entity
    return named.lower() if isinstance(named, str) else ""


def _facts(attribute: Facts) -> dict[str, Any]:
    levels = [
        trait["arguments"][0]["value"]
        for trait in attribute.get("appliedTraits", [])
        if isinstance(trait, dict) and trait["traitReference"] == "is.requiredAtLevel"
    ]
    length = attribute.get("maximumLength")
    return {"level": levels[0] if levels else None} | ({"length": length} if length else {})


def _values(kind: Any) -> dict[str, Any]:
    if not isinstance(kind, dict):
        return {}
    traits = [one for one in kind.get("appliedTraits", []) if isinstance(one, dict)]
    rows = [
        row
        for trait in traits
        if trait["traitReference"] == "does.haveDefault"
        for row in trait["arguments"][0]["entityReference"]["constantValues"]
        if row[0] == "en"
    ]
    with_state = 5  # a status names the state it belongs to
    named = {int(row[2]): row[1].strip() + (f"@{row[4]}" if len(row) == with_state else "") for row in rows}
    return {"values": named} if named else {}


@pytest.mark.parametrize("table", sorted(SETS))
def test_the_contract_is_a_true_extract_of_the_vendors_documents(table: str) -> None:
    folder = os.environ.get(VENDOR_CONTRACTS)
    if not folder:
        pytest.skip(f"{VENDOR_CONTRACTS} names no folder with the vendors' documents")
    full = published(Path(folder) / "dynamics", table)
    for column, facts in contract()[table].items():
        given = {name: value for name, value in full[column].items() if value is not None}
        assert facts == given, f"{table}.{column}"
