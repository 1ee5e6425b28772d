"""NetSuite's wire: records by external id, SuiteQL, metadata; answers payloads, knows nothing canonical."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from shared.errors.taxonomy import (
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
    PlatformError,
    ScopeMissing,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from shared.outbound import Answer, Outbound, RetryPolicy, drift, route
from shared.outbound.body import as_json
from system_apis.connectors.netsuite.door import VENDOR, credentials
from system_apis.connectors.netsuite.jobs import Jobs
from system_apis.connectors.netsuite.lanes import Lanes
from system_apis.connectors.netsuite.payloads import Limits, Payload, QueryPage, RecordSchema, Row
from system_apis.fields import EntityFields
from system_apis.manifest import Manifest
from system_apis.ports.binding import MOST_AT_ONCE, Binding

LARGEST_PAGE = 1000
LARGEST_RESULT = 100_000
_BATCH = 200
_MANY_AT_ONCE = 50
_ASYNC_FROM_LINES = 300
_STRICT = {"X-NetSuite-PropertyNameValidation": "error"}
_TYPE = {"Content-Type": "application/json"}
_TRANSIENT = {"Prefer": "transient"}
_REPEATED: Final = "IDEMPOTENCY_ERROR"

Record = TypeVar("Record", bound=Payload)
QueryRow = TypeVar("QueryRow", bound=Row)


def literal(text: str) -> str:
    """A SuiteQL text constant."""
    return "'" + text.replace("'", "''") + "'"


def _heard(error: PlatformError, headers: Mapping[str, str]) -> None:
    """The refusal of a repeated job tells where the first one is."""
    if error.extra.get("vendor_code") == _REPEATED and (place := headers.get("location")):
        error.extra["job"] = place


def _code_of(body: Any) -> tuple[str | None, str | None]:
    detail = body["o:errorDetails"][0]
    path = detail.get("o:errorPath")
    message = str(detail.get("detail", ""))
    return str(detail["o:errorCode"]), f"{message} ({path})" if path else message


class NetSuiteClient:
    """One account, one integration record."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        rest = binding.setting("base_url").rstrip("/") + "/services/rest"
        self._own_limit = binding.whole("at_once", 0, at_most=MOST_AT_ONCE)
        self._async_from = binding.whole("async_from_lines", _ASYNC_FROM_LINES)
        self._lanes = Lanes(self._own_limit or manifest.budget.at_once)
        self._limit_is_known = False
        self._patience = RetryPolicy(attempts=5)
        self._jobs = Jobs(self._read, binding.tenant)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=rest,
            auth=credentials(binding, rest),
            errors=manifest.errors,
            budget=manifest.budget.model_copy(update={"at_once": max(self._own_limit, _MANY_AT_ONCE)}),
            read_body_code=_code_of,
            retry=RetryPolicy(attempts=1),  # asked again by `_asked`, which gives its lane back meanwhile
            owner=binding.tenant,
            heard=_heard,
        )

    @property
    def lanes(self) -> int:
        """How many requests may be in flight now."""
        return self._lanes.open

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    # --- asking ----------------------------------------------------------------------------------------------------
    async def _asked(self, ask: Callable[[], Awaitable[Answer]], *, repeatable: bool = True) -> Answer:
        """One request in a lane of its own; asked again while it is surely or safely undone, in a new lane."""
        deadline = time.monotonic() + self._patience.total
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._lanes.lane():
                    answer = await ask()
            except (VendorThrottled, VendorUnavailable, OutcomeUnknown) as error:
                if isinstance(error, VendorThrottled):
                    self._lanes.blocked()
                is_safe = repeatable or not isinstance(error, OutcomeUnknown)
                pause = self._patience.pause(attempt, error.retry_after)
                is_last = attempt >= self._patience.attempts or time.monotonic() + pause >= deadline
                if is_last or not is_safe or isinstance(error, DeadlineExceeded):
                    raise
            else:
                self._lanes.passed()
                return answer
            await asyncio.sleep(pause)

    async def _read(
        self, path: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await self._asked(lambda: self._outbound.read("GET", path, params=params, headers=headers))

    async def learn_limit(self) -> None:
        """Ask once how many requests the account may have in flight; who is no administrator is not told."""
        if self._limit_is_known:
            return
        self._limit_is_known = True
        try:
            answer = await self._read("system/v1/governanceLimits")
        except (ScopeMissing, NotFound, VendorRejected):
            return
        limits = drift(VENDOR, Limits, answer.json())
        told = limits.unallocated or limits.account
        if told:
            self._lanes.told(min(told, self._own_limit) if self._own_limit else told)

    # --- records ---------------------------------------------------------------------------------------------------
    async def find(
        self,
        record: str,
        key: str,
        model: type[Record],
        *,
        expands: bool = False,
        fields: EntityFields | None = None,
        only: str | None = None,
    ) -> Record | None:
        """The record with that key (`eid:…` or an internal id), or None; `only` names the members that are needed."""
        params = {"expandSubResources": expands or None, "fields": only}
        try:
            answer = await self._read(_address(record, key), params)
        except NotFound:
            return None
        row = answer.json()
        return drift(VENDOR, model, fields.take(row) if fields else row)

    async def batch(
        self,
        record: str,
        ids: Sequence[str],
        model: type[Record],
        *,
        expands: bool = False,
        fields: EntityFields | None = None,
    ) -> list[Record]:
        """The records of these internal ids with their bodies, as far as they are there."""
        some = [ids[first : first + _BATCH] for first in range(0, len(ids), _BATCH)]
        pages = await asyncio.gather(*(self._batch(record, few, expands=expands) for few in some))
        rows = [row for page in pages for row in page.items]
        return [drift(VENDOR, model, fields.take(row) if fields else row) for row in rows]

    async def _batch(self, record: str, ids: Sequence[str], *, expands: bool) -> QueryPage:
        params = {"ids": ",".join(ids), "expandRecords": True, "limit": LARGEST_PAGE}
        if expands:
            params["expandSubResources"] = True
        answer = await self._read(route("record/v1/{record}", record=record), params)
        return drift(VENDOR, QueryPage, answer.json())

    async def put(
        self, record: str, external_id: str, body: Mapping[str, Any], *, repeatable: bool = True, lines: int = 0
    ) -> None:
        """Upsert by our id; lines of sublists are merged by their keys. Many `lines` are handed in as a job."""
        await self._written("PUT", record, f"eid:{external_id}", body, {}, repeatable=repeatable, lines=lines)

    async def patch(self, record: str, key: str, body: Mapping[str, Any], *, replace: str = "", lines: int = 0) -> None:
        """Set these values; the sublists named in `replace` are replaced whole."""
        params = {"replace": replace} if replace else {}
        await self._written("PATCH", record, key, body, params, repeatable=True, lines=lines)

    async def _written(
        self,
        method: str,
        record: str,
        key: str,
        body: Mapping[str, Any],
        params: Mapping[str, str],
        *,
        repeatable: bool,
        lines: int,
    ) -> None:
        path, content = _address(record, key), as_json(body)

        def send(headers: Mapping[str, str], *, again: bool) -> Awaitable[Answer]:
            return self._asked(
                lambda: self._outbound.write(
                    method,
                    path,
                    params=params,
                    headers={**_STRICT, **_TYPE, **headers},
                    content=content,
                    repeatable=again,
                ),
                repeatable=again,
            )

        if lines >= self._async_from:  # the idempotency key makes it repeatable
            await self._jobs.done(lambda headers: send(headers, again=True), f"{method} {path}", content)
        else:
            await send({}, again=repeatable)

    async def delete(self, record: str, key: str) -> None:
        """Take the record away."""
        path = _address(record, key)
        await self._asked(lambda: self._outbound.write("DELETE", path), repeatable=False)

    # --- queries and metadata --------------------------------------------------------------------------------------
    async def page(
        self, query: str, model: type[QueryRow], *, limit: int, offset: int = 0, fields: EntityFields | None = None
    ) -> tuple[list[QueryRow], QueryPage]:
        """One page of a query: its rows, and the page as it came."""
        params = {"limit": limit, "offset": offset}
        answer = await self._asked(
            lambda: self._outbound.read(
                "POST", "query/v1/suiteql", params=params, headers=_TRANSIENT, json={"q": query}
            )
        )
        page = drift(VENDOR, QueryPage, answer.json())
        return [drift(VENDOR, model, _taken(row, fields)) for row in page.items], page

    async def rows(
        self, query: str, model: type[QueryRow], *, key: str = "id", fields: EntityFields | None = None
    ) -> list[QueryRow]:
        """Every row of a query, in order of `key`, its column of unique ids; the query has a WHERE and no ORDER BY.

        Ids never change their order, so further pages are read side by side; what goes beyond the vendor's longest
        result is asked from the last id on.
        """
        rows: list[QueryRow] = []
        after = ""
        while True:
            ordered = f"{query}{after} ORDER BY {key}"
            first, page = await self.page(ordered, model, limit=LARGEST_PAGE, fields=fields)
            rows += first
            total = min(page.total_results, LARGEST_RESULT)
            offsets = range(LARGEST_PAGE, total, LARGEST_PAGE)
            more = await asyncio.gather(
                *(self.page(ordered, model, limit=LARGEST_PAGE, offset=offset, fields=fields) for offset in offsets)
            )
            rows += [row for found, _ in more for row in found]
            if page.total_results < LARGEST_RESULT:
                return rows
            after = f" AND {key} > {int(rows[-1].id)}"

    async def catalog(self, record: str) -> RecordSchema:
        """What the account tells of a record. Raises NotFound."""
        answer = await self._read(
            route("record/v1/metadata-catalog/{record}", record=record), headers={"Accept": "application/schema+json"}
        )
        return drift(VENDOR, RecordSchema, answer.json())


def _taken(row: Mapping[str, Any], fields: EntityFields | None) -> Mapping[str, Any]:
    """A row of lower-case columns by the paths of its fields; null columns are left out by the vendor."""
    if fields is None:
        return row
    return fields.take({**row, **{path: row.get(path.lower()) for path in fields.paths()}})


def _address(record: str, key: str) -> str:
    # The colon of `eid:` stays as it is: accounts read it literally.
    path = route("record/v1/{record}/{key}", record=record, key=key.removeprefix("eid:"))
    return path if not key.startswith("eid:") else path.replace(f"{record}/", f"{record}/eid:", 1)
