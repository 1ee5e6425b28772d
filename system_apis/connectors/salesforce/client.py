"""Salesforce's wire: getting in, queries read whole, single rows written; speaks payloads, not canonical models."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from joserfc import jwt
from joserfc.jwk import RSAKey

from shared.errors.taxonomy import Misconfigured, VendorDrift
from shared.outbound import Outbound, TokenRequest, drift, route, walk
from system_apis.connectors.salesforce.payloads import CLIENT_NAME, Payload
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding

Row = TypeVar("Row")
Json = dict[str, Any]
_ASSERTION_SECONDS = 180
_LOGIN = "https://login.salesforce.com"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_IDS_PER_QUERY = 200


def soql_text(value: str) -> str:
    """The value as a SOQL string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def soql_instant(moment: datetime) -> str:
    """The instant as a SOQL literal, to the millisecond, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def read_error(body: Any) -> tuple[str | None, str | None] | None:
    """Code and message in any of the shapes Salesforce words an error in."""
    listed = cast("list[Any]", body) if isinstance(body, list) else [body]
    first = listed[0] if listed else None
    if not isinstance(first, dict):
        return None
    error = cast("Json", first)
    code = error.get("errorCode") or error.get("statusCode") or error.get("error") or error.get("exceptionCode")
    message = error.get("message") or error.get("error_description") or error.get("exceptionMessage")
    return (str(code) if code else None), (str(message) if message else None)


@dataclass(frozen=True, slots=True)
class Family:
    """An object whose rows count as changed when rows that point at them change."""

    sobject: str
    where: str
    child: str | None = None
    lookup: str = ""
    child_where: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the order of change: instant, then row."""

    at: datetime
    ref: str


class SalesforceClient:
    """One org; the session is fetched when first needed and renewed when it has expired."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        base_url = binding.setting("base_url")
        self.system = binding.system
        self._api = f"/services/data/v{binding.settings.get('api_version') or manifest.wire.version}"
        form = _jwt_bearer(binding) if binding.settings.get("auth_flow") == "jwt_bearer" else _client_secret(binding)
        auth = TokenRequest(system=binding.system, token_url=f"{base_url.rstrip('/')}/services/oauth2/token", form=form)
        self._outbound = Outbound(
            system=binding.system,
            base_url=base_url,
            auth=auth,
            errors=manifest.errors,
            budget=manifest.budget,
            read_body_code=read_error,
            headers={"Sforce-Call-Options": f"client={CLIENT_NAME}"},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    async def ping(self) -> None:
        """The cheapest call that needs a session."""
        await self._outbound.read("GET", f"{self._api}/limits")

    async def rows(self, soql: str, model: type[Row]) -> list[Row]:
        """All rows of a query, child results read whole. Raises VendorDrift naming a field that is missing."""
        return [drift(self.system, model, record) async for record in self._records(f"{self._api}/query", soql)]

    async def rows_by_id(self, head: str, refs: Sequence[str], model: type[Row], where: str | None = None) -> list[Row]:
        """Rows of `head` (SELECT … FROM …) with these ids, as far as they are there."""
        found: list[Row] = []
        for start in range(0, len(refs), _IDS_PER_QUERY):
            listed = ", ".join(soql_text(ref) for ref in refs[start : start + _IDS_PER_QUERY])
            also = f" AND {where}" if where else ""
            found += await self.rows(f"{head} WHERE Id IN ({listed}){also}", model)
        return found

    async def stamps(
        self, sobject: str, where: str, key: str, *, order: bool = True, limit: int | None = None
    ) -> list[Mark]:
        """When rows changed, by their own id or by the id in a lookup `key`."""
        more = f" ORDER BY SystemModstamp, {key}" if order else ""
        more += f" LIMIT {limit}" if limit else ""
        names = "Id, SystemModstamp" if key == "Id" else f"Id, {key}, SystemModstamp"
        condition = f" WHERE {where}" if where else ""
        marks: list[Mark] = []
        async for record in self._records(f"{self._api}/query", f"SELECT {names} FROM {sobject}{condition}{more}"):
            row = drift(self.system, Payload, record)
            ref = record.get(key)
            if not isinstance(ref, str):
                raise VendorDrift(f"{self.system} answered a row of {sobject} without {key}.")
            marks.append(Mark(row.system_modstamp, ref))
        return marks

    async def changed(self, family: Family, after: Mark | None, limit: int) -> tuple[list[Mark], Mark | None]:
        """Up to `limit` candidates after the mark, oldest change first, and how far the search saw (None: to the end).

        A candidate may have changed again later than the end of the search; the reader compares with the row itself.
        """
        own = await self.stamps(family.sobject, _later(family.where, after, "Id"), "Id", limit=limit)
        seen = [own[-1]] if len(own) >= limit else []
        found = own
        if family.child:
            where = _later(family.child_where, after, family.lookup)
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

    async def amend(self, sobject: str, ref: str, values: Mapping[str, Any]) -> None:
        """Set fields of a row. Repeat: the same values again. Raises NotFound."""
        path = self._api + route("/sobjects/{sobject}/{ref}", sobject=sobject, ref=ref)
        await self._outbound.write("PATCH", path, json=dict(values), repeatable=True)

    async def upsert(self, sobject: str, key: str, value: str, values: Mapping[str, Any]) -> None:
        """Bring the row with that external id to these values, or make it. Repeat: the same row."""
        path = self._api + route("/sobjects/{sobject}/{key}/{value}", sobject=sobject, key=key, value=value)
        await self._outbound.write("PATCH", path, json=dict(values), repeatable=True)

    async def _records(self, path: str, soql: str | None = None) -> AsyncIterator[Json]:
        async def page(link: str | None) -> tuple[list[Json], str | None]:
            params = {"q": soql} if link is None and soql else None
            answer = await self._outbound.read("GET", link or path, params=params)
            return self._page(answer.json())

        async for record in walk(page, system=self.system):
            yield await self._completed(record)

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
                rest = [more async for more in self._records(link or "")]
                record[name] = {**child, "records": [*records, *rest], "done": True}
        return record


def _later(where: str, after: Mark | None, key: str) -> str:
    if after is None:
        return where
    at = soql_instant(after.at)
    later = f"SystemModstamp >= {at}"
    if after.ref:
        later += f" AND (SystemModstamp > {at} OR {key} > {soql_text(after.ref)})"
    return f"{where} AND {later}" if where else later


def _client_secret(binding: Binding) -> Any:
    form = {
        "grant_type": "client_credentials",
        "client_id": binding.setting("client_id"),
        "client_secret": binding.secret("client_secret"),
    }
    return lambda: form


def _jwt_bearer(binding: Binding) -> Any:
    issuer, subject = binding.setting("client_id"), binding.setting("username")
    audience = binding.settings.get("audience") or _LOGIN
    try:
        key = RSAKey.import_key(binding.secret("private_key"))
    except ValueError as error:
        raise Misconfigured(f"connector {binding.system}: secret private_key is not an RSA key in PEM form") from error

    def form() -> dict[str, str]:
        claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(time.time()) + _ASSERTION_SECONDS}
        return {"grant_type": _JWT_BEARER, "assertion": jwt.encode({"alg": "RS256"}, claims, key)}

    return form
