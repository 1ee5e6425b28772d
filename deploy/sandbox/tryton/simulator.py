"""The sandbox's Tryton: the real server behind a wire on which calls have names and faults strike."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.local.processes import StartFailed
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.tryton import install
from deploy.sandbox.tryton.seed import INTEGRATION, PEOPLE
from deploy.sandbox.tryton.server import DATABASE, TrytonServer
from deploy.sandbox.tryton.session import TrytonSession

NAME = "tryton"
_RPC = "/rpc/"
_TABLES = {
    "parties": "party_party",
    "opportunities": "sale_opportunity",
    "orders": "sale_sale",
    "works": "project_work",
    "timesheet_lines": "timesheet_line",
    "notes": "ir_note",
    "invoices": "account_invoice",
    "payments": "account_invoice-account_move_line",
}
_PASSED_ON = (b"content-type", b"authorization", b"x-tryton-context", b"accept-language")


@dataclass(frozen=True, slots=True)
class Passwords:
    """Of the integration user and of the people who work there by hand."""

    integration: str = field(default="integration-of-the-sandbox", repr=False)
    people: str = field(default="people-of-the-sandbox", repr=False)


class Site:
    """The server, started when somebody first comes, and known passwords set."""

    def __init__(self, passwords: Passwords, start: Callable[[], TrytonServer]) -> None:
        """`start` gives a server in its first state."""
        self._passwords = passwords
        self._start = start
        self._lock = threading.Lock()
        self._http: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None
        self.server: TrytonServer | None = None

    def up(self) -> TrytonServer:
        """The server; the first call waits for it. Raises StartFailed."""
        with self._lock:
            if self.server is None:
                server = self._start()
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(asyncio.run, _set_passwords(server.url, self._passwords)).result()
                server.keep()
                self.server = server
            return self.server

    def _client(self) -> httpx.AsyncClient:
        """One per event loop; it keeps no connection, so that nothing stays open when a loop ends."""
        loop = asyncio.get_running_loop()
        if self._http is None or self._http[0] is not loop:
            limits = httpx.Limits(max_keepalive_connections=0)
            self._http = (loop, httpx.AsyncClient(trust_env=False, timeout=300, limits=limits))
        return self._http[1]

    def reset(self) -> None:
        """The first state again."""
        self.up().reset()

    def expire(self) -> None:
        """Nobody's session counts any more."""
        if self.server:
            self.server.query("DELETE FROM ir_session")

    def counts(self) -> dict[str, int]:
        """Records by kind; nothing before somebody came."""
        if self.server is None:
            return {}
        asked = ", ".join(f'(SELECT count(*) FROM "{table}")' for table in _TABLES.values())
        return dict(zip(_TABLES, self.server.query(f"SELECT {asked}")[0], strict=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        try:
            server = self.server or await asyncio.to_thread(self.up)
        except StartFailed as error:
            await Response(str(error), 503, media_type="text/plain")(scope, receive, send)
            return
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if _RPC in path:
            path = path.partition(_RPC)[0] + _RPC
        query: str = scope.get("query_string", b"").decode()
        headers = [(name, value) for name, value in scope["headers"] if name in _PASSED_ON]
        try:
            answer = await self._client().request(
                scope["method"],
                f"{server.url}{path}{'?' if query else ''}{query}",
                headers=[*headers, (b"accept-encoding", b"gzip")],
                content=await _body(receive),
            )
        except httpx.TransportError as error:
            await Response(f"Tryton does not answer: {error!r}", 503, media_type="text/plain")(scope, receive, send)
            return
        told = {name: answer.headers[name] for name in ("content-type", "www-authenticate") if name in answer.headers}
        await Response(answer.content, answer.status_code, told)(scope, receive, send)


class RpcWire(Wire):
    """Tryton has one address for everything: a call is known here by its method, `POST /tryton/rpc/model.x.create`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its name."""
        if scope["type"] != "http" or not scope["path"].endswith(_RPC):
            await super().__call__(scope, receive, send)
            return
        body = await _body(receive)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await super().__call__({**scope, "path": scope["path"] + _method(body)}, again, send)


def site_of(passwords: Passwords) -> Site:
    """A server of one's own, started when somebody first comes, and installed before if need be."""
    return Site(passwords, lambda: TrytonServer.start(install.ensure()))


def simulator(passwords: Passwords | None = None, *, site: Site | None = None) -> Simulator:
    """An empty Tryton on a server of its own, or on one that is there."""
    site = site or site_of(passwords or Passwords())
    app: ASGIApp = site
    return Simulator(
        name=NAME,
        wire=RpcWire(app, throttled=_throttled, expire=site.expire),
        deliveries=None,
        reset=site.reset,
        counts=site.counts,
    )


def _throttled() -> Response:
    return Response("<!doctype html>\n<title>429 Too Many Requests</title>\n", 429, media_type="text/html")


def _method(body: bytes) -> str:
    try:
        return str(json.loads(body).get("method", ""))
    except (ValueError, AttributeError):
        return ""


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(parts)


async def _set_passwords(url: str, passwords: Passwords) -> None:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        session = TrytonSession(
            url, client, user=install.ADMINISTRATOR, password=install.FIRST_PASSWORD, database=DATABASE
        )
        users = await session.find("res.user", [["login", "in", [INTEGRATION, PEOPLE]]], ["login"])
        wanted = {INTEGRATION: passwords.integration, PEOPLE: passwords.people}
        for user in users:
            is_people = user["login"] == PEOPLE
            values = {"password": wanted[user["login"]], "administrator": is_people}
            await session.write("res.user", [user["id"]], values)
        await session.write("res.user", [session.user_id], {"password": secrets.token_urlsafe(24)})
