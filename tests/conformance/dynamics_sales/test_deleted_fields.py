"""A column that a customizer deletes is gone from metadata, rows, queries and bodies, and refused by name."""

from __future__ import annotations

import pytest

from deploy.sandbox.kit.firm import WireRefused
from tests.conformance.dynamics_sales.conftest import Place

DEFINITION = "EntityDefinitions(LogicalName='thl_contract')"


async def columns(place: Place) -> set[str]:
    told = await place.admin.call("GET", f"{DEFINITION}/Attributes?$select=LogicalName")
    expanded = await place.admin.call("GET", f"{DEFINITION}?$expand=Attributes($select=LogicalName)")
    listed = {one["LogicalName"] for one in told["value"]}
    assert listed == {one["LogicalName"] for one in expanded["Attributes"]}
    return listed


async def test_it_is_gone_from_metadata_rows_queries_and_bodies_and_comes_back(place: Place) -> None:
    (row,) = (await place.admin.call("GET", "thl_contracts"))["value"]
    assert row["thl_capamount"] is not None
    address = f"thl_contracts({row['thl_contractid']})"
    place.switch(deleted_fields={"thl_contract": ["thl_capamount"]})
    assert not {"thl_capamount", "thl_capamount_base"} & await columns(place)
    assert b"thl_capamount" not in (await place.admin.send("GET", "$metadata")).content
    (shown,) = (await place.admin.call("GET", "thl_contracts"))["value"]
    assert not {"thl_capamount", "thl_capamount_base"} & shown.keys()
    for path in ("thl_contracts?$select=thl_capamount", "thl_contracts?$filter=thl_capamount gt 1"):
        with pytest.raises(WireRefused, match="thl_capamount"):
            await place.admin.call("GET", path)
    with pytest.raises(WireRefused, match="thl_capamount"):
        await place.amend(address, thl_capamount=1)
    await place.amend(address, thl_ponumber="PO-9")
    place.switch(deleted_fields={})
    again = await place.admin.call("GET", address)
    assert (again["thl_capamount"], again["thl_ponumber"]) == (row["thl_capamount"], "PO-9")
    assert "thl_capamount" in await columns(place)


async def test_a_lookup_goes_with_its_way_in_both_directions(place: Place) -> None:
    lookup = "thl_opportunityid"
    place.switch(deleted_fields={"thl_contract": [lookup]})
    assert lookup not in await columns(place)
    ways = await place.admin.call("GET", f"{DEFINITION}/ManyToOneRelationships")
    assert lookup not in {one["ReferencingAttribute"] for one in ways["value"]}
    with pytest.raises(WireRefused, match="thl_OpportunityId"):
        await place.admin.call("GET", "thl_contracts?$expand=thl_OpportunityId")
    with pytest.raises(WireRefused, match="_thl_opportunityid_value"):
        await place.admin.call("GET", f"thl_contracts?$filter=_thl_opportunityid_value eq {place.deal}")


async def test_a_row_made_meanwhile_has_the_default_in_it_and_reset_brings_every_column_back(place: Place) -> None:
    place.switch(deleted_fields={"account": ["thl_porequired"]})
    await place.admin.call("POST", "accounts", {"name": "New", "accountnumber": "NEW"})
    place.switch(deleted_fields={})
    new = await place.admin.call("GET", "accounts(accountnumber='NEW')")
    assert new["thl_porequired"] is False
    place.switch(deleted_fields={"thl_contract": ["thl_capamount"]})
    place.sandbox.simulator.reset()
    assert "thl_capamount" in await columns(place)


@pytest.mark.parametrize("column", ["thl_reference", "thl_name", "thl_contractid", "createdon", "thl_capamount_base"])
async def test_keys_names_and_the_products_own_columns_stay(place: Place, column: str) -> None:
    with pytest.raises(ValueError, match=f"no custom field {column}"):
        place.switch(deleted_fields={"thl_contract": [column]})
    assert column in await columns(place)
