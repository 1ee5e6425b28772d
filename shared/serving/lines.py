"""Log lines of the hot path: collected as dictionaries, written in batches; never a reason to wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_PAUSE_SECONDS = 0.1
_MOST_WAITING = 512


class LineLog:
    """JSON lines on standard error, many per write."""

    def __init__(self, tier: str, logger: str, stream: TextIO | None = None) -> None:
        self._facts = {"level": "info", "logger": logger, "tier": tier}
        self._stream = stream
        self._waiting: list[bytes] = []
        self._is_due = False

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take a line; it is written within a tenth of a second."""
        told = orjson.dumps({"timestamp": datetime.now(UTC), **self._facts, **line}, default=str)
        self._waiting.append(told + b"\n")  # a copy of its own size: kept as it is made it would hold a kilobyte each
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        self._is_due = False
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            stream = self._stream or sys.stderr
            stream.write(b"".join(waiting).decode())
            stream.flush()
