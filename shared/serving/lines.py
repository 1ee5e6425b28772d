"""Log lines of the hot path: collected as dictionaries, written in batches; never a reason to wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import Any, TextIO

import orjson

from shared.gateway.supplies import Line

_PAUSE_SECONDS = 0.1
_MOST_WAITING = 512


class Stamp:
    """The present instant (UTC) as text, without its offset; the part down to the second is made once a second."""

    __slots__ = ("_second", "_told")

    def __init__(self) -> None:
        self._second = -1
        self._told = b""

    def __call__(self) -> bytes:
        """Year to microsecond."""
        micros = int(time() * 1_000_000)
        second = micros // 1_000_000
        if second != self._second:
            self._second = second
            self._told = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%06d" % (self._told, micros - second * 1_000_000)


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
        self._keep(told + b"\n")  # a copy of its own size: kept as it is made it would hold a kilobyte each

    def form(self, said: Mapping[str, Any]) -> Line:
        """Takes lines that all say the same first; that part is written once, here."""
        always = b'+00:00",' + orjson.dumps({**self._facts, **said}, default=str)[1:-1] + b","
        stamp, keep = Stamp(), self._keep

        def take(line: Mapping[str, Any]) -> None:
            keep(b'{"timestamp":"%b%b%b\n' % (stamp(), always, orjson.dumps(line, default=str)[1:]))

        return take

    def _keep(self, told: bytes) -> None:
        self._waiting.append(told)
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
