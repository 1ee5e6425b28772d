"""A segment that the customer deletes is gone from every answer, and the connector misses it by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import system_apis.connectors.oracle_fusion as package
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from shared.errors.taxonomy import VendorDrift
from system_apis.connectors.oracle_fusion.client import FusionClient
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector
from system_apis.manifest import load_manifest
from tests.conformance.erp_firm import contract, customer, plan, schedule
from tests.conformance.oracle_fusion.pods import binding
from tests.conformance.served import Sandbox

LOOKUP, DFF = "standardLookups/THROUGHLINE_SERVICE_ITEM/child/lookupCodes", "lookupCodesDFF"
OBJECT, FIELD = f"standardLookups.lookupCodes.{DFF}", "revenueAccount"


def switch(fusion: Sandbox, deleted: dict[str, list[str]]) -> None:
    assert fusion.simulator.configure is not None
    fusion.simulator.configure({"deleted_fields": deleted})


async def segments(firm: OracleFusionFirm) -> list[dict[str, Any]]:
    return [row[DFF]["items"][0] for row in await firm.rows(LOOKUP, expand=DFF)]


async def described(firm: OracleFusionFirm) -> set[str]:
    shape = (await firm.ask("GET", "standardLookups/describe"))["Resources"]["standardLookups"]
    flexfield = shape["children"]["lookupCodes"]["children"][DFF]
    return {attribute["name"] for attribute in flexfield["attributes"]}


async def test_it_is_gone_from_describe_items_and_bodies_and_comes_back(
    fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    before = [row[FIELD] for row in await segments(firm)]
    assert set(before) == {"40020", "40040"}
    switch(fusion, {OBJECT: [FIELD]})
    assert FIELD not in await described(firm)
    assert "itemCode" in await described(firm)
    assert all(FIELD not in row for row in await segments(firm))
    with pytest.raises(WireRefused, match=FIELD):
        await firm.rows(LOOKUP, fields=f"Meaning;{DFF}:{FIELD}")
    path = f"{LOOKUP}/{(await firm.rows(LOOKUP))[0]['LookupCode']}"
    with pytest.raises(WireRefused, match=FIELD):
        await firm.ask("PATCH", path, body={DFF: [{FIELD: "1"}]})
    switch(fusion, {})
    assert [row[FIELD] for row in await segments(firm)] == before
    switch(fusion, {OBJECT: [FIELD]})
    fusion.simulator.reset()
    assert FIELD in await described(firm)


EMPTY = schedule().model_copy(update={"entries": ()})


@pytest.mark.parametrize(
    ("called", "segment", "read"),
    [
        (OBJECT, FIELD, lambda connector: connector.list_service_items()),
        ("projects.ProjectDFF", "throughlineContract", lambda connector: connector.find_project("prj_acme")),
        (
            "contracts.ContractHeaderFlexfieldVA",
            "throughlineSchedule",
            lambda connector: connector.find_billing_schedule(EMPTY.id),
        ),
    ],
)
@pytest.mark.usefixtures("firm")
async def test_a_segment_that_is_gone_is_missed_by_name(
    fusion: Sandbox,
    connector: OracleFusionConnector,
    called: str,
    segment: str,
    read: Callable[[OracleFusionConnector], Awaitable[object]],
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())
    await connector.amend_billing_schedule(EMPTY)
    assert await read(connector)
    switch(fusion, {called: [segment]})
    with pytest.raises(VendorDrift, match=segment):
        await read(connector)


async def test_a_row_of_another_context_has_none_of_our_segments() -> None:
    given = binding("http://127.0.0.1:9", flex_context="Throughline")
    manifest = load_manifest(Path(package.__file__).parent)
    paths = ["TransactionNumber", "receivablesInvoiceDFF.throughlinePeriod"]
    theirs = {"receivablesInvoiceDFF": {"__FLEX_Context": "Retail", "store": "7"}}
    ours = {"receivablesInvoiceDFF": {"__FLEX_Context": "Throughline"}}
    client = FusionClient(given, manifest)
    try:
        assert client.whole(theirs, paths)["receivablesInvoiceDFF"]["throughlinePeriod"] is None
        assert client.whole(ours, paths) == ours, "what is gone there is missed"
        assert client.whole({"receivablesInvoiceDFF": None}, paths) == {"receivablesInvoiceDFF": None}
    finally:
        await client.aclose()
