"""The experience tier served for real, and a process tier of fixed answers that remembers who asked what."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt as pyjwt
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from experience_apis.app import create_app
from experience_apis.settings import ExperienceSettings
from shared.serving.settings import load_settings
from tests.serving import listener, serving

from .conftest import SECRETS

GATEWAY = Path(__file__).parents[3] / "deploy" / "gateway"


@dataclass(frozen=True)
class Heard:
    """A request that reached the process tier."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    def claims(self) -> dict[str, Any]:
        """What its token says."""
        token = self.headers["authorization"].removeprefix("Bearer ")
        return pyjwt.decode(token, options={"verify_signature": False})


@dataclass
class FixedProcessTier:
    """Answers what it was told to, by method and path."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        text = await request.body()
        self.heard.append(
            Heard(
                method=request.method,
                path=request.url.path,
                query=dict(request.query_params),
                headers=dict(request.headers),
                body=json.loads(text) if text else None,
            )
        )
        status, body = self.answers.get(f"{request.method} {request.url.path}", (404, _problem(404, "not_found")))
        media_type = "application/problem+json" if status >= 400 else "application/json"
        answer: Response = JSONResponse(body, status_code=status, media_type=media_type)
        await answer(scope, receive, send)

    def says(self, request: str, body: Any, status: int = 200) -> None:
        """From now on the request is answered like this."""
        self.answers[request] = (status, body)

    def refuses(self, request: str, status: int, code: str, detail: str) -> None:
        """From now on the request is refused with a problem document."""
        self.answers[request] = (status, {**_problem(status, code), "detail": detail})


def _problem(status: int, code: str) -> dict[str, Any]:
    return {
        "type": f"urn:throughline:problem:{code}",
        "title": "No.",
        "status": status,
        "detail": "No.",
        "code": code,
        "errors": [],
    }


@dataclass
class Tier:
    """The running experience tier."""

    app: FastAPI
    client: httpx.AsyncClient
    process: FixedProcessTier
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(self, client: str) -> str:
        """An access token over the wire, kept."""
        if client not in self.tokens:
            answer = await self.client.post(
                "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client, SECRETS[client])
            )
            self.tokens[client] = answer.json()["access_token"]
        return self.tokens[client]

    async def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with the token of that client."""
        headers = {"Authorization": f"Bearer {await self.token(who)}", **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)


@asynccontextmanager
async def running_tier(monkeypatch: Any, postgres_url: str, clients_file: Path) -> AsyncGenerator[Tier]:
    """The experience tier on a real database with a process tier of fixed answers."""
    inner, inner_url = listener()
    outer, outer_url = listener()
    environment = {
        "DATABASE_URL": postgres_url,
        "ISSUER_URL": outer_url,
        "PROCESS_URL": inner_url,
        "CLIENT_ID": "tier-experience",
        "CLIENT_SECRET": SECRETS["tier-experience"],
        "CLIENTS_FILE": str(clients_file),
        "SEALING_KEY": "a sealing key of tests",
        "GATEWAY_DIR": str(GATEWAY),
        "LOG_LEVEL": "error",
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"THROUGHLINE_EXPERIENCE_{name}", value)
    process = FixedProcessTier()
    app = create_app(load_settings(ExperienceSettings))
    async with (
        serving(process, inner, lifespan="off"),
        serving(app, outer, lifespan="on"),
        httpx.AsyncClient(base_url=outer_url, timeout=20) as client,
    ):
        yield Tier(app=app, client=client, process=process)
