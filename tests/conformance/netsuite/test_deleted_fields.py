"""A custom field that the account's administrator deletes is gone from every answer, and refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from tests.conformance.served import Sandbox

FIELD, ITEM = "custitem_tl_product_codes", "/record/v1/serviceSaleItem/eid:item-SVC-TRAIN"
CATALOG = "/record/v1/metadata-catalog"


def switch(netsuite: Sandbox, deleted: dict[str, list[str]]) -> None:
    assert netsuite.simulator.configure is not None
    netsuite.simulator.configure({"deleted_fields": deleted})


async def told(firm: NetSuiteFirm, record: str) -> dict[str, Any]:
    schema = await firm.ask("GET", f"{CATALOG}/{record}")
    return schema["properties"]


async def asked(firm: NetSuiteFirm, query: str) -> list[dict[str, Any]]:
    answer = await firm.ask("POST", "/query/v1/suiteql", body={"q": query}, headers={"prefer": "transient"})
    return answer["items"]


async def test_it_is_gone_from_catalog_record_query_and_body_and_comes_back(
    netsuite: Sandbox, firm: NetSuiteFirm
) -> None:
    assert (await firm.ask("GET", ITEM))[FIELD] == "MG Special"
    switch(netsuite, {"serviceSaleItem": [FIELD]})
    assert FIELD not in await told(firm, "serviceSaleItem")
    assert FIELD not in await firm.ask("GET", ITEM)
    with pytest.raises(WireRefused, match=FIELD):
        await firm.ask("GET", ITEM, params={"fields": f"itemId,{FIELD}"})
    with pytest.raises(WireRefused, match=FIELD):
        await asked(firm, f"SELECT id, {FIELD} FROM item")
    with pytest.raises(WireRefused, match=FIELD):
        await firm.ask("PATCH", ITEM, body={FIELD: "X"}, headers={"x-netsuite-propertynamevalidation": "error"})
    switch(netsuite, {})
    assert (await firm.ask("GET", ITEM))[FIELD] == "MG Special"
    assert len(await asked(firm, f"SELECT id, {FIELD} FROM item")) == 2


async def test_one_definition_goes_from_every_record_that_has_it(netsuite: Sandbox, firm: NetSuiteFirm) -> None:
    switch(netsuite, {"invoice": ["custbody_tl_reference"], "salesOrder.item": ["custcol_tl_line"]})
    for record in ("invoice", "salesOrder", "creditMemo"):
        properties = await told(firm, record)
        line = properties["item"]["properties"]["items"]["items"]["properties"]
        assert "custbody_tl_reference" not in properties
        assert "custbody_tl_contract" in properties
        assert "custcol_tl_line" not in line
        assert "custcol_tl_workstream" in line
    with pytest.raises(WireRefused, match="custbody_tl_reference"):
        await asked(firm, "SELECT id, custbody_tl_reference FROM transaction")


async def test_a_deleted_field_is_not_demanded(netsuite: Sandbox, firm: NetSuiteFirm) -> None:
    body = {
        "custrecord_tl_rate_card": {"externalId": "RC-DE"},
        "custrecord_tl_rate": 1,
        "custrecord_tl_from": "2026-01-01",
    }
    with pytest.raises(WireRefused, match="custrecord_tl_role"):
        await firm.ask("POST", "/record/v1/customrecord_tl_rate", body=body)
    switch(netsuite, {"customrecord_tl_rate": ["custrecord_tl_role"]})
    await firm.ask("POST", "/record/v1/customrecord_tl_rate", body=body)


async def test_reset_brings_every_field_back(netsuite: Sandbox, firm: NetSuiteFirm) -> None:
    switch(netsuite, {"serviceSaleItem": [FIELD]})
    netsuite.simulator.reset()
    assert FIELD in await told(firm, "serviceSaleItem")
    assert await asked(firm, f"SELECT id, {FIELD} FROM item") == []
