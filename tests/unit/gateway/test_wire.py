"""The way to the socket, on a real server: one write for an answer, no header lost, nothing held back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.responses import StreamingResponse

from shared.gateway.chain import header_lines
from shared.serving.app import build_app
from shared.serving.wire import JoinedWrites, TierProtocol
from tests.unit.gateway.door import Issuer, Things, documents, routes, settings

GET = b"GET %b HTTP/1.1\r\nHost: tier.test\r\nAuthorization: Bearer %b\r\nX-Correlation-Id: c-1\r\n\r\n"


class _Line:
    """A transport that notes what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True


@asynccontextmanager
async def _served(app: FastAPI) -> AsyncGenerator[int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(app, http=TierProtocol, ws="none", lifespan="off", log_config=None, proxy_headers=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def _exchanged(port: int, *requests: bytes, until: Callable[[bytes], bool]) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    came = b""
    async with asyncio.timeout(10):
        while not until(came):
            came += await reader.read(65536)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return came


def _tier(issuer: Issuer) -> FastAPI:
    streams = APIRouter(prefix="/things/v1")

    @streams.get("/stream", include_in_schema=False)
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncGenerator[bytes]:
            for number in range(3):
                yield b"part %d\n" % number
                await asyncio.sleep(0)

        return StreamingResponse(parts(), media_type="text/plain")

    operations: dict[str, Any] = {
        "GET /things/{id}": {"scopes": ["things.read"]},
        "GET /things": {"scopes": ["things.read"]},
        "POST /things": {"scopes": ["things.write"], "policies": {"idempotency": {"required": True}}},
        "GET /open": {"public": "Shows what a public operation is"},
        "GET /stream": {"public": "Shows an answer in parts"},
    }
    return build_app(
        tier="system",
        title="Things",
        routers=[routes(Things()), streams],
        settings=settings(),
        gateway=documents(operations=operations),
        keys=issuer.keys,
        idempotency=_Nothing(),  # type: ignore[arg-type] # nobody asks it here
    )


class _Nothing:
    """A store nobody asks."""


async def test_every_answer_carries_its_headers_once_also_when_requests_come_in_one_packet() -> None:
    issuer = Issuer()
    one = GET % (b"/things/v1/things/7", issuer.token().encode())
    missing = GET % (b"/things/v1/nothing", issuer.token().encode())
    async with _served(_tier(issuer)) as port:
        came = await _exchanged(port, one, missing, one, until=lambda came: came.count(b'"id":"7"') == 2)
    answers = came.split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"404", b"200"]
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
        assert len(names) == len(set(names))
        assert {b"x-correlation-id", b"x-content-type-options", b"content-length"} <= set(names)
        assert b"content-length: %d" % len(body) in head
    assert b"\r\nratelimit: " in answers[0]
    assert b"\r\nratelimit-policy: " in answers[2]


async def test_an_answer_in_parts_is_dressed_and_comes_whole() -> None:
    issuer = Issuer()
    async with _served(_tier(issuer)) as port:
        came = await _exchanged(
            port, GET % (b"/things/v1/stream", b"-"), until=lambda came: came.endswith(b"0\r\n\r\n")
        )
    head, _, body = came.partition(b"\r\n\r\n")
    assert b"x-content-type-options: nosniff" in head
    assert all(b"part %d\n" % number in body for number in range(3))


async def test_two_writes_of_one_turn_leave_together_and_a_single_one_does_not_wait() -> None:
    line = _Line()
    joined = JoinedWrites(line, asyncio.get_running_loop())  # type: ignore[arg-type] # stands in for a transport
    joined.head(b"a: b\r\n")
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    joined.write(b"body")
    assert line.written == [b"HTTP/1.1 200 OK\r\na: b\r\n\r\nbody"]
    joined.write(b"alone")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert line.written[1:] == [b"alone"]
    joined.write(b"last")
    joined.close()
    assert (line.written[-1], line.is_closed) == (b"last", True)


def test_a_header_that_would_end_its_line_is_not_written() -> None:
    assert header_lines([(b"a", b"b"), (b"c", b"d")]) == b"a: b\r\nc: d\r\n"
    with pytest.raises(ValueError, match="end of a line"):
        header_lines([(b"a", b"b\r\nset-cookie: x")])
