"""Pods for tests: credentials, bindings, and a pod with a loaded firm."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from joserfc.jwk import RSAKey
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from deploy.sandbox.oracle_fusion.simulator import USERS, simulator
from deploy.sandbox.oracle_fusion.tokens import SCOPE, Application
from system_apis.ports.binding import Binding
from tests.conformance.served import Sandbox

KEY = RSAKey.generate_key(2048, auto_kid=True)
CLIENT, SECRET = "throughline-connector", "secret-of-the-connector"
FINANCE = "finance.user"


def pod() -> Simulator:
    """An empty pod."""
    application = Application(CLIENT, SECRET, KEY.as_pem(private=False).decode())
    return simulator(applications={CLIENT: application}, users=USERS)


def binding(base_url: str, *, is_known: bool = True, **settings: str) -> Binding:
    """The connector's binding to a pod there."""
    given = {
        "base_url": base_url,
        "token_url": f"{base_url}/oauth2/v1/token",
        "client_id": CLIENT,
        "scope": SCOPE,
        "username": "integration.user",
        "contract_type_id": "300000000000001",
        "project_template": "TL-SERVICES",
        **settings,
    }
    secrets = {
        "client_secret": SECRET if is_known else "another secret",
        "password": USERS["integration.user"] if is_known else "another password",
        "private_key": KEY.as_pem(private=True).decode(),
    }
    return Binding("harbour", "oracle_fusion", given, secrets)


@asynccontextmanager
async def finance(base_url: str) -> AsyncGenerator[OracleFusionFirm]:
    """Finance, signed in."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield OracleFusionFirm(base_url, client, FINANCE, USERS[FINANCE])


@dataclass(frozen=True, slots=True)
class Heard:
    """One exchange on the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int
    answer: Any


@dataclass(slots=True)
class Recorder:
    """Listens between the wire and the pod."""

    app: ASGIApp
    heard: list[Heard] = field(default_factory=list[Heard])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an exchange on and remember it."""
        asked, told, status = bytearray(), bytearray(), 0

        async def hear() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            told.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, hear, tell)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        self.heard.append(Heard(scope["method"], path, headers, _json(asked), status, _json(told)))


def _json(content: bytes | bytearray) -> Any:
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError:
        return bytes(content).decode()


def listen(sandbox: Sandbox) -> Recorder:
    """Hear every exchange from now on."""
    wire = sandbox.simulator.wire
    recorder = Recorder(wire._app)
    wire._app = recorder
    return recorder
