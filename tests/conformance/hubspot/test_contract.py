"""What the connector sends and the simulator answers fits `contract.yaml`, and that fits the machine-readable files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.associations import Associations
from deploy.sandbox.hubspot.kinds import standard_kinds
from deploy.sandbox.hubspot.session import HubspotSession
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.kit.wire import Wire
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from system_apis.connectors.hubspot.connector import open_connector
from tests.conformance.hubspot.contract import Recorder, complaints, contract, misfits, operation
from tests.conformance.hubspot.portals import binding_for, firm_wire, load, people_wire
from tests.conformance.port_rules import INVOICE
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables

WHERE = "THROUGHLINE_VENDOR_CONTRACTS"
_NOT_IN_THE_CONTRACT = "/crm-object-schemas/"


async def _all_the_port_does(base_url: str, deal: str, **settings: str) -> None:
    connector = open_connector(binding_for(base_url, **settings))
    try:
        await connector.ping()
        assert await read_on(connector.list_opportunities)
        assert await read_on(connector.list_customers)
        assert await read_on(connector.list_contracts)
        assert await connector.list_changes(datetime.now(UTC) - timedelta(hours=1))
        assert (await connector.get_opportunity(deal)).is_won
        assert await connector.find_contract(deal)
        await connector.amend_delivery_status(deal, DeliveryStatus(stage=DeliveryStage.IN_REVIEW))
        await connector.amend_invoice_status(deal, "inv_1", INVOICE)
        await connector.describe(["deals", "tl_contract"])
    finally:
        await connector.aclose()


async def _people_at_work(wire: HubspotSession, deal: str) -> None:
    """Calls that neither the connector nor the loader makes."""
    found = await wire.call("GET", f"/crm/v3/objects/deals/{deal}", associations="companies,line_items")
    assert found["associations"]["line items"]
    await wire.call("GET", f"/crm/v4/objects/deals/{deal}/associations/line_items", limit="1")
    company = (await wire.call("POST", "/crm/v3/objects/companies", {"properties": {"name": "New"}}))["id"]
    spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 341}]
    await wire.call("PUT", f"/crm/v4/objects/deals/{deal}/associations/companies/{company}", spec)
    await wire.call("DELETE", f"/crm/v3/objects/companies/{company}")
    two = {"inputs": [{"properties": {"name": "One"}}, {"properties": {"name": "Two"}}]}
    made = await wire.call("POST", "/crm/v3/objects/companies/batch/create", two)
    named = {"inputs": [{"id": made["results"][0]["id"], "properties": {"name": "Uno"}}]}
    await wire.call("POST", "/crm/v3/objects/companies/batch/update", named)
    gone = {"inputs": [{"id": company}], "properties": ["name"], "propertiesWithHistory": []}
    answer = await wire.call("POST", "/crm/v3/objects/companies/batch/read", gone, mixed=True)
    assert answer["numErrors"] == 1
    await wire.call("GET", "/crm/v3/owners/", limit="1")
    await wire.call("GET", "/crm/v3/owners/11")
    label = {"label": "Billing", "name": "billing"}
    await wire.call("POST", "/crm/v4/associations/deals/companies/labels", label)
    assert len((await wire.call("GET", "/crm/v4/associations/deals/companies/labels"))["results"]) == 3
    stages = [{"label": "Only", "displayOrder": 0, "metadata": {"probability": "0.5"}}]
    pipeline = {"label": "Services", "displayOrder": 1, "stages": stages}
    made = await wire.call("POST", "/crm/v3/pipelines/deals", pipeline)
    path = f"/crm/v3/pipelines/deals/{made['id']}/stages/{made['stages'][0]['id']}"
    await wire.call("PATCH", path, {"label": "Still only"})
    await wire.call("GET", "/crm/v3/properties/deals/amount")
    prop = {"name": "tl_region", "label": "x", "groupName": "g", "type": "string", "fieldType": "text"}
    with pytest.raises(WireRefused, match="409"):
        await wire.call("POST", "/crm/v3/properties/deals", prop)


@pytest.mark.parametrize("version", ["v3", "2026-03"])
async def test_every_call_and_answer_fits_the_contract(serve: Serve, version: str) -> None:
    made = simulator()
    recorder = Recorder(made.wire)
    box = await serve(replace(made, wire=cast("Wire", recorder)))
    deal = await load(box.base_url, tables(deals=3))
    await _all_the_port_does(box.base_url, deal, api_version=version)
    async with firm_wire(box.base_url) as firm, people_wire(box.base_url) as wire:
        assert await firm.read_invoice_statuses()
        await _people_at_work(wire, deal)
    heard = [one for one in recorder.heard if not one["path"].startswith(_NOT_IN_THE_CONTRACT)]
    assert len(heard) > 60
    answered = [one for one in heard if one["status"] < 400]
    assert len(heard) - len(answered) == 1  # the property that is there already
    assert [said for one in answered for said in complaints(one)] == []


def test_the_contract_notices_what_does_not_fit() -> None:
    found = operation("POST", "/crm/objects/2026-03/deals/batch/read")
    assert found is not None
    part, facts = found
    told = list(misfits(part, facts["takes"], {"inputs": [{"id": 7}], "properties": "amount", "more": 1}))
    assert told == [
        "body.propertiesWithHistory is missing",
        "body.inputs[0].id is 7 where str is said",
        "body.properties is no list",
        "body.more is not in BatchReadInputSimplePublicObjectId",
    ]
    wrong: dict[str, Any] = {
        "results": [],
        "status": "DONE",
        "startedAt": "2026-01-01T00:00:00Z",
        "completedAt": "2026-01-01T00:00:00Z",
    }
    assert list(misfits(part, facts["gives"][200], wrong)) == [
        "body.status is 'DONE', none of PENDING|PROCESSING|CANCELED|COMPLETE"
    ]


def test_the_simulator_has_the_standard_properties_and_association_types() -> None:
    kinds = standard_kinds()
    for name, wanted in contract()["standard_properties"].items():
        assert set(wanted) <= kinds[name].properties.keys()
    held = {(s, t, one.type_id) for (s, t), types in Associations().types.items() for one in types}
    assert {tuple(one) for one in contract()["association_types"]} <= held


def _machine_readable(name: str) -> Any:
    folder = Path(os.environ[WHERE])
    folder = folder / "hubspot" if (folder / "hubspot").is_dir() else folder
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _type(told: dict[str, Any], *, is_required: bool) -> str:
    values = told.get("enum")
    return told["type"] + ("!" if is_required else "") + (" " + "|".join(values) if values else "")


@pytest.mark.skipif(WHERE not in os.environ, reason=f"{WHERE} names no folder with the vendors' contracts")
def test_the_contract_says_what_the_machine_readable_files_say() -> None:
    parts = [name for name, facts in contract().items() if isinstance(facts, dict) and "operations" in facts]
    for part in parts:
        whole = _machine_readable(f"{part}.contract.json")
        operations = {f"{one['method']} {one['path']}": one for one in whole["operations"]}
        for named, facts in contract()[part]["operations"].items():
            told = operations[named]
            assert facts.get("query", []) == told.get("query_params", []), named
            assert facts.get("takes") == told.get("request_model"), named
            assert {str(k): v for k, v in facts["gives"].items() if v} == told["responses"], named
        for model, members in contract()[part]["models"].items():
            told = whole["models"][model]
            said = {n: _type(facts, is_required=n in told["required"]) for n, facts in told["properties"].items()}
            assert members == said, model
    properties = _machine_readable("object-properties.json")
    for kind, names in contract()["standard_properties"].items():
        known = {*properties[kind]["confirmed"], properties[kind]["modifiedProperty"], "hs_object_id"}
        assert set(names) <= known, kind
    listed = _machine_readable("association-type-ids.json")["types"]
    types = [[one["from"], one["to"], one["typeId"]] for one in listed]
    assert [one for one in contract()["association_types"] if one not in types] == []
