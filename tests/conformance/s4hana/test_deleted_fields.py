"""A custom field that a key user takes out of an API is gone from every answer of it, and refused by name."""

from __future__ import annotations

import httpx
import pytest

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.s4hana.firm import S4Firm
from tests.conformance.s4hana.test_wire import ODATA, Caller
from tests.conformance.served import Sandbox

PRODUCTS, OBJECT, FIELD = "API_PRODUCT_SRV/A_Product", "A_Product", "YY1_TLRevenueAccount_PRD"


@pytest.fixture
async def caller(s4hana: Sandbox, http: httpx.AsyncClient) -> Caller:
    caller = Caller(s4hana.base_url, http)
    await caller.fetch()
    return caller


def switch(s4hana: Sandbox, deleted: dict[str, list[str]]) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"deleted_fields": deleted})


async def metadata(caller: Caller, service: str) -> str:
    return (await caller.send("GET", f"{ODATA}/{service}/$metadata")).text


async def test_it_is_gone_from_metadata_rows_filters_and_bodies_and_comes_back(
    s4hana: Sandbox, firm: S4Firm, caller: Caller
) -> None:
    before = {row["Product"]: row[FIELD] for row in await firm.rows(PRODUCTS)}
    assert set(before.values()) == {"40020", "40040"}
    switch(s4hana, {OBJECT: [FIELD]})
    assert FIELD not in await metadata(caller, "API_PRODUCT_SRV")
    rows = await firm.rows(PRODUCTS)
    assert all(FIELD not in row and "YY1_TLProductCodes_PRD" in row for row in rows)
    with pytest.raises(WireRefused, match=FIELD):
        await firm.rows(PRODUCTS, where=f"{FIELD} ne ''")
    asked = await caller.send("GET", f"{ODATA}/{PRODUCTS}?$select=Product,{FIELD}")
    assert (asked.status_code, FIELD in asked.text) == (400, True)
    with pytest.raises(WireRefused, match=FIELD):
        await firm.ask("PATCH", f"{PRODUCTS}('SVC-TRAIN')", body={FIELD: "1"}, version=rows[0]["__metadata"]["etag"])
    switch(s4hana, {})
    assert {row["Product"]: row[FIELD] for row in await firm.rows(PRODUCTS)} == before
    switch(s4hana, {OBJECT: [FIELD]})
    s4hana.simulator.reset()
    await caller.fetch()
    assert FIELD in await metadata(caller, "API_PRODUCT_SRV")


async def test_a_row_made_meanwhile_has_nothing_in_it(s4hana: Sandbox, firm: S4Firm) -> None:
    assert await firm.rows(PRODUCTS, where=f"{FIELD} eq '40020'"), "the field is indexed now"
    switch(s4hana, {OBJECT: [FIELD]})
    item = {"product_code": "New", "item_code": "SVC-NEW", "name": "New", "revenue_account": "40050"}
    with pytest.raises(WireRefused, match=FIELD):
        await firm.load([], [item], [])
    await firm.ask("POST", PRODUCTS, body={"Product": "SVC-NEW", "ProductType": "SERV", "BaseUnit": "H"})
    switch(s4hana, {})
    assert [row[FIELD] for row in await firm.rows(PRODUCTS, where="Product eq 'SVC-NEW'")] == [""]


async def test_fields_of_custom_objects_and_added_ones_can_be_deleted_but_none_of_saps(
    s4hana: Sandbox, caller: Caller
) -> None:
    configure = s4hana.simulator.configure
    assert configure is not None
    configure({"custom_fields": {OBJECT: {"YY1_SoldAs_PRD": "String(80)"}}})
    switch(s4hana, {OBJECT: ["YY1_SoldAs_PRD"], "YY1_TLRATE": ["Role"]})
    assert "YY1_SoldAs_PRD" not in await metadata(caller, "API_PRODUCT_SRV")
    assert 'Name="Role"' not in await metadata(caller, "YY1_TLRATE_CDS")
    for deleted in ({"YY1_TLRATE": ["SAP_UUID"]}, {OBJECT: ["Product"]}, {"A_Nothing": ["YY1_X"]}):
        with pytest.raises(ValueError, match="has no custom field"):
            switch(s4hana, deleted)
    assert 'Name="Role"' not in await metadata(caller, "YY1_TLRATE_CDS"), "what is refused changes nothing"
