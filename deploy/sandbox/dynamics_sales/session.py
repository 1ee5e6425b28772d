"""A client's session with an environment, as the firm's people and administrators hold one; vendor wire only."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from deploy.sandbox.dynamics_sales.simulator import LOADER_APP, TENANT
from deploy.sandbox.dynamics_sales.tokens import App
from deploy.sandbox.dynamics_sales.values import write_json
from deploy.sandbox.kit.firm import WireRefused

API = "/api/data/v9.2"
Json = dict[str, Any]
_PER_BATCH = 100
_BATCHES_AT_ONCE = 4
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_ODATA = {"odata-version": "4.0", "odata-maxversion": "4.0", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a batch: method, address below the Web API's root, body."""

    method: str
    path: str
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class DataverseSession:
    """Calls, pages and batches under one app's token."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, app: App, tenant_id: str = TENANT) -> None:
        """Nothing is sent until the first call."""
        self._base = base_url.rstrip("/")
        self._client = client
        self._app = app
        self._tenant_id = tenant_id
        self._token = ""
        self._lock = asyncio.Lock()

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: str
    ) -> Any:
        """The answer's JSON, None without one; `path` below the Web API's root. Raises WireRefused."""
        answer = await self.send(method, path, body, headers, **query)
        if answer.status_code >= 400:  # noqa: PLR2004 - HTTP
            raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return json.loads(answer.content, parse_float=Decimal) if answer.content else None

    async def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: str
    ) -> httpx.Response:
        """The answer, whatever it is; one login when the token has ended."""
        url = path if "://" in path else f"{self._base}{API}/{path}"
        content = None if body is None else body if isinstance(body, bytes) else write_json(body)
        kind = {"content-type": "application/json; charset=utf-8"} if body is not None else {}
        options = {f"${name}": value for name, value in query.items()}

        async def attempt() -> httpx.Response:
            sent = {**_ODATA, **kind, **(headers or {}), "authorization": f"Bearer {self._token}"}
            return await self._client.request(method, url, params=options or None, content=content, headers=sent)

        if not self._token:
            await self._log_in()
        answer = await attempt()
        if answer.status_code != 401:  # noqa: PLR2004 - HTTP
            return answer
        await self._log_in()
        return await attempt()

    async def rows(self, set_name: str, page: int | None = None, **query: str) -> AsyncIterator[Json]:
        """All rows of a query, page by page."""
        prefer = {"prefer": f"odata.maxpagesize={page}"} if page else {}
        body = await self.call("GET", set_name, None, prefer, **query)
        while True:
            for row in body["value"]:
                yield row
            if "@odata.nextLink" not in body:
                return
            body = await self.call("GET", body["@odata.nextLink"], None, prefer)

    async def write_all(self, writes: Sequence[Write]) -> None:
        """Every write, in batches of change sets, several batches at once. Raises WireRefused."""
        batches = [writes[start : start + _PER_BATCH] for start in range(0, len(writes), _PER_BATCH)]
        places = asyncio.Semaphore(_BATCHES_AT_ONCE)

        async def send(batch: Sequence[Write]) -> None:
            async with places:
                await self._change_set(batch)

        await asyncio.gather(*map(send, batches))

    async def _change_set(self, writes: Sequence[Write]) -> None:
        outer, inner = f"batch_{uuid4()}", f"changeset_{uuid4()}"
        parts = [f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode()]
        for number, write in enumerate(writes, 1):
            told = "".join(f"{name}: {value}\r\n" for name, value in write.headers.items())
            head = f"--{inner}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            head += f"Content-ID: {number}\r\n\r\n{write.method} {API}/{write.path} HTTP/1.1\r\n"
            head += f"Content-Type: application/json; type=entry\r\n{told}\r\n"
            parts.append(head.encode() + write_json(write.body) + b"\r\n")
        parts.append(f"--{inner}--\r\n\r\n--{outer}--\r\n".encode())
        kind = {"content-type": f"multipart/mixed; boundary={outer}"}
        answer = await self.send("POST", "$batch", b"".join(parts), kind)
        found = [int(status) for status in _STATUS.findall(answer.content)]
        if answer.status_code >= 400 or len(found) != len(writes) or max(found) >= 400:  # noqa: PLR2004 - HTTP
            raise WireRefused(f"$batch of {writes[0].path} …: {answer.status_code} {answer.text[-700:]}")

    async def _log_in(self) -> None:
        async with self._lock:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._app.client_id,
                "client_secret": self._app.secret,
                "scope": f"{self._base}/.default",
            }
            answer = await self._client.post(f"{self._base}/{self._tenant_id}/oauth2/v2.0/token", data=form)
            if answer.status_code != 200:  # noqa: PLR2004 - HTTP
                raise WireRefused(f"login: {answer.status_code} {answer.text[:300]}")
            self._token = str(answer.json()["access_token"])


def loader_session(base_url: str, client: httpx.AsyncClient, tenant_id: str = TENANT) -> DataverseSession:
    """A session of whoever loads data into the sandbox."""
    return DataverseSession(base_url, client, LOADER_APP, tenant_id)
