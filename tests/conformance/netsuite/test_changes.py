"""Where a list of changes starts, told in the account's own wall time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from system_apis.connectors.netsuite.changes import since_clause

LOS_ANGELES = ZoneInfo("America/Los_Angeles")  # clocks go back on 2026-11-01 at 09:00 UTC: 01:00-02:00 comes twice


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (datetime(2026, 11, 1, 7, 59, tzinfo=UTC), "2026-11-01 00:59:00"),
        (datetime(2026, 11, 1, 8, 50, tzinfo=UTC), "2026-11-01 00:49:00"),
        (datetime(2026, 11, 1, 9, 5, tzinfo=UTC), "2026-11-01 00:04:00"),
        (datetime(2026, 11, 1, 10, 0, tzinfo=UTC), "2026-11-01 02:00:00"),
        (datetime(2026, 3, 8, 10, 1, tzinfo=UTC), "2026-03-08 03:01:00"),
        (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), "2026-07-01 05:00:00"),
    ],
)
def test_only_from_within_the_hour_that_comes_twice_all_of_it_is_asked(since: datetime, told: str) -> None:
    assert since_clause("modified", since, LOS_ANGELES) == f"modified >= TO_DATE('{told}', 'YYYY-MM-DD HH24:MI:SS')"


def test_a_zone_without_daylight_saving_is_asked_to_the_second() -> None:
    assert "'2026-11-01 08:50:00'" in since_clause("m", datetime(2026, 11, 1, 8, 50, tzinfo=UTC), ZoneInfo("UTC"))


def test_without_an_instant_everything_is_asked() -> None:
    assert since_clause("modified", None, LOS_ANGELES) == "modified IS NOT NULL"
