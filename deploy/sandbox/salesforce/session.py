"""A plain client of the vendor's wire for the sandbox's own errands: token, queries, rows in bulk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, cast

import httpx
import orjson

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT

__all__ = ["API", "SalesforceSession", "WireRefused", "loader_session"]

Json = dict[str, Any]
API = "/services/data/v60.0"
_MOST = 200


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(type(value).__name__)


class SalesforceSession:
    """One login, renewed when the session has expired."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, *, client_id: str, client_secret: str) -> None:
        self._base = base_url.rstrip("/")
        self._client = client
        self._login = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._token = ""

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """The answer's JSON (None: no body). Raises WireRefused."""
        answer = await self._send(method, path, body, params)
        if answer.status_code == 401:  # noqa: PLR2004 - HTTP
            self._token = ""
            answer = await self._send(method, path, body, params)
        if answer.status_code >= 300:  # noqa: PLR2004 - HTTP
            raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return orjson.loads(answer.content) if answer.content else None

    async def _send(self, method: str, path: str, body: Any, params: dict[str, str]) -> httpx.Response:
        if not self._token:
            await self._log_in()
        return await self._client.request(
            method,
            self._base + path,
            params=params or None,
            content=None if body is None else orjson.dumps(body, default=_exact),
            headers={"authorization": f"Bearer {self._token}", "content-type": "application/json"},
        )

    async def query(self, soql: str) -> AsyncIterator[Json]:
        """All rows of a query."""
        page = await self.call("GET", f"{API}/query", q=soql)
        while True:
            for row in page["records"]:
                yield row
            if page["done"]:
                return
            page = await self.call("GET", page["nextRecordsUrl"])

    async def upsert(self, sobject: str, key: str, rows: Sequence[Json]) -> None:
        """Rows by external id, in collections; all of a collection or none. Raises WireRefused naming the row."""
        await self._bulk("PATCH", f"{API}/composite/sobjects/{sobject}/{key}", sobject, rows, key)

    async def create(self, sobject: str, rows: Sequence[Json]) -> None:
        """New rows, in collections; all of a collection or none. Raises WireRefused."""
        await self._bulk("POST", f"{API}/composite/sobjects", sobject, rows, "")

    async def _bulk(self, method: str, path: str, sobject: str, rows: Sequence[Json], key: str) -> None:
        for start in range(0, len(rows), _MOST):
            chunk = rows[start : start + _MOST]
            records = [{"attributes": {"type": sobject}, **row} for row in chunk]
            results = cast("list[Json]", await self.call(method, path, {"allOrNone": True, "records": records}))
            for row, result in zip(chunk, results, strict=True):
                errors = cast("list[Json]", result["errors"])
                told = [e for e in errors if e["statusCode"] != "ALL_OR_NONE_OPERATION_ROLLED_BACK"]
                if told:
                    raise WireRefused(f"{sobject} {row.get(key, '')}: {told[0]['statusCode']} {told[0]['message']}")

    async def _log_in(self) -> None:
        answer = await self._client.post(f"{self._base}/services/oauth2/token", data=self._login)
        if answer.status_code != 200:  # noqa: PLR2004 - HTTP
            raise WireRefused(f"login: {answer.status_code} {answer.text[:300]}")
        self._token = str(answer.json()["access_token"])


def loader_session(base_url: str, client: httpx.AsyncClient) -> SalesforceSession:
    """A session of the sandbox's administrator."""
    return SalesforceSession(base_url, client, client_id=LOADER_CLIENT.client_id, client_secret=LOADER_CLIENT.secret)
