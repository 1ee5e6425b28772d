"""Pods for tests: credentials, bindings, and a pod with a loaded firm."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from joserfc.jwk import RSAKey

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from deploy.sandbox.oracle_fusion.simulator import USERS, simulator
from deploy.sandbox.oracle_fusion.tokens import SCOPE, Application
from system_apis.ports.binding import Binding

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
