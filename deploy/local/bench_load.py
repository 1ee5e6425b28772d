"""A small load source: keep-alive connections on raw sockets, one request in flight on each; only a measuring rod."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

_SUCCESS = b"HTTP/1.1 2"
_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class Load:
    """What came back within the time."""

    seconds: float
    latencies: list[float] = field(default_factory=list[float])
    refused: int = 0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, part: float) -> float:
        """The latency that `part` of the answers did not exceed, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


class _Caller(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again until told to stop."""

    def __init__(self, request: bytes, load: Load, until: float) -> None:
        self._request = request
        self._load = load
        self._until = until
        self._asked_at = 0.0
        self._came = b""
        self._transport: asyncio.WriteTransport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None  # noqa: S101 - called when connected
        self._asked_at = perf_counter()
        if self._asked_at >= self._until:
            self._transport.close()
            return
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._came = self._came + data if self._came else data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().find(b"content-length: ") + len(b"content-length: ")
        length = int(head[start:].split(b"\r", 1)[0])
        if len(body) < length:
            return
        self._load.latencies.append(perf_counter() - self._asked_at)
        if not head.startswith(_SUCCESS):
            self._load.refused += 1
        self._came = b""
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            if exc is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(exc)


async def measure(port: int, path: str, token: str, *, connections: int, seconds: float) -> Load:
    """Load a server for a while with that many connections."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nX-Correlation-Id: bench\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    load = Load(seconds)
    until = perf_counter() + seconds
    callers: list[_Caller] = []
    for _ in range(connections):
        _, caller = await loop.create_connection(lambda: _Caller(request, load, until), "127.0.0.1", port)
        callers.append(caller)
    async with asyncio.timeout(seconds + _GRACE_SECONDS):
        await asyncio.gather(*(caller.done for caller in callers))
    return load
