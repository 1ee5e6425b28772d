"""A custom field that the mapping needs is deleted in the CRM: operations hear of it, the deal waits, and goes on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.supervisor import House
from process_apis.systems.fresh import SECONDS
from tests.durability.auditor import COUNTED
from tests.durability.shift import Shift
from tests.factories.little_deals import LittleDeal, joined

READ = ("Contract", "Rate_Card__c", "systems.crm.contract.rate_card_code")
"""Read while the deal is checked: the CRM refuses who asks for it."""
WRITTEN = ("Invoice_Status__c", "Period__c", "systems.crm.invoice_status.period")
"""Written when the deal is billed: only the comparison of mapping and schema can know before anything is created."""


@pytest.fixture(scope="module")
def house() -> Generator[House]:
    with tempfile.TemporaryDirectory(prefix="throughline-drift-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with House(Places(Path(folder)), Ports.free()) as house:
            yield house


@pytest.fixture
async def shift(house: House) -> AsyncGenerator[Shift]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        shift = Shift(house, http)
        await shift.open_books()
        yield shift
        await shift.switch("salesforce", {"deleted_fields": {}})


@pytest.mark.parametrize(
    ("name", "place", "is_known_before"), [("SD-READ", READ, False), ("SD-WRITTEN", WRITTEN, True)]
)
async def test_a_deal_won_while_a_mapped_field_is_gone_waits_for_operations_and_goes_on_once_it_is_back(
    shift: Shift, name: str, place: tuple[str, str, str], *, is_known_before: bool
) -> None:
    deal, (sobject, field, where) = LittleDeal(name), place
    tables = joined([deal])
    await shift.vendors.crm.load(tables)
    await shift.until("all that was loaded is read", lambda: is_read(shift))
    assert await drift(shift) == []
    before = await made(shift)
    await shift.switch("salesforce", {"deleted_fields": {sobject: [field]}})
    if is_known_before:
        assert await drift(shift) == [(where.split(".")[-1], "field_missing", f"{sobject} has no field {field}")]
    await asyncio.sleep(SECONDS)  # what a process knows of the systems may be so old
    await shift.vendors.crm.close(tables["opportunities"])
    item = await parked(shift)
    told = [(one["code"], one["field"], one["owner"]) for one in item["notes"]]
    assert told == [("schema_drift", where, "operations")]
    assert f"{sobject} has no field {field}" in item["notes"][0]["reason"]
    assert await drift(shift) == [(where.split(".")[-1], "field_missing", f"{sobject} has no field {field}")]
    assert await made(shift) == before, "nothing was created in PSA and ERP"

    await shift.switch("salesforce", {"deleted_fields": {}})
    assert await drift(shift) == []
    await asyncio.sleep(SECONDS)
    await shift.desk.paul.post(f"/pmo/v1/exceptions/{item['id']}/retry", {"note": "The field is back."})
    await shift.until_active(deal)
    assert await shift.desk.parked() == []
    assert (await made(shift)) != before


async def is_read(shift: Shift) -> bool:
    return await shift.desk.unread_hints() == 0


async def drift(shift: Shift) -> list[tuple[str, str, str]]:
    """What `/connectors` tells who wants to know how it is now: canonical field, kind, reason."""
    page = await shift.desk.operator._call("GET", "/connectors/v1/connectors", headers={"Cache-Control": "no-cache"})
    return [(one["field"], one["kind"], one["reason"]) for item in page["items"] for one in item["drift"]]


async def made(shift: Shift) -> dict[str, int]:
    """What stands in PSA and ERP."""
    counted = await shift.auditor.count()
    return {kind: number for kind, number in counted.items() if kind.split()[0] in COUNTED.keys() - {"salesforce"}}


async def parked(shift: Shift) -> dict[str, Any]:
    """The only deal that waits for a person."""

    async def is_parked() -> bool:
        return bool(await shift.desk.parked())

    await shift.until("the deal waits for a person", is_parked)
    (card,) = await shift.desk.parked()
    return await shift.desk.paul.get(f"/pmo/v1/exceptions/{card['id']}")
