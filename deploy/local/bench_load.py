"""A small load source: keep-alive connections on raw sockets, one request in flight on each; only a measuring rod."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from selectors import SelectSelector
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
            self._finish()
            return
        self._transport.write(request)

    def _finish(self) -> None:
        assert self._transport is not None  # noqa: S101 - called when connected
        self._transport.close()

    def _answered(self, *, is_good: bool) -> None:
        self._load.latencies.append(perf_counter() - self._asked_at)
        if not is_good:
            self._load.refused += 1

    def data_received(self, data: bytes) -> None:
        self._came = self._came + data if self._came else data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().find(b"content-length: ") + len(b"content-length: ")
        length = int(head[start:].split(b"\r", 1)[0])
        if len(body) < length:
            return
        self._answered(is_good=head.startswith(_SUCCESS))
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


@dataclass(slots=True)
class Admission:
    """An answer of 200: when it was asked for and when it had come, by the clock of the machine."""

    asked_at: float
    answered_at: float


class _Punctual(_Caller):
    """Takes the next request that is due, however late, and counts its time from when it was due."""

    def __init__(self, request: bytes, load: Load, due: Iterator[float]) -> None:
        super().__init__(repeat(request), load, float("inf"))
        self._due = due

    def _ask(self) -> None:
        due = next(self._due, None)
        if due is None:
            self._finish()
            return
        wait = due - perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, due)
        else:
            self._send(due)

    def _send(self, due: float) -> None:
        assert self._transport is not None  # noqa: S101 - called when connected
        self._asked_at = due
        self._transport.write(next(self._requests))


def offered(port: int, path: str, tokens: Sequence[str], *, connections: int, rate: float, seconds: float) -> Load:
    """Offer so many requests per second, whether answers come or not (an open loop).

    Each latency begins when the request was due: one that waits because the server is busy with another is not
    forgotten (no coordinated omission). The loop is one with timers of microseconds; uvloop's are of a millisecond.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(SelectSelector())) as runner:
        return runner.run(_offered(port, path, tokens, connections, rate, seconds))


async def _offered(port: int, path: str, tokens: Sequence[str], connections: int, rate: float, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    load = Load(seconds)
    began = perf_counter() + 0.05
    due = (began + number / rate for number in range(int(rate * seconds)))
    callers: list[_Punctual] = []
    for number in range(connections):
        request = _request(port, path, tokens[number % len(tokens)])
        _, caller = await loop.create_connection(partial(_Punctual, request, load, due), "127.0.0.1", port)
        callers.append(caller)
    async with asyncio.timeout(seconds + 2 * _GRACE_SECONDS):
        await asyncio.gather(*(caller.done for caller in callers))
    load.seconds = perf_counter() - began
    return load


class _Hammer(_Caller):
    """Notes when each request that was admitted was asked for and answered."""

    def __init__(self, requests: Iterator[bytes], load: Load, until: float, admitted: list[Admission]) -> None:
        super().__init__(requests, load, until)
        self._admitted = admitted

    def _answered(self, *, is_good: bool) -> None:
        super()._answered(is_good=is_good)
        if is_good:
            self._admitted.append(Admission(self._asked_at, perf_counter()))


async def hammer(ports: Sequence[int], path: str, token: str, *, connections: int, seconds: float) -> list[Admission]:
    """Ask several servers with one token as fast as they answer; which requests were admitted, and when."""
    loop = asyncio.get_running_loop()
    load, admitted, until = Load(seconds), list[Admission](), perf_counter() + seconds
    callers: list[_Hammer] = []
    for port in ports:
        for _ in range(connections):
            made = partial(_Hammer, repeat(_request(port, path, token)), load, until, admitted)
            _, caller = await loop.create_connection(made, "127.0.0.1", port)
            callers.append(caller)
    async with asyncio.timeout(seconds + _GRACE_SECONDS):
        await asyncio.gather(*(caller.done for caller in callers))
    return admitted


def _made(requests: Iterator[bytes], load: Load, until: float) -> Callable[[], _Caller]:
    return lambda: _Caller(requests, load, until)


def _request(port: int, path: str, token: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nX-Correlation-Id: bench\r\n\r\n"
    ).encode()
