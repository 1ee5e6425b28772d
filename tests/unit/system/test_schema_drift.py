"""A removed, renamed or newly required field is found before a run fails, and forgotten once it is mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from sqlalchemy import text

from shared.errors.taxonomy import VendorUnavailable
from shared.persistence import Database, upgrade
from system_apis.catalog import Bound, Catalog
from system_apis.fields import FieldMap, load_fields
from system_apis.ports.schema import FieldFacts
from system_apis.schema_drift import DriftKind, drift_findings, kinds_of, kinds_to_keep
from system_apis.schema_watch import SchemaWatch

PLACES: dict[str, Any] = {
    "opportunity": {
        "object": "Deal",
        "fields": {
            "region": "Region__c",
            "delivery_stage": {"path": "Delivery__c", "written": True},
            "model": {"path": "Model__c", "values": {"T": "time", "F": "fixed"}},
        },
    }
}
WHOLE = (
    FieldFacts("Id", "id", is_writable=False),
    FieldFacts("Region__c", "text"),
    FieldFacts("Delivery__c", "text"),
    FieldFacts("Model__c", "picklist", values=("T", "F")),
)


@pytest.fixture
def fields(tmp_path: Path) -> FieldMap:
    (tmp_path / "fields.yaml").write_text(yaml.safe_dump(PLACES), encoding="utf-8")
    return load_fields(tmp_path)


def without(name: str, *more: FieldFacts) -> dict[str, Sequence[FieldFacts]]:
    return {"Deal": (*(fact for fact in WHOLE if fact.name != name), *more)}


BEFORE = kinds_of({"Deal": WHOLE})


@pytest.mark.parametrize(
    ("told", "before", "found"),
    [
        ({"Deal": WHOLE}, BEFORE, []),
        ({}, BEFORE, [("Deal", DriftKind.OBJECT_MISSING)]),
        (without("Region__c"), BEFORE, [("region", DriftKind.FIELD_MISSING)]),
        (without("Region__c", FieldFacts("Sales_Region__c", "text")), BEFORE, [("region", DriftKind.FIELD_RENAMED)]),
        (without("Region__c", FieldFacts("Sales_Region__c", "text")), {}, [("region", DriftKind.FIELD_MISSING)]),
        (without("Region__c", FieldFacts("Region__c", "number")), BEFORE, [("region", DriftKind.TYPE_CHANGED)]),
        (
            without("Delivery__c", FieldFacts("Delivery__c", "text", is_writable=False)),
            BEFORE,
            [("delivery_stage", DriftKind.READ_ONLY)],
        ),
        (
            without("Model__c", FieldFacts("Model__c", "picklist", values=("T", "F", "R"))),
            BEFORE,
            [("model", DriftKind.VALUE_UNMAPPED)],
        ),
        (
            without("", FieldFacts("Cost_Centre__c", "text", is_required=True)),
            BEFORE,
            [("Cost_Centre__c", DriftKind.NEWLY_REQUIRED)],
        ),
    ],
)
def test_each_kind_of_drift_is_found(
    fields: FieldMap, told: Any, before: Mapping[str, Mapping[str, str]], found: list[tuple[str, DriftKind]]
) -> None:
    assert [(one.field, one.kind) for one in drift_findings(fields, told, before)] == found


class Vendor:
    """Tells whatever schema a test gives it."""

    def __init__(self) -> None:
        self.told: Mapping[str, Sequence[FieldFacts]] | None = {"Deal": WHOLE}
        self.asked = 0

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        self.asked += 1
        if self.told is None:
            raise VendorUnavailable("acme cannot be reached.")
        return {name: self.told[name] for name in objects if name in self.told}


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    upgrade(postgres_url, "system_apis")
    made = Database(postgres_url, pool=4, application="test")
    yield made
    await made.aclose()


def watched(database: Database, fields: FieldMap, vendor: Vendor, **how: Any) -> tuple[SchemaWatch, Bound]:
    bound = Bound("harbour", "crm", "acme", cast("Any", vendor), None, fields)
    return SchemaWatch(database, Catalog([bound]), **how), bound


async def test_a_finding_stands_until_it_is_mended(database: Database, fields: FieldMap) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=0)
    assert await watch.check(bound) == ()
    vendor.told = without("Region__c", FieldFacts("Sales_Region__c", "text"))
    await watch.check(bound)
    standing, first_at = await watch.standing(bound)
    assert [(one.finding.field, one.finding.kind) for one in standing] == [("region", DriftKind.FIELD_RENAMED)]
    await watch.check(bound)
    again, later_at = await watch.standing(bound)
    assert again == standing, "the day it was found, and what the field was called, are kept"
    assert first_at
    assert later_at
    assert later_at > first_at
    vendor.told = {"Deal": WHOLE}
    await watch.check(bound)
    assert (await watch.standing(bound))[0] == []


async def test_it_is_checked_at_start_and_again_and_a_vendor_that_is_down_is_asked_again(
    database: Database, fields: FieldMap
) -> None:
    vendor = Vendor()
    vendor.told = None
    watch, bound = watched(database, fields, vendor, every_seconds=0.05)
    watch.start()
    try:
        async with asyncio.timeout(10):
            while vendor.asked < 2:  # noqa: ASYNC110 - the watch tells nobody
                await asyncio.sleep(0.01)
            vendor.told = without("Region__c")
            while not (await watch.standing(bound))[0]:  # noqa: ASYNC110 - the watch tells nobody
                await asyncio.sleep(0.01)
    finally:
        await watch.stop()


async def test_who_must_know_has_it_looked_at_again_once_for_all_and_else_nobody_while_all_fits(
    database: Database, fields: FieldMap
) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=0)
    await watch.check(bound)
    assert (await watch.standing(bound, at_most=0.001))[0] == []
    assert vendor.asked == 1, "nothing stood, nobody was asked"
    vendor.told = without("Region__c")
    assert (await watch.standing(bound, at_most=0))[0], "who wants to know what is so now has it compared"
    assert (await watch.standing(bound, at_most=60))[0]
    assert vendor.asked == 2
    vendor.told = None
    assert (await watch.standing(bound, at_most=0))[0], "a vendor that is away leaves it as it stands"
    vendor.told = {"Deal": WHOLE}
    told = await asyncio.gather(*(watch.standing(bound, at_most=0) for _ in range(5)))
    assert [standing for standing, _ in told] == [[]] * 5
    assert vendor.asked == 4


CHANGED = without("Region__c", FieldFacts("Region__c", "number"))


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"Deal": (*WHOLE, FieldFacts("Note__c", "text"))}, {**BEFORE["Deal"], "Note__c": "text"}),
        (without("Id"), {name: kind for name, kind in BEFORE["Deal"].items() if name != "Id"}),
        (without("Region__c", FieldFacts("Sales_Region__c", "text")), BEFORE["Deal"]),
        (without("Region__c", FieldFacts("Id", "text")), BEFORE["Deal"] | {"Id": "text"}),
        (CHANGED, BEFORE["Deal"]),
        ({"Deal": (*CHANGED["Deal"], FieldFacts("Note__c", "text"))}, {**BEFORE["Deal"], "Note__c": "text"}),
        (without("Model__c", FieldFacts("Model__c", "list", values=("T", "F", "R"))), BEFORE["Deal"]),
    ],
)
def test_a_schema_is_remembered_field_by_field(fields: FieldMap, told: Any, kept: Mapping[str, str]) -> None:
    found = drift_findings(fields, told, BEFORE)
    assert kinds_to_keep(fields, told, BEFORE, found) == {"Deal": kept}


def test_an_object_that_is_gone_is_none_that_is_remembered_anew(fields: FieldMap) -> None:
    assert kinds_to_keep(fields, {}, BEFORE, drift_findings(fields, {}, BEFORE)) == {}


async def age(database: Database, hours: int) -> None:
    async with database.transaction() as connection:
        back = text("UPDATE schema_findings SET found_at = found_at - make_interval(hours => :hours)")
        await connection.execute(back, {"hours": hours})


async def test_a_changed_type_is_told_for_a_day_and_then_accepted(database: Database, fields: FieldMap) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=0)
    await watch.check(bound)
    vendor.told = CHANGED
    for _ in range(2):
        assert [one.kind for one in await watch.check(bound)] == [DriftKind.TYPE_CHANGED]
    await age(database, 23)
    assert await watch.check(bound)
    await age(database, 2)
    for _ in range(2):
        assert await watch.check(bound) == ()
    assert (await watch.standing(bound))[0] == []
    vendor.told = {"Deal": WHOLE}
    assert [one.reason for one in await watch.check(bound)] == ["Deal.Region__c was number and is text now"]


async def test_a_type_that_changes_once_more_is_told_for_another_day(database: Database, fields: FieldMap) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=0)
    await watch.check(bound)
    vendor.told = CHANGED
    await watch.check(bound)
    await age(database, 25)
    vendor.told = without("Region__c", FieldFacts("Region__c", "date"))
    for _ in range(2):
        assert [one.reason for one in await watch.check(bound)] == ["Deal.Region__c was text and is date now"]


async def test_a_rename_is_still_recognised_after_a_value_that_is_not_mapped(
    database: Database, fields: FieldMap
) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=0)
    offered = FieldFacts("Model__c", "picklist", values=("T", "F", "R"))
    vendor.told = without("Model__c", offered)
    assert [one.kind for one in await watch.check(bound)] == [DriftKind.VALUE_UNMAPPED]
    vendor.told = {"Deal": (*without("Region__c")["Deal"], FieldFacts("Sales_Region__c", "text"))}
    for _ in range(3):
        assert [one.kind for one in await watch.check(bound)] == [DriftKind.FIELD_RENAMED]


@pytest.mark.parametrize(
    ("told", "pause"),
    [({"Deal": WHOLE}, 3600.0), (CHANGED, 3600.0), (without("Region__c"), 30.0)],
    ids=["all fits", "a changed type", "a field gone"],
)
async def test_only_what_holds_up_work_is_looked_at_every_half_minute(
    database: Database, fields: FieldMap, monkeypatch: pytest.MonkeyPatch, told: Any, pause: float
) -> None:
    vendor = Vendor()
    watch, bound = watched(database, fields, vendor, every_seconds=3600)
    await watch.check(bound)
    vendor.told = told
    pauses: list[float] = []
    has_paused = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 1:
            has_paused.set()
            await asyncio.Event().wait()

    monkeypatch.setattr("system_apis.schema_watch.asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    watch.start()
    try:
        async with asyncio.timeout(10):
            await has_paused.wait()
    finally:
        await watch.stop()
    assert pauses == [5.0, pause]


def test_rows_that_others_make_need_no_field_of_ours(fields: FieldMap) -> None:
    required = FieldFacts("Stage__c", "text", is_required=True)
    told = {"Deal": [*WHOLE, required]}
    assert [one.kind for one in drift_findings(fields, told, {})] == [DriftKind.NEWLY_REQUIRED]
    fields["opportunity"].amended = True
    assert drift_findings(fields, told, {}) == ()
