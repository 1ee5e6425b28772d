"""An extension field that is deleted is gone from metadata, rows, queries and packages, and refused by name."""

from __future__ import annotations

import pytest

from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm
from deploy.sandbox.kit.firm import WireRefused
from tests.conformance.served import Sandbox

SET, ENTITY, FIELD = "ProjectCategoryEntities", "ProjectCategory", "TLRevenueAccount"
LABEL = "Project categories"


def switch(finance: Sandbox, deleted: dict[str, list[str]]) -> None:
    assert finance.simulator.configure is not None
    finance.simulator.configure({"deleted_fields": deleted})


async def properties(firm: DynamicsFinanceFirm) -> set[str]:
    known = (await firm.ask("GET", "/metadata/PublicEntities"))["value"]
    (name,) = [one["Name"] for one in known if one["EntitySetName"] == SET]
    told = await firm.ask("GET", f"/metadata/PublicEntities('{name}')")
    return {one["Name"] for one in told["Properties"]}


async def accounts(firm: DynamicsFinanceFirm) -> set[str]:
    return {row[FIELD] async for row in firm.rows(SET, "")}


async def test_it_is_gone_from_metadata_rows_queries_and_bodies_and_comes_back(
    finance: Sandbox, firm: DynamicsFinanceFirm
) -> None:
    assert await accounts(firm) == {"40020", "40040"}
    switch(finance, {SET: [FIELD]})
    assert FIELD not in await properties(firm)
    assert "TLProductCodes" in await properties(firm)
    rows = [row async for row in firm.rows(SET, "")]
    assert rows
    assert all(FIELD not in row for row in rows)
    with pytest.raises(WireRefused, match=FIELD):
        await firm.count(SET, f"{FIELD} ne ''")
    key = f"/data/{SET}(dataAreaId='{rows[0]['dataAreaId']}',Category='{rows[0]['Category']}')?cross-company=true"
    with pytest.raises(WireRefused, match=FIELD):
        await firm.ask("PATCH", key, body={FIELD: "1"})
    switch(finance, {})
    assert await accounts(firm) == {"40020", "40040"}
    switch(finance, {SET: [FIELD]})
    finance.simulator.reset()
    assert FIELD in await properties(firm)


async def test_a_package_that_maps_it_fails_by_its_name(finance: Sandbox, firm: DynamicsFinanceFirm) -> None:
    row = {"dataAreaId": "hcde", "Category": "SVC-NEW", "CategoryName": "New", FIELD: "40020"}
    switch(finance, {SET: [FIELD]})
    with pytest.raises(WireRefused, match=FIELD.upper()):
        await firm.import_package({LABEL: [row]}, "hcde")
    del row[FIELD]
    await firm.import_package({LABEL: [row]}, "hcde")
    switch(finance, {})
    assert await accounts(firm) == {"40020", "40040", ""}
