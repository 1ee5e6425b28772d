"""Audit and access log: who did what is written once, in order, and a changed or missing line shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from shared.gateway.policies.audit.trail import AuditTrail, breaks
from tests.unit.gateway.door import Door


def trail(*events: str) -> list[dict[str, Any]]:
    """Lines as they are read back from the log."""
    lines: list[dict[str, Any]] = []

    def keep(line: Mapping[str, Any]) -> None:
        lines.append(orjson.loads(orjson.dumps({"timestamp": "now", "tier": "system", "level": "info", **line})))

    written = AuditTrail(keep)
    for event in events:
        written({"event": event, "status": 201, "subject": None})
    return lines


def test_an_untouched_trail_has_no_breaks_also_among_others() -> None:
    one, other = trail("a", "b", "c"), trail("x", "y")
    assert [line["number"] for line in one] == [1, 2, 3]
    assert breaks([one[0], other[0], one[1], other[1], one[2]]) == []


def test_a_changed_a_missing_and_an_inserted_line_show() -> None:
    lines = trail("a", "b", "c", "d")
    name = lines[0]["trail"]
    changed = [*lines[:1], lines[1] | {"subject": "eve"}, *lines[2:]]
    assert breaks(changed) == [f"trail {name}: line 2 is not as it was written"]
    assert breaks([lines[0], *lines[2:]]) == [f"trail {name}: line 2 is missing before line 3"]
    assert breaks(lines[1:]) == [f"trail {name}: line 1 is missing before line 2"]
    forged = [*lines[:2], lines[1] | {"number": 3}, *lines[2:]]
    assert len(breaks(forged)) == 2


@pytest.fixture
def told(door: Door, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """The lines the tier writes, by log."""
    lines: dict[str, list[dict[str, Any]]] = {"access": [], "audit": []}
    for name, log in (("access", door.app.access), ("audit", door.app.audit)):

        class Kept(list[bytes]):
            def append(self, line: bytes, name: str = name) -> None:
                lines[name].append(orjson.loads(line))

        monkeypatch.setattr(log, "_waiting", Kept())
    return lines


async def test_acts_and_lacking_rights_are_audited_reads_are_not(
    door: Door, told: dict[str, list[dict[str, Any]]]
) -> None:
    token = door.issuer.token(act={"sub": "experience"}, sid="s-1")
    await door.get("/things/v1/things", token=token)
    await door.get("/things/v1/things", token=door.issuer.token(scope="other.read"))
    await door.post("/things/v1/things", token=token, json={"hours": 1}, headers={"idempotency-key": "k"})
    await door.post("/things/v1/things", token=token, json={"hours": 0}, headers={"idempotency-key": "l"})
    read, made, refused = told["audit"]
    assert (read["status"], read["refused_by"]) == (403, "not_permitted")
    assert (made["operation"], made["status"], made["subject"]) == ("POST /things/v1/things", 201, "ada")
    assert (made["actor"], made["session"], made["client_id"], made["tenant"]) == (
        "experience",
        "s-1",
        "desk",
        "harbour",
    )
    assert (refused["status"], refused["refused_by"]) == (422, "invalid_request")
    assert breaks(told["audit"]) == []


async def test_every_request_has_one_access_line_without_secrets(
    door: Door, told: dict[str, list[dict[str, Any]]]
) -> None:
    token = door.issuer.token()
    answer = await door.get("/things/v1/things?limit=3", token=token)
    await door.get("/nowhere", token=None)
    await door.get("/health", token=None)
    first, lost = told["access"]
    assert first["correlation_id"] == answer.headers["x-correlation-id"]
    assert (first["operation"], first["status"], first["client_id"]) == ("GET /things/v1/things", 200, "desk")
    assert first["address"] == "127.0.0.1"
    assert first["ms"] >= 0
    assert token not in str(first)
    assert (lost["path"], lost["status"], lost["refused_by"]) == ("/nowhere", 404, "not_found")
