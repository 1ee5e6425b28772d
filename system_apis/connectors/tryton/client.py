"""Tryton's wire: session, calls with their context, records by keyset; answers plain rows, knows nothing canonical."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from pydantic import BaseModel

from shared.errors.taxonomy import CredentialsRefused, OutcomeUnknown, VendorDrift, VendorRejected
from shared.outbound import Outbound, drift
from system_apis.connectors.tryton.values import from_python, to_python
from system_apis.manifest import Manifest
from system_apis.ports.binding import MOST_AT_ONCE, Binding

VENDOR = "tryton"
LARGEST_PAGE = 1000
_KINDS = frozenset({"UserError", "UserWarning", "ConcurrencyException", "LoginException"})
_UNEXPECTED = "Unexpected"
_MOST_PAGES = 10_000
_MOST_WARNINGS = 5

Json = dict[str, Any]
Domain = Sequence[Any]
Row = TypeVar("Row", bound=BaseModel)


def error_of(body: Any) -> tuple[str | None, str | None]:
    """Kind and message of an error answer; anything that is no kind of Tryton's is an exception it did not expect."""
    error = body["error"]
    if str(error[0]) not in _KINDS:
        return _UNEXPECTED, str(error[0])
    told: Any = error[1]
    if error[0] == "UserWarning":
        return "UserWarning", f"({told[0]}) {told[1]}"
    return str(error[0]), str(told if isinstance(told, str) else told[0])


class TrytonSession:
    """Lets requests in by a session of the server; renewed when the server wants a fresh one."""

    def __init__(self, outbound: Outbound, path: str, user: str, password: str) -> None:
        """`outbound` carries no authentication of its own."""
        self._outbound = outbound
        self._path = path
        self._user, self._password = user, password
        self._headers: dict[str, str] | None = None
        self._lock = asyncio.Lock()
        self.user_id = 0

    async def headers(self) -> dict[str, str]:
        """The session's header, after one login for all who wait."""
        async with self._lock:
            if self._headers is None:
                params = [self._user, {"password": self._password}, "en"]
                answer = await self._outbound.read(
                    "POST", self._path, json={"id": 0, "method": "common.db.login", "params": params}
                )
                told: Any = answer.json().get("result")
                if not isinstance(told, list) or len(cast("list[Any]", told)) < 2:  # noqa: PLR2004 - user and token
                    raise CredentialsRefused(f"{VENDOR} does not let {self._user} in with a password.")
                number, token = cast("list[Any]", told)[:2]
                self.user_id = int(number)
                plain = f"{self._user}:{self.user_id}:{token}"
                self._headers = {"Authorization": f"Session {base64.b64encode(plain.encode()).decode()}"}
            return self._headers

    async def renew(self) -> None:
        """The next request logs in again."""
        self._headers = None


class TrytonClient:
    """One database of one server, as one user."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        at_once = binding.whole("at_once", manifest.budget.at_once, at_most=MOST_AT_ONCE)
        budget = manifest.budget.model_copy(update={"at_once": at_once})
        root = binding.setting("base_url").rstrip("/")
        self._path = f"{binding.setting('database')}/rpc/"
        self._door = Outbound(system=VENDOR, base_url=root, errors=manifest.errors, read_body_code=error_of)
        self.session = TrytonSession(self._door, self._path, binding.setting("user"), binding.secret("password"))
        self._outbound = Outbound(
            system=VENDOR,
            base_url=root,
            auth=self.session,
            errors=manifest.errors,
            budget=budget,
            read_body_code=error_of,
            timeout=120.0,
            owner=binding.tenant,
        )
        accepted = binding.settings.get("accepted_warnings", "invoice_payment_term")
        self._accepted = frozenset(name.strip() for name in accepted.split(",") if name.strip())
        self._numbers = count(1)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()
        await self._door.aclose()

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncGenerator[None]:
        """One writer per record: Tryton knows no external id that two could not create at once."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield

    # --- reading ---------------------------------------------------------------------------------------------------
    async def ask(self, method: str, *params: Any, company: int | None = None) -> Any:
        """A method that changes nothing."""
        answer = await self._outbound.read("POST", self._path, json=self._call(method, params, company))
        return _result(answer.json(), method)

    async def find(
        self,
        model: str,
        domain: Domain,
        columns: Sequence[str],
        *,
        order: Sequence[Sequence[str]] = (("id", "ASC"),),
        limit: int = LARGEST_PAGE,
        company: int | None = None,
    ) -> list[Json]:
        """The first records that fit."""
        params = (domain, 0, limit, order, columns)
        rows: Any = await self.ask(f"model.{model}.search_read", *params, company=company)
        if not isinstance(rows, list):
            raise VendorDrift(f"{VENDOR} answered a search of {model} with something that is no list.")
        return cast("list[Json]", rows)

    async def find_all(
        self, model: str, domain: Domain, columns: Sequence[str], *, company: int | None = None
    ) -> list[Json]:
        """Every record that fits, in order of id."""
        rows: list[Json] = []
        for _ in range(_MOST_PAGES):
            after = [["id", ">", rows[-1]["id"]]] if rows else []
            page = await self.find(model, [*after, *domain], columns, company=company)
            rows += page
            if len(page) < LARGEST_PAGE:
                return rows
        raise VendorDrift(f"{VENDOR} gives a list of {model} without end.")

    # --- writing ---------------------------------------------------------------------------------------------------
    async def create(self, model: str, rows: Sequence[Mapping[str, Any]], *, company: int | None = None) -> list[int]:
        """Make records, all or none; their ids in order."""
        made: Any = await self._change(f"model.{model}.create", list(rows), company=company)
        if not isinstance(made, list) or len(cast("list[Any]", made)) != len(rows):
            raise OutcomeUnknown(f"{VENDOR} took {model} but did not say which records they are.")
        return [int(number) for number in cast("list[Any]", made)]

    async def write(
        self,
        model: str,
        number: int,
        values: Mapping[str, Any],
        *,
        company: int | None = None,
        seen: str | None = None,
    ) -> None:
        """Set these values; with `seen` only on the record as it was read (its `_timestamp`)."""
        stamps = {"_timestamp": {f"{model},{number}": seen}} if seen else {}
        await self._change(
            f"model.{model}.write", [number], dict(values), company=company, repeatable=not seen, **stamps
        )

    async def delete(self, model: str, ids: Sequence[int], *, company: int | None = None) -> None:
        """Take records away."""
        await self._change(f"model.{model}.delete", list(ids), company=company)

    async def press(self, model: str, button: str, ids: Sequence[int], *, company: int | None = None) -> Any:
        """Press a button; a question the tenant lets us answer is answered with yes, any other refuses.

        Raises VendorRejected for other questions. Repeat: a button out of turn is refused.
        """
        for _ in range(_MOST_WARNINGS * max(1, len(ids))):
            try:
                return await self._change(f"model.{model}.{button}", list(ids), company=company)
            except VendorRejected as error:
                name = _question(error)
                if name is None or name.rpartition(".")[2] not in self._accepted:
                    raise
                await self.answer([name], company=company)
        raise VendorRejected(f"{VENDOR} asks again and again before {button} of {model}.")

    async def answer(self, names: Sequence[str], *, company: int | None = None) -> None:
        """Say yes to these questions, once each; asking for too many yeses does no harm."""
        method = "model.res.user.warning.skip"
        await asyncio.gather(*(self._change(method, name, False, company=company, repeatable=True) for name in names))

    def foreseen(self, kind: str, model: str, ids: Sequence[int]) -> list[str]:
        """The names of the questions of that kind about each of these records, as Tryton makes them."""
        if kind not in self._accepted:
            return []
        return [f"{hashlib.md5(f'{model},{number}'.encode()).hexdigest()}.{kind}" for number in ids]  # noqa: S324 - theirs

    async def _change(
        self, method: str, *params: Any, company: int | None, repeatable: bool = False, **context: Any
    ) -> Any:
        body = self._call(method, params, company, context)
        answer = await self._outbound.write("POST", self._path, json=body, repeatable=repeatable)
        return _result(answer.json(), method)

    def _call(
        self, method: str, params: Sequence[Any], company: int | None, context: Mapping[str, Any] | None = None
    ) -> Json:
        """The context is ours alone: Tryton judges some of its own rules by what a client says there."""
        said: Json = {"language": "en", **({"company": company} if company else {}), **(context or {})}
        return {"id": next(self._numbers), "method": method, "params": from_python([*params, said])}


def _result(body: Any, method: str) -> Any:
    if not isinstance(body, dict) or "result" not in body:
        raise VendorDrift(f"{VENDOR} answered {method} without result.")
    return to_python(body["result"])


def _question(error: VendorRejected) -> str | None:
    """The name of the question a refusal asks."""
    if error.extra.get("vendor_code") != "UserWarning":
        return None
    return error.message.partition("(")[2].partition(")")[0] or None


def parsed(model: type[Row], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows as payloads. Raises VendorDrift naming the field."""
    return [drift(VENDOR, model, dict(row)) for row in rows]
