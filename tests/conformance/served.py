"""Simulators and a webhook mailbox served by uvicorn in the test's own event loop; nothing about a vendor may enter."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.sandbox.kit.control import Simulator, sandbox_app
from deploy.sandbox.kit.faults import Fault, FaultKind
from system_apis.ports.changes import WebhookDelivery
from tests.serving import listener, serving


def free_port() -> int:
    """A loopback port nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncGenerator[str]:
    """The app on a free loopback port; yields its base URL."""
    bound, url = listener()
    async with serving(app, bound, lifespan="off"):
        yield url


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One simulator on the wire: `base_url` ends in its name, `server_url` carries the control endpoints."""

    simulator: Simulator
    server_url: str

    @property
    def base_url(self) -> str:
        """Where the vendor's own root is."""
        return f"{self.server_url}/{self.simulator.name}"

    def fault(
        self, kind: FaultKind, route: str = "", *, skip: int = 0, times: int | None = 1, field: str = ""
    ) -> Fault:
        """Put one fault in force."""
        fault = Fault(kind=kind, route=route, skip=skip, times=times, field=field)
        self.simulator.wire.faults.add(fault)
        return fault

    def has_struck(self, fault: Fault) -> bool:
        """Whether the fault (still in force) hit a call; a test that broke nothing proves nothing."""
        book = self.simulator.wire.faults
        return any(times for rule, times in zip(book.rules(), book.struck_times(), strict=True) if rule is fault)

    def heal(self) -> None:
        """Everything works again."""
        self.simulator.wire.faults.clear()

    def calls(self, pattern: str) -> int:
        """How many calls so far match `METHOD /path` (regular expression; queries are not counted apart)."""

        return sum(count for call, count in self.simulator.wire.calls.items() if re.search(pattern, call))


Serve = Callable[[Simulator], Awaitable[Sandbox]]


@asynccontextmanager
async def sandbox(simulator: Simulator) -> AsyncGenerator[Sandbox]:
    """The simulator served alone, as the product's sandbox serves it among others."""
    async with listening(sandbox_app({simulator.name: simulator})) as url:
        yield Sandbox(simulator, url)


@contextmanager
def blocking(simulator: Simulator) -> Generator[Sandbox]:
    """The same in a thread of its own, for clients that block."""
    bound, url = listener()
    app = sandbox_app({simulator.name: simulator})
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield Sandbox(simulator, url)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        bound.close()


@dataclass(slots=True)
class Mailbox:
    """Receives webhook deliveries and keeps them as the intake would get them."""

    url: str = ""
    deliveries: list[WebhookDelivery] = field(default_factory=list[WebhookDelivery])
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        request = Request(scope, receive)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.deliveries.append(WebhookDelivery(headers, await request.body(), datetime.now(UTC)))
        self.arrived.set()
        await Response(status_code=204)(scope, receive, send)

    async def first(self) -> WebhookDelivery:
        """The first delivery, once it has come."""
        async with asyncio.timeout(10):
            await self.arrived.wait()
        return self.deliveries[0]


@asynccontextmanager
async def mailbox() -> AsyncGenerator[Mailbox]:
    """A mailbox at a loopback address."""
    box = Mailbox()
    async with listening(box) as url:
        box.url = f"{url}/hook"
        yield box
