"""The platform's wire: queries read whole, rows written one by one and in collections, metadata, packaged actions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from shared.errors.taxonomy import CursorExpired, NotFound, PlatformError, VendorDrift, VendorThrottled
from shared.outbound import AuthFlow, Outbound, drift, route, walk
from system_apis.dialects.marks import Mark
from system_apis.dialects.salesforce.marks import Family, later
from system_apis.dialects.salesforce.soql import Json, soql_texts, taken
from system_apis.fields import FieldMap
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding
from system_apis.ports.schema import FieldFacts

Row = TypeVar("Row", bound=BaseModel)
_IDS_PER_QUERY: Final = 200
_MOST_ROWS: Final = 200
_MOST_ANEW: Final = 20  # beginnings of one list behind its last row
_LOCK_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
_ECHO: Final = re.compile(r"\A.*^ERROR at Row:\d+:Column:\d+\n", re.DOTALL | re.MULTILINE)
"""What a refused query is told with before the reason: the query itself, up to 200 letters of it or more."""
_ROLLED_BACK: Final = "ALL_OR_NONE_OPERATION_ROLLED_BACK"


class _Stamped(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    system_modstamp: datetime = Field(alias="SystemModstamp")


class _Problem(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str = Field(alias="statusCode")
    message: str = ""


class _Saved(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str | None = None
    success: bool
    errors: tuple[_Problem, ...] = ()


class _Picked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    value: str
    active: bool = True


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    type: str
    label: str
    nillable: bool
    createable: bool
    updateable: bool
    is_defaulted: bool = Field(alias="defaultedOnCreate")
    is_restricted: bool = Field(alias="restrictedPicklist")
    parent: str | None = Field(alias="relationshipName")
    picked: tuple[_Picked, ...] = Field(alias="picklistValues")


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    fields: tuple[_Described, ...]


class _Acted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    is_success: bool = Field(alias="isSuccess")
    errors: tuple[_Problem, ...] | None
    outputs: Json | None = Field(alias="outputValues")


def read_error(body: Any) -> tuple[str | None, str | None] | None:
    """Code and message in any of the shapes the platform words an error in."""
    listed = cast("list[Any]", body) if isinstance(body, list) else [body]
    first = listed[0] if listed else None
    if not isinstance(first, dict):
        return None
    error = cast("Json", first)
    within = error.get("errors")  # an action tells its errors one deeper
    if isinstance(within, list) and within and isinstance(within[0], dict):
        error = cast("Json", within[0])
    code = error.get("errorCode") or error.get("statusCode") or _denial(error) or error.get("exceptionCode")
    message = error.get("message") or error.get("error_description") or error.get("exceptionMessage")
    return (str(code) if code else None), (_ECHO.sub("", str(message)) if message else None)


def _denial(error: Json) -> Any:
    """Of an OAuth refusal or an unsuccessful streaming message; why a handshake was denied stands one deeper."""
    extension: Any = error.get("ext")
    told: Any = cast("Json", extension).get("sfdc") if isinstance(extension, dict) else None
    reason: Any = cast("Json", told).get("failureReason") if isinstance(told, dict) else None
    return reason or error.get("error")


class SalesforceWire:
    """One org; the session is fetched when first needed and renewed when it has expired.

    `client_name` is how our calls name themselves; events that they cause carry it. `fields` are the tenant's places.
    """

    def __init__(
        self, binding: Binding, manifest: Manifest, auth: AuthFlow, *, client_name: str, fields: FieldMap
    ) -> None:
        self.system = binding.system
        self.fields = fields
        self.client_name = client_name
        self.version = binding.settings.get("api_version") or manifest.wire.version
        self._api = f"/services/data/v{self.version}"
        self.outbound = Outbound(
            system=binding.system,
            base_url=binding.setting("base_url"),
            auth=auth,
            errors=manifest.errors,
            budget=manifest.budget,
            read_body_code=read_error,
            headers={"Sforce-Call-Options": f"client={client_name}"},
            owner=binding.tenant,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self.outbound.aclose()

    async def ping(self) -> None:
        """The cheapest call that needs a session."""
        await self.outbound.read("GET", f"{self._api}/limits")

    # --- reading ---------------------------------------------------------------------------------------------------
    async def rows(self, soql: str, model: type[Row]) -> list[Row]:
        """All rows of a query, child results read whole. Raises VendorDrift naming a field that is missing."""
        records = [taken(model, record, self.fields) async for record in self._records(f"{self._api}/query", soql)]
        return drift(self.system, list[model], records)

    async def rows_by_id(
        self, head: str, refs: Sequence[str], model: type[Row], where: str | None = None, key: str = "Id"
    ) -> list[Row]:
        """Rows of `head` (SELECT … FROM …) with these ids (or values of `key`), as far as they are there."""
        chunks = [refs[first : first + _IDS_PER_QUERY] for first in range(0, len(refs), _IDS_PER_QUERY)]
        also = f" AND {where}" if where else ""
        found = await asyncio.gather(
            *(self.rows(f"{head} WHERE {key} IN {soql_texts(chunk)}{also}", model) for chunk in chunks)
        )
        return [row for rows in found for row in rows]

    async def refs_by(self, sobject: str, column: str, where: str) -> dict[str, str]:
        """Value of a column → row id, in the order asked for. Raises VendorDrift when the column is not a text."""
        names = "Id" if column == "Id" else f"Id, {column}"
        found: dict[str, str] = {}
        async for record in self._records(f"{self._api}/query", f"SELECT {names} FROM {sobject} WHERE {where}"):
            ref, value = record.get("Id"), record.get(column)
            if not isinstance(ref, str) or not isinstance(value, str):
                raise VendorDrift(f"{self.system} answered a row of {sobject} without {column}.")
            found[value] = ref
        return found

    async def parents(self, sobject: str, lookup: str, refs: Sequence[str], where: str = "") -> dict[str, str]:
        """Row → the record that its lookup names, of the rows with these ids; deleted ones too, but for a condition."""
        names, also = ("Id" if lookup == "Id" else f"Id, {lookup}"), f" AND {where}" if where else ""
        path = f"{self._api}/query" if where else f"{self._api}/queryAll"
        found: dict[str, str] = {}
        for first in range(0, len(refs), _IDS_PER_QUERY):
            ids = soql_texts(refs[first : first + _IDS_PER_QUERY])
            async for record in self._records(path, f"SELECT {names} FROM {sobject} WHERE Id IN {ids}{also}"):
                ref, parent = record.get("Id"), record.get(lookup)
                if isinstance(ref, str) and isinstance(parent, str):
                    found[ref] = parent
        return found

    async def stamps(self, sobject: str, where: str, key: str, *, limit: int | None = None) -> list[Mark]:
        """When rows changed, oldest change first, by their own id or by the id in a lookup `key`.

        A row that changes while a list is begun anew comes again, with its later change.
        """
        names = "Id, SystemModstamp" if key == "Id" else f"Id, {key}, SystemModstamp"
        marks: list[Mark] = []

        def behind() -> str:
            condition = later(where, marks[-1] if marks else None, key)
            head = f"SELECT {names} FROM {sobject}" + (f" WHERE {condition}" if condition else "")
            return f"{head} ORDER BY SystemModstamp, {key}" + (f" LIMIT {limit - len(marks)}" if limit else "")

        async for record in self._records(f"{self._api}/query", behind(), behind):
            stamped, ref = drift(self.system, _Stamped, record), record.get(key)
            if not isinstance(ref, str):
                raise VendorDrift(f"{self.system} answered a row of {sobject} without {key}.")
            marks.append(Mark(stamped.system_modstamp, ref))
        return marks

    async def changed(self, family: Family, after: Mark | None, limit: int) -> tuple[list[Mark], Mark | None]:
        """Up to `limit` candidates after the mark, oldest change first, and how far the search saw (None: to the end).

        A candidate may have changed again later than the end of the search; the reader compares with the row itself.
        """
        own = await self.stamps(family.sobject, later(family.where, after, "Id"), "Id", limit=limit)
        seen = [own[-1]] if len(own) >= limit else []
        found = own
        if family.child:
            where = later(family.child_where, after, family.lookup)
            children = await self.stamps(family.child, where, family.lookup, limit=limit * 4)
            seen += [children[-1]] if len(children) >= limit * 4 else []
            found = sorted(own + children)
        horizon = min(seen) if seen else None
        latest: dict[str, Mark] = {}
        for mark in found:
            if horizon and mark > horizon:
                break
            if mark.ref not in latest and len(latest) == limit:
                horizon = max(latest.values())
                break
            latest[mark.ref] = mark
        return sorted(latest.values()), horizon

    async def describe(self, objects: Sequence[str]) -> dict[str, tuple[FieldFacts, ...]]:
        """Object → its fields as the org's metadata tells them; objects the org does not know are left out."""
        told = await asyncio.gather(*(self._described(name) for name in objects))
        return {name: facts for name, facts in zip(objects, told, strict=True) if facts is not None}

    async def _described(self, name: str) -> tuple[FieldFacts, ...] | None:
        try:
            answer = await self.outbound.read("GET", self._api + route("/sobjects/{name}/describe", name=name))
        except NotFound:
            return None
        described = drift(self.system, _Fields, answer.json()).fields
        own = tuple(
            FieldFacts(
                name=field.name,
                kind=field.type,
                label=field.label,
                is_required=field.createable and not field.nillable and not field.is_defaulted,
                is_writable=field.createable or field.updateable,
                values=tuple(one.value for one in field.picked if one.active) if field.is_restricted else (),
            )
            for field in described
        )
        return own + tuple(
            FieldFacts(one.parent, "parent row", one.label, is_writable=one.createable or one.updateable)
            for one in described
            if one.parent
        )

    # --- writing ---------------------------------------------------------------------------------------------------
    async def amend(self, sobject: str, ref: str, values: Mapping[str, Any]) -> None:
        """Set fields of a row. Repeat: the same values again. Raises NotFound."""
        path = self._api + route("/sobjects/{sobject}/{ref}", sobject=sobject, ref=ref)
        await self.outbound.write("PATCH", path, json=dict(values), repeatable=True)

    async def upsert(self, sobject: str, key: str, value: str, values: Mapping[str, Any]) -> None:
        """Bring the row with that external id to these values, or make it. Repeat: the same row."""
        path = self._api + route("/sobjects/{sobject}/{key}/{value}", sobject=sobject, key=key, value=value)
        await self.outbound.write("PATCH", path, json=dict(values), repeatable=True)

    async def upsert_all(self, sobject: str, key: str, rows: Sequence[Mapping[str, Any]], *, size: int = 50) -> None:
        """The same for many rows, each with its `key`; every list of `size` is one transaction."""
        path = self._api + route("/composite/sobjects/{sobject}/{key}", sobject=sobject, key=key)
        await self._in_lists(path, sobject, rows, size)

    async def amend_all(self, sobject: str, rows: Sequence[Mapping[str, Any]], *, size: int = 50) -> None:
        """Set fields of many rows, each with its `id`; every list of `size` is one transaction."""
        await self._in_lists(f"{self._api}/composite/sobjects", sobject, rows, size)

    async def act(self, name: str, inputs: Mapping[str, Any]) -> Json:
        """Run an invocable action of a package once; its outputs. Not repeatable: raises OutcomeUnknown on a cut."""
        path = self._api + route("/actions/custom/apex/{name}", name=name)
        answer = await self.outbound.write("POST", path, json={"inputs": [dict(inputs)]})
        [acted] = drift(self.system, tuple[_Acted], answer.json())
        if not acted.is_success:
            raise self._refusal((acted.errors or ())[:1])
        return acted.outputs or {}

    async def _in_lists(self, path: str, sobject: str, rows: Sequence[Mapping[str, Any]], size: int) -> None:
        size = min(size, _MOST_ROWS)
        for first in range(0, len(rows), size):
            records = [{"attributes": {"type": sobject}, **row} for row in rows[first : first + size]]
            for pause in (*_LOCK_PAUSES, None):
                refusal = await self._saved(path, records)
                if refusal is None:
                    break
                if pause is None or not isinstance(refusal, VendorThrottled):
                    raise refusal
                await asyncio.sleep(pause)

    async def _saved(self, path: str, records: Sequence[Json]) -> PlatformError | None:
        """What stood against a list, or None: saved whole. Repeat: the same values again."""
        body = {"allOrNone": True, "records": records}
        answer = await self.outbound.write("PATCH", path, json=body, repeatable=True)
        results = drift(self.system, list[_Saved], answer.json())
        told = [error for one in results if not one.success for error in one.errors if error.code != _ROLLED_BACK]
        if not told and all(one.success for one in results):
            return None
        return self._refusal(told[:1])

    def _refusal(self, told: Sequence[_Problem]) -> PlatformError:
        """The error of our tree that a part of an answer tells; all of it was rolled back."""
        body = [{"errorCode": one.code, "message": one.message} for one in told] or [{}]
        error = self.outbound.error_of(400, body, is_write=True)
        if error is None:
            raise VendorDrift(f"{self.system} refused a write without a reason.")
        return error

    # --- pages -----------------------------------------------------------------------------------------------------
    async def _records(self, path: str, soql: str, behind: Callable[[], str] | None = None) -> AsyncIterator[Json]:
        """Every row of a query, child results whole.

        The org forgets after two days, or when a user has many lists open, how far one was read. The list then begins
        anew: by what `behind` asks, which is for the rows behind the last one, up to twenty times; without it once,
        from the start, and rows that were told are passed over. Raises CursorExpired when that is not enough.
        """
        told: set[Any] = set()
        for left in range(_MOST_ANEW if behind else 1, -1, -1):
            try:
                async for record in self._walked(path, soql):
                    ref = None if behind else record.get("Id")
                    if ref is not None and ref in told:
                        continue
                    whole = await self._completed(record)
                    told.add(ref)
                    yield whole
            except CursorExpired:
                if not left:
                    raise
            else:
                return
            soql = behind() if behind else soql

    def _walked(self, path: str, soql: str | None = None) -> AsyncIterator[Json]:
        async def page(link: str | None) -> tuple[list[Json], str | None]:
            params = {"q": soql} if link is None and soql else None
            answer = await self.outbound.read("GET", link or path, params=params)
            return self._page(answer.json())

        return walk(page, system=self.system)

    def _page(self, body: Any) -> tuple[list[Json], str | None]:
        if not isinstance(body, dict):
            raise VendorDrift(f"{self.system} answered a query with something that is not a result.")
        result = cast("Json", body)
        for name in ("records", "done"):
            if name not in result:
                raise VendorDrift(f"{self.system} answered a query without {name}.")
        link = None if result["done"] else result.get("nextRecordsUrl")
        if not result["done"] and not isinstance(link, str):
            raise VendorDrift(f"{self.system} answered an unfinished query without nextRecordsUrl.")
        return result["records"], link

    async def _completed(self, record: Json) -> Json:
        """The record with child results that go over several pages read to their end."""
        for name, value in record.items():
            child = cast("Json", value) if isinstance(value, dict) else {}
            if "records" in child and child.get("done") is False:
                records, link = self._page(child)
                rest = [await self._completed(more) async for more in self._walked(link or "")]
                record[name] = {**child, "records": [*records, *rest], "done": True}
        return record
