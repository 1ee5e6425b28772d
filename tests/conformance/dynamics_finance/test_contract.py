"""`contract.yaml` against the vendor's machine-readable files, and both ends of the wire against `contract.yaml`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from deploy.sandbox.dynamics_finance.schema import ENUMS, SETS, EntitySet, Field
from deploy.sandbox.kit.odata_batch import BatchCall, read_batch
from deploy.sandbox.kit.odata_options import parse_key
from system_apis.connectors.dynamics_finance.connector import open_connector
from system_apis.fields import load_fields
from tests.conformance.dynamics_finance.conftest import bound, environment, people
from tests.conformance.erp_firm import (
    LEGAL_ENTITIES,
    RATE_CARDS,
    SERVICE_ITEMS,
    contract,
    customer,
    draft,
    plan,
    schedule,
)
from tests.conformance.served import Sandbox, Serve, listening

CONNECTOR = Path(__file__).parents[3] / "system_apis" / "connectors" / "dynamics_finance"


def breach(facts: Field, value: Any) -> str | None:
    """What is wrong with a value of that field on the wire."""
    if facts.is_enum:
        return None if value in ENUMS[facts.kind] else f"{value!r} is no {facts.kind}"
    if facts.kind == "text":
        is_good = isinstance(value, str) and (facts.length is None or len(value) <= facts.length)
    elif facts.kind == "date":
        is_good = isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value))
    elif facts.kind in {"int", "long"}:
        is_good = isinstance(value, int) and not isinstance(value, bool)
    else:
        is_good = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return None if is_good else f"{value!r} is no {facts.kind} of {facts.length}"


@dataclass
class Recorder:
    """Stands before the simulator and keeps what was sent and answered, by (method, path)."""

    inner: Any
    sent: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answered: list[tuple[str, str, int, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        chunks: list[bytes] = []
        answer: dict[str, Any] = {"status": 0, "body": b""}

        async def listen() -> Message:
            message = await receive()
            chunks.append(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
            answer["body"] += message.get("body", b"")
            await send(message)

        await self.inner(scope, listen, tell)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = str(scope["path"])
        self.sent.append((scope["method"], path, headers, b"".join(chunks)))
        self.answered.append((scope["method"], path, answer["status"], answer["body"]))


@pytest.fixture
async def recorded(serve: Serve) -> AsyncIterator[Recorder]:
    """A whole firm's way through the connector, with both kinds of document, as it went over the wire."""
    quiet: Sandbox = await serve(environment())
    recorder = Recorder(quiet.simulator.wire)
    async with listening(recorder) as url, httpx.AsyncClient(trust_env=False) as client:
        firm = people(url, client)
        await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
        recorder.sent.clear()
        recorder.answered.clear()
        assert quiet.simulator.configure is not None
        for number, settings in enumerate(({}, {"invoice_by": "project_proposal", "posting": "batch"})):
            quiet.simulator.configure({"project_operations": bool(number), "batch_every": 3 * number})
            connector = open_connector(bound(url, **cast("dict[str, str]", settings)))
            for _ in range(2):
                await connector.amend_customer(customer(), "HC-DE")
                await connector.amend_project(plan())
                await connector.amend_contract(contract())
                await connector.amend_billing_schedule(schedule())
            await connector.create_invoice(draft(f"inv_{number}"))
            await connector.list_service_items()
            await connector.list_rate_cards()
            await connector.list_legal_entities()
            rows = await firm.read_invoices()
            await firm.pay(rows[0].record_id, Decimal("1.00"), date(2026, 11, 5), f"PAY-{number}")
            await connector.list_invoices(modified_since=None, cursor=None, limit=100)
            await connector.list_payments(modified_since=None, cursor=None, limit=100)
            await connector.close_project("prj_acme")
            await connector.aclose()
        yield recorder


def bodies(recorder: Recorder) -> Iterator[tuple[str, EntitySet, Mapping[str, Any]]]:
    """(Method, entity set, body) of every write of the connector, those inside change sets too."""
    for method, path, headers, raw in recorder.sent:
        if headers.get("user-agent") != "throughline" or not raw:
            continue
        if path.endswith("/data/$batch"):
            for part in read_batch(raw, headers["content-type"]):
                for call in [part] if isinstance(part, BatchCall) else part:
                    if call.body:
                        name, _ = parse_key(call.url.partition("/data/")[2].partition("?")[0])
                        yield call.method, SETS[name], json.loads(call.body, parse_float=Decimal)
        elif "/data/" in path and "DataManagement" not in path:
            name, _ = parse_key(path.partition("/data/")[2])
            yield method, SETS[name], json.loads(raw, parse_float=Decimal)


async def test_what_the_connector_sends_is_in_the_contract(recorded: Recorder) -> None:
    seen: set[tuple[str, str]] = set()
    for method, entity, body in bodies(recorded):
        seen.add((method, entity.name))
        for name, value in body.items():
            facts = entity.fields.get(name)
            assert facts, f"{entity.name} has no {name}"
            assert not facts.is_read_only, f"{entity.name}.{name} is not written"
            assert method == "POST" or not facts.is_create_only, f"{entity.name}.{name} is set on create only"
            if value is not None:
                assert breach(facts, value) is None, f"{entity.name}.{name}: {breach(facts, value)}"
        if method == "POST":
            missing = [name for name, facts in entity.fields.items() if facts.is_mandatory and name not in body]
            assert not missing, f"{entity.name} lacks {missing}"
    assert {("POST", "FreeTextInvoiceLines"), ("POST", "ProjectInvoiceProposalOnAccountLines")} <= seen
    assert {("PATCH", "Projects"), ("PATCH", "ProjectsV2"), ("POST", "ProjectContractLines")} <= seen


async def test_what_the_simulator_answers_is_in_the_contract(recorded: Recorder) -> None:
    shown = 0
    for method, path, status, raw in recorded.answered:
        segment = path.partition("/data/")[2]
        if method not in {"GET", "POST"} or status not in {200, 201} or segment.partition("(")[0] not in SETS:
            continue
        entity = SETS[segment.partition("(")[0]]
        document = json.loads(raw, parse_float=Decimal)
        for row in document.get("value", [document]):
            shown += 1
            assert row["@odata.etag"].startswith('W/"')
            for name, value in row.items():
                if not name.startswith("@"):
                    wrong = breach(entity.fields[name], value)
                    assert wrong is None, f"{entity.name}.{name}: {wrong}"
    assert shown > 100


def test_every_field_of_the_mapping_is_in_the_contract() -> None:
    for entity, places in load_fields(CONNECTOR).items():
        known = SETS[places.object].fields
        for name, place in places.places.items():
            assert place.path in known, f"{entity}.{name}"
            assert place.custom == known[place.path].is_own, (
                f"{entity}.{name} is {'own' if place.custom else 'standard'}"
            )
            assert not (place.written and known[place.path].is_read_only), f"{entity}.{name}"


# --- the vendor's own files ----------------------------------------------------------------------------------------
@pytest.fixture
def vendor_files() -> Path:
    folder = os.environ.get("THROUGHLINE_VENDOR_CONTRACTS")
    if not folder:
        pytest.skip("THROUGHLINE_VENDOR_CONTRACTS names no folder with the vendor's files")
    return Path(folder) / "d365-finance"


_TYPES = {
    "integer/int32": {"int"},
    "integer/int64": {"long"},
    "number/decimal": {"decimal"},
    "string/": {"text", "date"},
}


def test_the_contract_agrees_with_the_openapi_files(vendor_files: Path) -> None:
    compared = 0
    for entity in SETS.values():
        if not entity.origin.startswith("ballerina"):
            continue
        document = json.loads((vendor_files / f"{entity.origin}.openapi.json").read_text(encoding="utf-8"))
        schemas = document["components"]["schemas"]
        known = schemas[entity.entity]["properties"]
        addressed = next(path for path in document["paths"] if path.startswith(f"/{entity.name}("))
        keys = re.findall(r"(\w+)=\{", addressed)
        assert keys == list(entity.keys) or len(entity.keys) == 1, entity.name
        for name, facts in entity.fields.items():
            if facts.is_own:
                assert name not in known
                continue
            compared += 1
            assert name in known, f"{entity.name}.{name}"
            told = known[name]
            if "allOf" in told:
                assert facts.is_enum, f"{entity.name}.{name}"
                members = schemas[told["allOf"][0]["$ref"].rpartition("/")[2]]["enum"]
                assert set(ENUMS[facts.kind]) <= set(members), f"{facts.kind}: {members}"
            else:
                kinds = _TYPES[f"{told['type']}/{told.get('format', '')}"]
                assert facts.kind in kinds, f"{entity.name}.{name}: {facts.kind} is none of {kinds}"
    assert compared > 80


def _attributes(node: Any) -> Iterator[str]:
    for one in node:
        if isinstance(one, str):
            yield one
        elif "attributeGroupReference" in one and isinstance(one["attributeGroupReference"], dict):
            yield from _attributes(one["attributeGroupReference"].get("members", []))
        elif "name" in one:
            yield str(one["name"])


def test_the_contract_agrees_with_the_common_data_model(vendor_files: Path) -> None:
    compared = 0
    for entity in SETS.values():
        file = vendor_files / "cdm" / f"{entity.table}.cdm.json"
        if not entity.table or not file.exists():
            continue
        document = json.loads(file.read_text(encoding="utf-8"))
        known = {name for one in document["definitions"] for name in _attributes(one.get("hasAttributes", []))}
        for name, facts in entity.fields.items():
            if facts.is_own or name == "dataAreaId" or (entity.name, name) in NEWER:
                continue
            compared += 1
            assert name in known, f"{entity.name}.{name} is not in {file.name}"
    assert compared > 120


NEWER = {("FreeTextInvoiceLines", "OverrideSalesTax")}  # younger than the published schema; seen in $metadata
