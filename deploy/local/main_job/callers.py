"""People and machines of the firm as API callers: a token of their own, a key per write, patience with limits."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx

from deploy.local.failures import JobFailed

_ATTEMPTS = 8
_TOO_MANY, _UNAVAILABLE, _UNAUTHORISED = 429, 503, 401


class CallFailed(JobFailed):
    """An API answered with a problem; the message names call, status and reason."""

    def __init__(self, call: str, answer: httpx.Response) -> None:
        """Keep status and the problem's code."""
        problem = _object(answer)
        self.status = answer.status_code
        self.code = str(problem.get("code", ""))
        reason = problem.get("detail") or problem.get("title") or answer.text[:300]
        listed: list[dict[str, Any]] = problem.get("errors") or []
        errors = "; ".join(f"{one.get('field')}: {one.get('reason')}" for one in listed)
        super().__init__(f"{call} answered {answer.status_code} {self.code}: {reason} {errors}".strip())


class Caller:
    """One OAuth client at one API."""

    def __init__(
        self, http: httpx.AsyncClient, *, base_url: str, token_endpoint: str, client_id: str, secret: str
    ) -> None:
        """The token is fetched with the first call and renewed before it ends."""
        self.client_id = client_id
        self._http = http
        self._base_url = base_url
        self._token_endpoint = token_endpoint
        self._secret = secret
        self._token = ""
        self._good_until = 0.0
        self._fetching = asyncio.Lock()

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a GET."""
        return await self._call("GET", path, params={key: value for key, value in params.items() if value is not None})

    async def post(self, path: str, body: Any = None) -> Any:
        """The body of a POST; a repeat after a limit carries the same idempotency key."""
        return await self._call("POST", path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    async def put(self, path: str, body: Any) -> Any:
        """The body of a PUT, which may be repeated by nature."""
        return await self._call("PUT", path, json=body)

    async def pages(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """All items of a list."""
        cursor: str | None = None
        while True:
            page = await self.get(path, **params, cursor=cursor)
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if not cursor:
                return

    async def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """All items of a list, at once."""
        return [item async for item in self.pages(path, **params)]

    async def _call(self, method: str, path: str, **rest: Any) -> Any:
        headers = dict(rest.pop("headers", {}))
        attempt = 0
        while True:
            attempt += 1
            headers["Authorization"] = f"Bearer {await self._bearer()}"
            try:
                answer = await self._http.request(method, f"{self._base_url}{path}", headers=headers, **rest)
            except (httpx.ReadError, httpx.RemoteProtocolError):  # a connection that was kept had ended meanwhile
                if method != "GET" or attempt == _ATTEMPTS:
                    raise
                continue
            if answer.is_success:
                return answer.json() if answer.content else None
            if answer.status_code == _UNAUTHORISED and attempt == 1:
                self._good_until = 0.0
            elif answer.status_code in {_TOO_MANY, _UNAVAILABLE} and attempt < _ATTEMPTS:
                await asyncio.sleep(float(answer.headers.get("retry-after") or 0.2))
            else:
                raise CallFailed(f"{method} {path}", answer)

    async def _bearer(self) -> str:
        async with self._fetching:
            if time.monotonic() >= self._good_until:
                form = {"grant_type": "client_credentials"}
                answer = await self._http.post(
                    self._token_endpoint, data=form, auth=httpx.BasicAuth(self.client_id, self._secret)
                )
                if not answer.is_success:
                    raise CallFailed(f"POST {self._token_endpoint} for {self.client_id}", answer)
                granted = _object(answer)
                self._token = str(granted["access_token"])
                self._good_until = time.monotonic() + max(5.0, float(granted.get("expires_in", 60)) - 30)
            return self._token


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body: Any = answer.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}
