"""A small load source: keep-alive connections on raw sockets, one request in flight on each; only a measuring rod."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from time import perf_counter
from typing import cast

_SUCCESS = b"HTTP/1.1 200 "
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

    def __init__(self, requests: Iterator[bytes], load: Load, until: float) -> None:
        self._requests = requests
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
        request = None if self._asked_at >= self._until else next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._transport.write(request)

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


async def measure(
    port: int, path: str, tokens: Sequence[str], *, connections: int, seconds: float, each_token_once: bool = False
) -> Load:
    """Load a server for a while with that many connections.

    Each connection keeps one of the tokens; with `each_token_once` every request carries another one, and the load ends
    at the latest when they are used up.
    """
    requests = [_request(port, path, token) for token in tokens]
    all_once = iter(requests)
    loop = asyncio.get_running_loop()
    load = Load(seconds)
    began = perf_counter()
    until = began + seconds
    callers: list[_Caller] = []
    for number in range(connections):
        mine = all_once if each_token_once else repeat(requests[number % len(requests)])
        _, caller = await loop.create_connection(_made(mine, load, until), "127.0.0.1", port)
        callers.append(caller)
    async with asyncio.timeout(seconds + _GRACE_SECONDS):
        await asyncio.gather(*(caller.done for caller in callers))
    load.seconds = perf_counter() - began
    return load


def _made(requests: Iterator[bytes], load: Load, until: float) -> Callable[[], _Caller]:
    return lambda: _Caller(requests, load, until)


def _request(port: int, path: str, token: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nX-Correlation-Id: bench\r\n\r\n"
    ).encode()
