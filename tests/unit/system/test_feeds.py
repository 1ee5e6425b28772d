"""Feeds are read on from the position that was kept after the hints; nothing is skipped when a process dies between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from sqlalchemy import text

from shared.errors.taxonomy import VendorUnavailable
from shared.persistence import Database, upgrade
from system_apis.catalog import Bound, Catalog
from system_apis.fields import load_fields
from system_apis.intake import Intake
from system_apis.intake_store import IntakeStore
from system_apis.ports.changes import ChangeHint, FeedReading


class Feed:
    """A vendor that numbers its changes and may forget the old ones."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.oldest = 0
        self.asked: list[str | None] = []
        self.is_down = False

    async def list_changes(self, since: Any) -> list[ChangeHint]:
        raise AssertionError(f"a vendor with a feed is asked by its feed, not since {since}")

    async def read_feed(self, position: str | None) -> FeedReading:
        self.asked.append(position)
        if self.is_down:
            raise VendorUnavailable("acme cannot be reached.")
        is_lost = position is not None and int(position) < self.oldest
        start = 0 if position is None or is_lost else int(position)
        hints = [ChangeHint("opportunity", ref, f"{ref}@{at}") for at, ref in enumerate(self.changes)][start:]
        return FeedReading(hints, str(len(self.changes)), was_reset=is_lost)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    upgrade(postgres_url, "system_apis")
    made = Database(postgres_url, pool=4, application="test")
    yield made
    await made.aclose()


def opened(database: Database, feed: Feed, folder: Path) -> tuple[Intake, Bound]:
    places = {"opportunity": {"object": "Deal", "fields": {"name": "Name"}}}
    (folder / "fields.yaml").write_text(yaml.safe_dump(places), encoding="utf-8")
    bound = Bound("harbour", "crm", "acme", cast("Any", feed), None, load_fields(folder))
    return Intake(database, Catalog([bound]), poll_seconds=0), bound


async def test_a_feed_is_read_on_by_whichever_process_comes_next(database: Database, tmp_path: Path) -> None:
    feed = Feed()
    feed.changes = ["A", "B"]
    intake, bound = opened(database, feed, tmp_path)
    assert await intake.poll(bound) == 2
    feed.changes += ["A"]
    after_restart, bound = opened(database, feed, tmp_path)
    assert await after_restart.poll(bound) == 1
    assert feed.asked == [None, "2"]
    assert await after_restart.polled_at(bound) is not None


async def test_hints_whose_position_was_not_kept_come_again_and_count_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed()
    feed.changes = ["A"]
    intake, bound = opened(database, feed, tmp_path)

    async def dies(*_: Any, **__: Any) -> None:
        raise VendorUnavailable("the process died here")

    with monkeypatch.context() as broken:
        broken.setattr(IntakeStore, "keep_position", dies)
        with pytest.raises(VendorUnavailable):
            await intake.poll(bound)
    assert (await intake.counts(bound))["pending"] == 1
    assert await intake.poll(bound) == 0
    assert feed.asked == [None, None]
    assert (await intake.counts(bound))["pending"] == 1


async def test_a_position_the_vendor_forgot_is_a_full_scan_that_is_counted(database: Database, tmp_path: Path) -> None:
    feed = Feed()
    feed.changes = ["A", "B"]
    intake, bound = opened(database, feed, tmp_path)
    await intake.poll(bound)
    feed.changes += ["C"]
    feed.oldest = 3
    assert await intake.poll(bound) == 1, "what was told before is known by its key"
    async with database.transaction() as connection:
        found = (await connection.execute(text("SELECT position, resets FROM feed_positions"))).one()
    assert tuple(found) == ("3", 1)


async def test_a_vendor_that_is_down_keeps_its_position_and_is_said_to_fail(database: Database, tmp_path: Path) -> None:
    feed = Feed()
    intake, bound = opened(database, feed, tmp_path)
    await intake.poll(bound)
    feed.is_down = True
    (report,) = await intake.poll_all("harbour")
    assert report.trouble is not None
    assert intake.trouble(bound) is report.trouble
    feed.is_down = False
    await intake.poll_all("harbour")
    assert intake.trouble(bound) is None
    assert feed.asked[-2:] == ["0", "0"]
