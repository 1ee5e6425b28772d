"""The audit trail: numbered lines, each sealed together with the one before, so that a missing or changed one shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any

import orjson

from shared.gateway.supplies import Line

_UNSEALED = frozenset({"seal", "timestamp", "level", "logger", "tier"})


class AuditTrail:
    """One trail per process: `trail` names it, `number` counts from 1, `seal` is over this line and the seal before.

    Whoever holds a later seal can tell whether an earlier line was changed, taken out or put in.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._trail = token_hex(8)
        self._number = 0
        self._seal = self._trail

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Number and seal the line, and write it."""
        self._number += 1
        at = datetime.now(UTC).isoformat()
        numbered = {**line, "at": at, "trail": self._trail, "number": self._number}
        self._seal = _sealed(self._seal, numbered)
        self._line({**numbered, "seal": self._seal})


def breaks(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where trails are broken, one sentence each; lines of one trail in their order, trails mixed as they come."""
    told: list[str] = []
    last: dict[str, tuple[int, str]] = {}
    for line in lines:
        trail, number = str(line["trail"]), int(line["number"])
        before, seal = last.get(trail, (0, trail))
        if number != before + 1:
            told.append(f"trail {trail}: line {before + 1} is missing before line {number}")
        elif _sealed(seal, {name: value for name, value in line.items() if name not in _UNSEALED}) != line["seal"]:
            told.append(f"trail {trail}: line {number} is not as it was written")
        last[trail] = (number, str(line["seal"]))
    return told


def _sealed(before: str, line: Mapping[str, Any]) -> str:
    said = orjson.dumps(line, default=str, option=orjson.OPT_SORT_KEYS)
    return sha256(before.encode() + said).hexdigest()
