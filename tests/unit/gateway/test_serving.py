"""Serving: readiness, probes, lines of the log, instants."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from shared.errors.taxonomy import VendorUnavailable
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.serving.app import build_app
from shared.serving.health import Check
from shared.serving.lines import LineLog
from shared.serving.parameters import Instant
from tests.unit.gateway.door import Issuer, Things, documents, routes, settings


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_tier_is_ready_when_all_it_depends_on_is(is_up: bool) -> None:
    async def bus() -> Check:
        return Check("bus", ok=True)

    async def database() -> Check:
        if not is_up:
            raise VendorUnavailable("The database is unavailable.", detail="password=hunter2")
        return Check("database", ok=True)

    app = build_app(
        tier="system",
        title="Things",
        routers=[routes(Things())],
        settings=settings(),
        gateway=documents(),
        keys=Issuer().keys,
        idempotency=MemoryIdempotencyStore(),
        readiness=[bus, database],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tier.test") as client:
        answer = await client.get("/ready")
    assert answer.status_code == (200 if is_up else 503)
    assert answer.json()["ready"] is is_up
    assert [check["ok"] for check in answer.json()["checks"]] == [True, is_up]
    assert "hunter2" not in answer.text


async def test_lines_are_written_together_and_none_is_lost() -> None:
    stream = io.StringIO()
    log = LineLog("system", "access", stream)
    for number in range(3):
        log({"event": "request", "number": number, "at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert not stream.getvalue()
    log.flush()
    log.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert {line["tier"] for line in lines} == {"system"}


@pytest.mark.parametrize("given", ["0.5", "1700000000", "2026-10-01", "2026-10-01T00:00:00", "yesterday"])
def test_an_instant_carries_its_time_zone_and_is_no_number(given: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(given)


@pytest.mark.parametrize("given", ["2026-10-01T00:00:00Z", "2026-10-01t02:00:00.5+02:00"])
def test_an_instant_is_read_as_rfc_3339_writes_it(given: str) -> None:
    assert TypeAdapter(Instant).validate_python(given).astimezone(UTC).date().isoformat() == "2026-10-01"
