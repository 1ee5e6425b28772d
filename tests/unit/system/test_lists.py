"""Parameters of the lists: cursors, instants, limits; and what a wrong one is told, with real connectors behind."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.system.tier import Tier, opened

LISTS = (
    "/crm/v1/opportunities",
    "/crm/v1/customers",
    "/crm/v1/contracts",
    "/psa/v1/time-entries",
    "/psa/v1/expenses",
    "/psa/v1/milestones",
    "/erp/v1/invoices",
    "/erp/v1/payments",
)


def packed(state: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


STAMPED = {"began": "x", "asked": None, "since": None, "low": None, "skip": 0, "anchor": None, "reached": None}
CURSORS = (
    "garbage",
    "a",
    "====",
    "..",
    packed([]),
    packed({}),
    packed({"at": "soon", "ref": "'", "id": "1"}),
    packed({"at": 7, "id": "x", **STAMPED}),
    packed({"at": "2026-10-01T00:00:00Z", "id": "1; DROP", **STAMPED, "began": "2026-10-01T00:00:00Z", "skip": -1}),
)


@pytest.fixture
async def tier(tmp_path: Path, postgres_url: str) -> AsyncIterator[Tier]:
    async with opened(tmp_path, postgres_url) as tier:
        await tier.vendors["harbour"].load(7)
        yield tier


async def test_a_cursor_nobody_gave_out_is_refused_naming_it(tier: Tier) -> None:
    wrong: list[str] = []
    for path in (*LISTS, "/intake/v1/failed-hints"):
        for cursor in CURSORS:
            answer = await tier.ask("GET", path, params={"cursor": cursor})
            fields = [one["field"].removeprefix("query.") for one in answer.json().get("errors", ())]
            if (answer.status_code, fields) != (422, ["cursor"]):
                wrong.append(f"{path} {cursor}: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("instant", "status"),
    [
        ("2026-10-01T00:00:00Z", 200),
        ("2026-10-01t02:00:00.123456+02:00", 200),
        ("0001-01-01T00:00:00+14:00", 200),
        ("9999-12-31T23:59:59-12:00", 200),
        ("2026-10-01T00:00:00", 422),
        ("2026-10-01", 422),
        ("1759276800", 422),
        ("2026-13-01T00:00:00Z", 422),
        ("yesterday", 422),
        ("", 422),
    ],
)
async def test_an_instant_must_say_which_one_it_is(tier: Tier, instant: str, status: int) -> None:
    for path in LISTS:
        answer = await tier.ask("GET", path, params={"modified_since": instant})
        assert answer.status_code == status, (path, answer.text)
        if status != 200:
            assert [one["field"] for one in answer.json()["errors"]] == ["query.modified_since"]


async def test_limits_are_bounded(tier: Tier) -> None:
    for limit in ("0", "-1", "1001", "many", "1.5"):
        for path in LISTS:
            answer = await tier.ask("GET", path, params={"limit": limit})
            assert answer.status_code == 422, (path, answer.text)
            assert [one["field"] for one in answer.json()["errors"]] == ["query.limit"]


async def test_a_list_is_read_on_to_its_end(tier: Tier) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await tier.get("/crm/v1/opportunities", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [one["reference"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == [f"D{number:04d}" for number in range(7)]


async def test_who_bills_has_prices_read_from_the_erp_and_others_say_how_old_they_may_be(tier: Tier) -> None:
    async def asked(**headers: str) -> tuple[str, int]:
        calls = tier.vendors["harbour"].erp.simulator.wire.calls
        before = sum(calls.values())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await tier.ask("GET", "/erp/v1/rate-cards", headers=named)
        assert answer.status_code == 200, answer.text
        return answer.headers["age"], sum(calls.values()) - before

    assert (await asked())[1] > 0
    assert await asked() == ("0", 0)
    assert await asked(cache_control="max-age=30, only-if-cached") == ("0", 0)
    assert (await asked(cache_control="no-cache"))[1] > 0
    assert (await asked(cache_control="Max-Age=0"))[1] > 0
