"""Serves an application on loopback in the test's own event loop, and ends without waiting; nothing else may enter."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

_SECONDS_TO_CLOSE = 10


def listener() -> tuple[socket.socket, str]:
    """A loopback socket and its URL."""
    # The protocol is named because asyncio sets TCP_NODELAY on such sockets only; without it every answer waits 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.bind(("127.0.0.1", 0))
    return bound, f"http://127.0.0.1:{bound.getsockname()[1]}"


@asynccontextmanager
async def serving(app: ASGIApp, bound: socket.socket, *, lifespan: Literal["on", "off"]) -> AsyncGenerator[None]:
    """The app on this socket, its lifespan begun and ended in order; what is still being answered then is cut off.

    `uvicorn.Server.serve` looks ten times a second whether to end, and waits once more for what is idle: a quarter of
    a second that thousands of tests would pay.
    """
    config = uvicorn.Config(
        app, http="httptools", ws="none", lifespan=lifespan, log_config=None, access_log=False, timeout_keep_alive=65
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[bound])
    ticking = asyncio.create_task(server.main_loop())  # keeps the Date header
    try:
        yield
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        await _ended(server)
        bound.close()


async def _ended(server: uvicorn.Server) -> None:
    for one in server.servers:
        one.close()
    for task in (tasks := list(server.server_state.tasks)):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for connection in list(server.server_state.connections):
        connection.shutdown()
        if not connection.transport.is_closing():
            connection.transport.abort()
    async with asyncio.timeout(_SECONDS_TO_CLOSE):
        while server.server_state.connections:  # noqa: ASYNC110 - the server tells nobody when the last one is gone
            await asyncio.sleep(0)
    await server.lifespan.shutdown()
