"""`contract.yaml` against what goes over the wire, and against the vendor's own facts where they are at hand."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from deploy.sandbox.oracle_fusion.schema import CONTEXT, RESOURCES, Attribute, Resource, nested
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.oracle_fusion.pods import Heard, listen
from tests.conformance.served import Sandbox

_PATH = re.compile(r"^/(?:fscm|crm)RestApi/resources/11\.13\.18\.05/(?P<rest>.*)$")
_ENVELOPE = {"items", "count", "hasMore", "limit", "offset", "totalResults", "links"}
# Oracle's page spells what we found under another name, or names a thing beneath its SOAP twin.
_ELSEWHERE = {
    "contracts.PartyName", "contracts.OrgName", "contracts.Currency", "contracts.BillToAccountId",
    "contracts.BillToSiteUseId", "contracts.ContractLine.BillPlanId", "contracts.ContractLine.RevenuePlanId",
    "contracts.AssociatedProject.ProjectId",
}  # fmt: skip


async def exercised(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> tuple[list[Heard], list[Heard]]:
    """The whole job once; what the connector said, and what finance said."""
    recorder = listen(fusion)
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())
    await connector.amend_billing_schedule(schedule())
    await connector.amend_project(plan().model_copy(update={"name": "Renamed"}))
    await connector.amend_contract(contract().model_copy(update={"purchase_order": "PO-8"}))
    await connector.amend_billing_schedule(schedule(entries=1))
    invoice = await connector.create_invoice(draft())
    await firm.pay(invoice.source.ref, Decimal("10.00"), date(2026, 11, 5), "PAY-1")
    await connector.list_payments(modified_since=None, cursor=None, limit=10)
    await connector.list_invoices(modified_since=None, cursor=None, limit=10)
    await connector.list_legal_entities()
    await connector.list_service_items()
    await connector.list_rate_cards()
    await connector.close_project("prj_acme")
    ours = [one for one in recorder.heard if one.headers.get("user-agent") == "throughline"]
    theirs = [one for one in recorder.heard if one.headers.get("user-agent") != "throughline"]
    return ours, theirs


def resource_of(path: str) -> Resource | None:
    """What an address is about; None for actions, describes and batches."""
    match = _PATH.match(path)
    parts = [part for part in (match["rest"].split("/") if match else []) if part]
    if not parts or parts[-1] == "describe" or "action" in parts:
        return None
    resource = RESOURCES[parts[0]]
    for child in parts[3::3]:
        resource = resource.children[child]
    return resource


def misfits(resource: Resource, row: Mapping[str, Any], *, is_answer: bool, is_whole: bool = False) -> Iterator[str]:
    """Where a row departs from the contract."""
    for name, value in row.items():
        if name == "links" and is_answer:
            continue
        if child := resource.children.get(name):
            rows = value["items"] if isinstance(value, dict) else value
            for below in rows:
                yield from misfits(child, below, is_answer=is_answer, is_whole=is_whole)
        elif (attribute := resource.attributes.get(name)) is None:
            yield f"{resource.name}.{name}: not in the contract"
        elif reason := misfit(attribute, value, is_answer=is_answer):
            yield f"{resource.name}.{name}: {reason}"
    if is_whole and not is_answer:
        demanded = {name for name, attribute in resource.attributes.items() if attribute.is_required}
        for name in sorted(demanded - row.keys()):
            yield f"{resource.name}.{name}: is demanded"


def misfit(attribute: Attribute, value: Any, *, is_answer: bool) -> str:
    if attribute.is_read_only and not is_answer:
        return "is read only"
    if value is None:
        return ""
    kinds: Mapping[str, tuple[type, ...]] = {
        "string": (str,), "date": (str,), "datetime": (str,), "int": (int,), "number": (int, Decimal),
        "boolean": (bool,),
    }  # fmt: skip
    if not isinstance(value, kinds[attribute.kind]) or (isinstance(value, bool) and attribute.kind != "boolean"):
        return f"{value!r} is no {attribute.kind}"
    if attribute.kind == "date":
        date.fromisoformat(value)
    if attribute.kind == "datetime":
        datetime.fromisoformat(value)
    if attribute.length is not None and len(str(value)) > attribute.length:
        return f"is longer than {attribute.length}"
    return ""


async def test_what_the_connector_sends_fits_the_contract(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    ours, _ = await exercised(connector, firm, fusion)
    found: list[str] = []
    written: set[str] = set()
    for one in ours:
        if one.method not in {"POST", "PATCH"} or not isinstance(one.body, dict):
            continue
        parts = one.body.get("parts") if one.path.rstrip("/").endswith("11.13.18.05") else None
        for part in parts or [{"path": one.path, "payload": one.body, "operation": one.method}]:
            path = one.path if parts is None else f"{one.path.rstrip('/')}{part['path']}"
            resource = resource_of(path)
            if resource is None or "payload" not in part:
                continue
            written.add(resource.name)
            is_whole = part["operation"] in {"POST", "create"}
            found += misfits(resource, part["payload"], is_answer=False, is_whole=is_whole)
    assert not found
    assert written >= {"hubOrganizations", "projects", "contracts", "projectBillingEvents", "receivablesInvoices"}


async def test_what_the_simulator_answers_fits_the_contract(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    ours, theirs = await exercised(connector, firm, fusion)
    found: list[str] = []
    answered: set[str] = set()
    for one in (*ours, *theirs):
        resource = resource_of(one.path)
        if resource is None or not isinstance(one.answer, dict) or one.status >= 400:
            continue
        answered.add(resource.name)
        is_page = "items" in one.answer
        if is_page:
            assert one.answer.keys() <= _ENVELOPE
        for row in one.answer["items"] if is_page else [one.answer]:
            found += misfits(resource, row, is_answer=True)
    assert not found
    assert answered >= {"receivablesInvoices", "standardReceipts", "projects", "lookupCodes", "Rates"}


async def test_describe_tells_the_contract(connector: OracleFusionConnector, firm: OracleFusionFirm) -> None:
    del firm
    for name, resource in RESOURCES.items():
        told = await connector.describe([path for path, _ in nested(resource)])
        for path, inner in nested(resource):
            facts = {one.name: one for one in told[path]}
            for attribute in inner.attributes.values():
                assert facts[attribute.name].is_required == attribute.is_required, f"{name}: {path}"
                assert facts[attribute.name].is_writable != attribute.is_read_only
    assert await connector.describe(["nonsense", "projects.Nonsense"]) == {}


def test_every_flexfield_segment_of_ours_is_marked_as_such() -> None:
    for resource in RESOURCES.values():
        for path, inner in nested(resource):
            own = {name for name, attribute in inner.attributes.items() if attribute.mark == "own"}
            segments = set(inner.attributes) - {CONTEXT} if inner.is_flex else set[str]()
            assert segments <= own, path


@pytest.mark.skipif(
    not os.environ.get("THROUGHLINE_VENDOR_CONTRACTS"), reason="THROUGHLINE_VENDOR_CONTRACTS names no folder"
)
def test_the_contract_agrees_with_the_vendors_pages() -> None:
    file = Path(os.environ["THROUGHLINE_VENDOR_CONTRACTS"]) / "oracle-fusion" / "resource-fields.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["basePath"] == "/fscmRestApi/resources/11.13.18.05"
    kinds = {"string": "string", "date": "date", "datetime": "datetime", "number": "number", "int": "int",
             "int64": "int", "boolean": "boolean"}  # fmt: skip
    compared = 0
    for name, facts in document["resources"].items():
        if name not in RESOURCES:
            continue
        places = [(RESOURCES[name], facts.get("fields", {}))]
        children = facts.get("children", {})
        if isinstance(children, dict):
            places += [
                (RESOURCES[name].children[child], fields)
                for child, fields in children.items()
                if child in RESOURCES[name].children
            ]
        for resource, fields in places:
            for field, words in fields.items():
                attribute = resource.attributes.get(field)
                if attribute is None:
                    continue
                _, kind, *rest = words.split()
                assert attribute.kind == kinds[kind], f"{resource.name}.{field}"
                is_ours_to_know = attribute.mark == "P"  # seen in reads only: what can be written is not told there
                assert attribute.is_read_only == ("ro" in rest) or is_ours_to_know, f"{resource.name}.{field}"
                compared += 1
    assert compared >= 50
    soap = document["resources"]["contracts"]["fieldsSeenInSoapTwin"]
    unknown = {field for field in soap if "." not in field} - RESOURCES["contracts"].attributes.keys()
    assert {f"contracts.{field}" for field in unknown} <= _ELSEWHERE
