"""A person's session at a Tryton server: login, calls, records, wizards; the wire only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import httpx

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.tryton.values import dumps, loads

Json = dict[str, Any]
Domain = Sequence[Any]
UNAUTHORISED, BUSY = 401, 503
_LOCKED = ("could not obtain lock", "could not serialize access")
_TRIES = 12
_MOST = 1000


class TrytonSession:
    """One user; logs in when first needed and again whenever the server says so."""

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient,
        *,
        user: str,
        password: str,
        database: str = "tryton",
        at_once: int = 6,
    ) -> None:
        """`base_url` is the server's root, such as http://127.0.0.1:8110/tryton."""
        self._url = f"{base_url.rstrip('/')}/{database}/rpc/"
        self._client = client
        self._user, self._password = user, password
        self._headers: dict[str, str] = {}
        self._numbers = count(1)
        self._gate = asyncio.Semaphore(at_once)
        self._door = asyncio.Lock()
        self.user_id = 0

    async def login(self) -> None:
        """A fresh session."""
        result = await self._send("common.db.login", [self._user, {"password": self._password}, "en"], {})
        self.user_id, token = int(result[0]), str(result[1])
        plain = f"{self._user}:{self.user_id}:{token}".encode()
        self._headers = {"authorization": f"Session {base64.b64encode(plain).decode()}"}

    async def call(self, method: str, *params: Any, context: Mapping[str, Any] | None = None) -> Any:
        """A method of the server; the context is its last parameter. Raises WireRefused."""
        asked = [*params, {"language": "en", **(context or {})}]
        async with self._gate:
            seen = self._headers
            if not seen:
                await self._enter(seen)
            for attempt in range(_TRIES):
                try:
                    return await self._send(method, asked, self._headers)
                except _SessionOver:
                    await self._enter(self._headers)
                except _NumbersTaken:  # nothing has been done; somebody else draws from a sequence without gaps
                    await asyncio.sleep(min(1.0, 0.05 * 2**attempt))
            raise WireRefused(f"{method}: refused again and again")

    async def _enter(self, seen: dict[str, str]) -> None:
        async with self._door:
            if self._headers is seen:
                await self.login()

    async def _send(self, method: str, params: Sequence[Any], headers: Mapping[str, str]) -> Any:
        body = dumps({"id": next(self._numbers), "method": method, "params": params})
        sent = {"content-type": "application/json", **headers}
        answer = await self._client.post(self._url, content=body, headers=sent)
        if answer.status_code == UNAUTHORISED and headers:
            raise _SessionOver
        if answer.status_code == BUSY and any(words in answer.text for words in _LOCKED):
            raise _NumbersTaken
        if not answer.is_success:
            raise WireRefused(f"{method}: {answer.status_code} {answer.text[:300]}")
        document = loads(answer.content)
        if "error" in document:
            raise WireRefused(f"{method}: {str(document['error'])[:600]}")
        return document.get("result")

    # --- records ---------------------------------------------------------------------------------------------------
    async def create(self, model: str, rows: Sequence[Mapping[str, Any]], **context: Any) -> list[int]:
        """Make records; their ids in the order of the rows."""
        if not rows:
            return []
        return [int(made) for made in await self.call(f"model.{model}.create", list(rows), context=context)]

    async def write(self, model: str, ids: Sequence[int], values: Mapping[str, Any], **context: Any) -> None:
        """Set these values on these records."""
        await self.call(f"model.{model}.write", list(ids), dict(values), context=context)

    async def press(self, model: str, button: str, ids: Sequence[int], **context: Any) -> Any:
        """Press a button of a form."""
        return await self.call(f"model.{model}.{button}", list(ids), context=context)

    async def find(self, model: str, domain: Domain, fields: Sequence[str] = (), **context: Any) -> list[Json]:
        """Every record that fits, in order of id."""
        rows: list[Json] = []
        last = 0
        while True:
            asked = [["id", ">", last], *domain]
            page: list[Json] = await self.call(
                f"model.{model}.search_read", asked, 0, _MOST, [["id", "ASC"]], list(fields), context=context
            )
            rows += page
            if len(page) < _MOST:
                return rows
            last = page[-1]["id"]

    async def count(self, model: str, domain: Domain = (), **context: Any) -> int:
        """How many records fit."""
        return int(await self.call(f"model.{model}.search_count", list(domain), context=context))

    async def known(self, module: str, name: str) -> int:
        """The record that a module brought along under that name."""
        return int(await self.call("model.ir.model.data.get_id", module, name))

    async def wizard(self, name: str, steps: Sequence[tuple[str, str, Mapping[str, Any]]], **context: Any) -> list[Any]:
        """Run a wizard; each step is (button, view, values of the view; none for "")."""
        session, start, _ = await self.call(f"wizard.{name}.create", context=context)
        data: Json = {}
        answers = [await self.call(f"wizard.{name}.execute", session, data, start, context=context)]
        for button, view, values in steps:
            if view:
                data[view] = dict(values)
            answers.append(await self.call(f"wizard.{name}.execute", session, data, button, context=context))
        await self.call(f"wizard.{name}.delete", session, context=context)
        return answers


class _NumbersTaken(Exception):
    """Another transaction holds a number sequence, or the row we wanted."""


class _SessionOver(Exception):
    """The server wants a fresh session."""
