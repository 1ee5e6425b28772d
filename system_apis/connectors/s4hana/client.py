"""S/4HANA's wire: services of OData 2 and 4, rows, deep inserts, change sets; answers JSON, knows nothing canonical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from shared.errors.taxonomy import FieldFinding, NotFound, OutcomeUnknown, VendorDrift
from shared.outbound import Answer, Outbound, walk
from system_apis.connectors.s4hana.door import VENDOR, SecuritySession
from system_apis.dialects.odata import Part, compose_batch, key, literal, read_batch
from system_apis.manifest import Manifest
from system_apis.ports.binding import MOST_AT_ONCE, Binding

Json = dict[str, Any]
PAGE = 1000
V2: Final = 2
_ODATA = "sap/opu/odata/sap/"
_WRAPPER = "/IWBEP/CX_MGW_BUSI_EXCEPTION"
PARTNERS = _ODATA + "API_BUSINESS_PARTNER"
PROJECTS = _ODATA + "API_ENTERPRISE_PROJECT_SRV;v=0002"
ORDERS = _ODATA + "API_SALES_ORDER_SRV"
REQUESTS = _ODATA + "API_DEBIT_MEMO_REQUEST_SRV"
BILLING = _ODATA + "API_BILLING_DOCUMENT_SRV"
LEDGER = _ODATA + "API_GLACCOUNTLINEITEM"
COMPANIES = _ODATA + "API_COMPANYCODE_SRV"
PRODUCTS = _ODATA + "API_PRODUCT_SRV"
ENTITIES = _ODATA + "YY1_TLLEGALENTITY_CDS"
RATES = _ODATA + "YY1_TLRATE_CDS"
MAKING = "sap/opu/odata4/sap/api_billingdocument/srvd_a2x/sap/billingdocument/0001"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a set; `select` and `expand` are paths."""

    where: str = ""
    select: Sequence[str] = ()
    expand: Sequence[str] = ()
    order: str = ""
    top: int | None = None
    skip: int | None = None

    def params(self) -> dict[str, str]:
        """The query options."""
        given = {
            "$filter": self.where,
            "$select": ",".join(self.select),
            "$expand": ",".join(self.expand),
            "$orderby": self.order,
            "$top": "" if self.top is None else str(self.top),
            "$skip": "" if not self.skip else str(self.skip),
            "$format": "json",
        }
        return {name: text for name, text in given.items() if text}


@dataclass(frozen=True, slots=True)
class Change:
    """One write of a change set; `path` is below the service, `version` the row's ETag where it has one."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    version: str | None = None


class S4Client:
    """One tenant of S/4HANA, one communication arrangement."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        known = {rule.body_code for rule in manifest.errors if rule.body_code}
        at_once = binding.whole("at_once", manifest.budget.at_once, at_most=MOST_AT_ONCE)
        self._session = SecuritySession(binding, manifest)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=binding.setting("base_url").rstrip("/"),
            auth=self._session,
            errors=manifest.errors,
            budget=manifest.budget.model_copy(update={"at_once": at_once}),
            read_body_code=lambda body: _code_of(body, known),
            owner=binding.tenant,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()
        await self._session.aclose()

    # --- reading -------------------------------------------------------------------------------------------------
    async def page(self, service: str, name: str, query: Query) -> tuple[list[Json], bool]:
        """The rows of one answer, and whether the service broke off."""
        answer = await self._outbound.read("GET", f"{service}/{name}", params=query.params())
        rows, following = _results(answer)
        return rows, following is not None

    async def rows(self, service: str, name: str, query: Query) -> list[Json]:
        """Every row, read on wherever the service breaks off."""

        async def fetch(cursor: str | None) -> tuple[list[Json], str | None]:
            if cursor is not None:
                following = cursor if "://" in cursor else f"{service}/{cursor}"
                return _results(await self._outbound.read("GET", following))
            return _results(await self._outbound.read("GET", f"{service}/{name}", params=query.params()))

        return [row async for row in walk(fetch, system=VENDOR)]

    async def find(self, service: str, name: str, value: Any, query: Query | None = None) -> Json | None:
        """The row with that key, or None."""
        params = (query or Query()).params()
        try:
            answer = await self._outbound.read("GET", f"{service}/{key(name, value, V2)}", params=params)
        except NotFound:
            return None
        return _entity(answer)

    async def metadata(self, service: str) -> bytes | None:
        """The service's own description, or None where there is no such service."""
        try:
            answer = await self._outbound.read("GET", f"{service}/$metadata", headers={"Accept": "application/xml"})
        except NotFound:
            return None
        return answer.content

    # --- writing -------------------------------------------------------------------------------------------------
    async def create(self, service: str, name: str, body: Mapping[str, Any]) -> Json:
        """A new row with whatever is nested in it, whole or not at all; never repeated by itself."""
        self._session.expect_writes()
        return _entity(await self._outbound.write("POST", f"{service}/{name}", json=body))

    async def change(self, service: str, path: str, body: Mapping[str, Any], version: str | None) -> None:
        """Set these fields of the row of that version."""
        self._session.expect_writes()
        await self._outbound.write(
            "PATCH", f"{service}/{path}", json=body, headers=_guard(version), repeatable=not version
        )

    async def call(self, service: str, function: str, **parameters: Any) -> Answer:
        """A function import that changes something; its parameters stand in the address as typed literals."""
        self._session.expect_writes()
        params = {name: literal(value, V2) for name, value in parameters.items()}
        return await self._outbound.write("POST", f"{service}/{function}", params=params, headers={"If-Match": "*"})

    async def act(self, path: str, body: Mapping[str, Any]) -> list[Json]:
        """An action of OData 4 on a set; the rows it answers."""
        self._session.expect_writes()
        answer = await self._outbound.write("POST", path, json=body)
        document = answer.json()
        rows: Any = cast("Json", document).get("value") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise OutcomeUnknown(f"{VENDOR} answered an action without value.", detail=answer.text[:200])
        return cast("list[Json]", rows)

    async def change_set(self, service: str, changes: Sequence[Change]) -> None:
        """All of the changes, or none. Raises what the first one that was refused means."""
        if not changes:
            return
        self._session.expect_writes()
        parts = [Part(one.method, one.path, one.body, _guard(one.version)) for one in changes]
        content, kind = compose_batch([parts])
        headers = {"Content-Type": kind, "Accept": "multipart/mixed"}
        answer = await self._outbound.write("POST", f"{service}/$batch", content=content, headers=headers)
        try:
            answers = read_batch(answer.content, answer.headers.get("content-type", ""), VENDOR)
        except VendorDrift as error:
            raise OutcomeUnknown(f"{VENDOR} answered a change set unreadably.", detail=error.message) from error
        for part in answers:
            if error := self._outbound.error_of(part.status, part.body, is_write=True):
                raise error
        if len(answers) != len(changes):
            raise OutcomeUnknown(f"{VENDOR} answered {len(answers)} of {len(changes)} changes.")


def etag(row: Mapping[str, Any]) -> str | None:
    """The version of a row as its metadata tells it; None where the service versions nothing."""
    return cast("Json", row.get("__metadata") or {}).get("etag")


def nested(row: Mapping[str, Any], name: str) -> list[Json]:
    """The rows that were expanded under a name: `results` for many, the row itself for one, none where it is null."""
    node = row.get(name)
    if node is None:
        return []
    if isinstance(node, Mapping):
        inner: Any = cast("Json", node).get("results", node)
        if isinstance(inner, list):
            return cast("list[Json]", inner)
        return [] if "__deferred" in cast("Json", node) else [cast("Json", node)]
    return cast("list[Json]", node)


def path_of(name: str, value: Any) -> str:
    """`Set(key)` below a service."""
    return key(name, value, V2)


def moment_literal(text: str) -> str:
    """An instant of type DateTimeOffset as a filter wants it."""
    return f"datetimeoffset'{text}'"


def quoted(text: str) -> str:
    """A text in a filter."""
    return literal(text, V2)


def _guard(version: str | None) -> dict[str, str]:
    return {"If-Match": version} if version else {}


def _drift(what: str, answer: Answer) -> VendorDrift:
    return VendorDrift(
        f"{VENDOR} answered without {what}.", findings=[FieldFinding(what, "missing")], detail=answer.text[:200]
    )


def _results(answer: Answer) -> tuple[list[Json], str | None]:
    document = answer.json()
    inner: Any = cast("Json", document).get("d") if isinstance(document, dict) else None
    rows: Any = cast("Json", inner).get("results") if isinstance(inner, dict) else inner
    if not isinstance(rows, list):
        raise _drift("d.results", answer)
    following = cast("Json", inner).get("__next") if isinstance(inner, dict) else None
    return cast("list[Json]", rows), following


def _entity(answer: Answer) -> Json:
    document = answer.json()
    row: Any = cast("Json", document).get("d") if isinstance(document, dict) else None
    if isinstance(row, dict):
        return cast("Json", row)
    if answer.was_write:
        raise OutcomeUnknown(f"{VENDOR} answered a change without d.", detail=answer.text[:200])
    raise _drift("d", answer)


def _code_of(body: Any, known: set[str]) -> tuple[str | None, str | None]:
    """The code that the error table knows, else the first; the message with what the details add to it."""
    error = cast("Json", body["error"])
    message: Any = error["message"]
    said = str(cast("Json", message)["value"] if isinstance(message, dict) else message)
    inner = cast("Json", error.get("innererror") or {})
    listed = cast("list[Json]", inner.get("errordetails") or error.get("details") or [])
    details = [one for one in listed if one.get("severity", "error") == "error" and one.get("code") != _WRAPPER]
    codes = [str(error["code"]), *(str(one["code"]) for one in details)]
    code = next((one for one in codes if one in known), codes[0])
    more = [_told(one) for one in details if str(one["message"]) != said or one.get("propertyref") or one.get("target")]
    return code, "; ".join(dict.fromkeys([said, *more]))


def _told(detail: Mapping[str, Any]) -> str:
    place = detail.get("propertyref") or detail.get("target")
    return f"{place}: {detail['message']}" if place else str(detail["message"])
