"""HubSpot's wire: getting in, batches, searches, associations, single writes; speaks payloads, not canonical models."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from shared.errors.taxonomy import (
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PlatformError,
    VendorRejected,
    VendorThrottled,
)
from shared.outbound import Answer, AuthFlow, Outbound, RetryPolicy, StaticHeaders, TokenRequest, drift, route, walk
from system_apis.connectors.hubspot.payloads import LinkFacts, LinksFacts, PagingFacts, PartFacts, Record, Results
from system_apis.manifest import Budget, Manifest
from system_apis.ports.binding import SHORTEST_PAUSE, Binding

Json = dict[str, Any]
Model = TypeVar("Model")
_SEARCH_PAGE = 200
_LIST_PAGE = 100
_SEARCHES = 5
# A second and a little: what leaves here within one second may arrive there within less.
_SEARCH_SECONDS = 1.2
_MOST_SILENCE = 900.0
_INNER = "Property values were not valid: "
_RELEASE = re.compile(r"^\d{4}-\d{2}$")
_STATUS_OF = {"OBJECT_NOT_FOUND": 404, "CONFLICT": 409, "MISSING_SCOPES": 403, "LOCKED": 423}


def read_error(body: Any) -> tuple[str | None, str | None] | None:
    """Code and message: the inner code of a refused value, the policy of a limit, or the category."""
    if not isinstance(body, dict):
        return None
    error = cast("Json", body)
    message = error.get("message") or error.get("error_description")
    text = str(message) if message else None
    code = _inner_code(text or "") or error.get("policyName") or error.get("category") or error.get("errorType")
    return (str(code) if code else None), text


def _inner_code(message: str) -> str | None:
    if not message.startswith(_INNER):
        return None
    try:
        listed: Any = json.loads(message[len(_INNER) :])
    except ValueError:
        return None
    first = cast("list[Any]", listed)[0] if isinstance(listed, list) and listed else None
    code = cast("Json", first).get("error") if isinstance(first, dict) else None
    return str(code) if code else None


def zone(binding: Binding) -> ZoneInfo:
    """The portal's time zone. Raises Misconfigured."""
    named = binding.settings.get("time_zone") or "UTC"
    try:
        return ZoneInfo(named)
    except (LookupError, ValueError, OSError) as error:
        raise Misconfigured(f"connector {binding.system}: setting time_zone names none: {named}") from error


class Paths:
    """Paths of the family a tenant's `api_version` names: the classic one, or that of a dated release."""

    def __init__(self, binding: Binding, documented: str) -> None:
        version = binding.settings.get("api_version") or documented
        if version != "v3" and not _RELEASE.match(version):
            raise Misconfigured(
                f"connector {binding.system}: setting api_version is neither v3 nor a dated release: {version}"
            )
        self._version = version
        self._is_dated = version != "v3"

    @property
    def token(self) -> str:
        """The token endpoint, parameters in the body."""
        return f"/oauth/{self._version}/token"

    @property
    def schemas(self) -> str:
        """Custom objects."""
        return f"/crm-object-schemas/{self._version}/schemas"

    def objects(self, kind: str, *rest: str) -> str:
        """Records of an object."""
        return self._crm("objects", kind, *rest)

    def properties(self, kind: str) -> str:
        """Properties of an object."""
        return self._crm("properties", kind)

    def pipelines(self, kind: str) -> str:
        """Pipelines of an object."""
        return self._crm("pipelines", kind)

    def owners(self) -> str:
        """Owners."""
        return self._crm("owners")

    def links(self, source: str, target: str, *rest: str) -> str:
        """Associations between two objects."""
        return self._crm("associations", source, target, *rest, classic="v4")

    def link(self, source: str, ref: str, target: str, other: str) -> str:
        """The unlabelled association of two records."""
        return self._crm("objects", source, ref, "associations", "default", target, other, classic="v4")

    def _crm(self, room: str, *rest: str, classic: str = "v3") -> str:
        head = f"/crm/{room}/{self._version}" if self._is_dated else f"/crm/{classic}/{room}"
        return head + "".join(route("/{part}", part=part) for part in rest)


class HubspotClient:
    """One portal. Searches have a connection and a budget of their own, since the vendor counts them apart."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.system = binding.system
        self.paths = Paths(binding, manifest.wire.version)
        self._zone = zone(binding)
        self._batch = binding.whole("batch_size", 100)
        self._spent_until = 0.0
        auth = _auth(binding, self.paths)
        at_once = manifest.budget.at_once
        requests = binding.whole("requests_per_ten_seconds", manifest.budget.requests)
        searches = binding.whole("searches_per_second", _SEARCHES)
        retry = RetryPolicy(attempts=5, first=binding.number("pause_seconds", 1, at_least=SHORTEST_PAUSE), longest=10.0)

        def opened(budget: Budget) -> Outbound:
            return Outbound(
                system=binding.system,
                base_url=binding.setting("base_url"),
                auth=auth,
                errors=manifest.errors,
                budget=budget,
                read_body_code=read_error,
                retry=retry,
                owner=binding.tenant,
            )

        self._outbound = opened(Budget(requests=requests, per_seconds=10, at_once=at_once))
        self._searching = opened(Budget(requests=searches, per_seconds=_SEARCH_SECONDS, at_once=min(at_once, searches)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()
        await self._searching.aclose()

    async def ping(self) -> None:
        """The cheapest call that needs a token."""
        await self._asked(self._outbound.read("GET", self.paths.objects("deals"), params={"limit": 1}))

    async def results(self, path: str, model: type[Model]) -> list[Model]:
        """Every row of a list, read to its last page. Raises VendorDrift naming a field that is missing."""

        async def page(after: str | None) -> tuple[list[Any], str | None]:
            params = {"limit": _LIST_PAGE, "after": after} if after else None
            return self._page(await self._asked(self._outbound.read("GET", path, params=params)))

        return drift(self.system, list[model], [row async for row in walk(page, system=self.system)])

    async def records(self, kind: str, refs: Sequence[str], properties: Sequence[str]) -> list[Json]:
        """Properties of the records with these ids, as far as they are there; ids that cannot be one are none."""
        found: list[Json] = []
        for chunk in self._chunks([ref for ref in refs if ref.isascii() and ref.isdigit()]):
            body = {"inputs": [{"id": ref} for ref in chunk], "properties": properties, "propertiesWithHistory": []}
            answer = await self._asked(
                self._outbound.read("POST", self.paths.objects(kind, "batch", "read"), json=body)
            )
            found += self._rows(self._parts(answer, NotFound))
        return found

    async def search(
        self, kind: str, groups: Sequence[Sequence[Json]], sort: str, properties: Sequence[str], limit: int
    ) -> tuple[list[Json], bool]:
        """The first rows of a search in rising order, and whether there are more.

        Never read on by the vendor's own `after`: it counts places, which shift while records change, and it ends at
        the ten-thousandth. Whoever wants more searches again behind the last row.
        """
        body = {
            "filterGroups": [{"filters": list(filters)} for filters in groups],
            "sorts": [sort],
            "properties": properties,
            "limit": min(limit, _SEARCH_PAGE),
        }
        path = self.paths.objects(kind, "search")
        rows, after = self._page(await self._asked(self._searching.read("POST", path, json=body)))
        return self._rows(rows), after is not None

    async def links(self, source: str, target: str, refs: Sequence[str]) -> dict[str, list[LinkFacts]]:
        """Whom each record is associated with, with types and labels; records without any are left out."""
        found: dict[str, list[LinkFacts]] = {}
        waiting: list[Json] = [{"id": ref} for ref in dict.fromkeys(refs) if ref.isascii() and ref.isdigit()]
        seen: set[tuple[str, str]] = set()
        while waiting:
            chunk, waiting = waiting[: self._batch], waiting[self._batch :]
            path = self.paths.links(source, target, "batch", "read")
            answer = await self._asked(self._outbound.read("POST", path, json={"inputs": chunk}))
            for row in drift(self.system, list[LinksFacts], self._parts(answer, NotFound)):
                found.setdefault(row.source.id, []).extend(row.to)
                if row.paging and row.paging.next and (row.source.id, row.paging.next.after) not in seen:
                    seen.add((row.source.id, row.paging.next.after))
                    waiting.append({"id": row.source.id, "after": row.paging.next.after})
        return found

    async def amend(self, kind: str, ref: str, values: Json) -> None:
        """Set properties of a record. Repeat: the same values again. Raises NotFound."""
        path = self.paths.objects(kind, ref)
        await self._asked(self._outbound.write("PATCH", path, json={"properties": values}, repeatable=True))

    async def upsert(self, kind: str, key: str, value: str, values: Json) -> tuple[str, bool]:
        """Bring the record with that unique value to these values, or make it; its id, and whether it was made.

        Repeat: the same record.
        """
        one = {"idProperty": key, "id": value, "properties": values, "objectWriteTraceId": value}
        path = self.paths.objects(kind, "batch", "upsert")
        answer = await self._asked(self._outbound.write("POST", path, json={"inputs": [one]}, repeatable=True))
        rows = self._parts(answer)
        if len(rows) != 1 or not isinstance(rows[0], dict) or "id" not in rows[0]:
            raise OutcomeUnknown(f"{self.system} answered an upsert of {kind} without the record.")
        row = cast("Json", rows[0])
        return str(row["id"]), row.get("new") is True

    async def link(self, source: str, ref: str, target: str, other: str) -> None:
        """Associate two records without a label. Repeat: the same association. Raises NotFound."""
        path = self.paths.link(source, ref, target, other)
        await self._asked(self._outbound.write("PUT", path, repeatable=True))

    async def archive(self, kind: str, ref: str) -> None:
        """Take a record away. Repeat: it stays away."""
        await self._asked(self._outbound.write("DELETE", self.paths.objects(kind, ref), repeatable=True))

    async def _asked(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer. The limit of the day is told as a wait, and nothing is asked for a while after it."""
        left = self._spent_until - time.monotonic()
        if left > 0:
            asking.close()
            raise self._spent(left)
        try:
            return await asking
        except VendorRejected as error:
            if error.extra.get("vendor_code") != "DAILY":
                raise
            wait = min(self._until_midnight(), _MOST_SILENCE)
            self._spent_until = time.monotonic() + wait
            raise self._spent(wait) from error

    def _spent(self, wait: float) -> VendorThrottled:
        return VendorThrottled(f"The requests {self.system} allows in a day are used up.", retry_after=wait)

    def _until_midnight(self) -> float:
        now = datetime.now(UTC).astimezone(self._zone)
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (tomorrow - now).total_seconds()

    def _chunks(self, refs: Sequence[str]) -> list[Sequence[str]]:
        unique = list(dict.fromkeys(refs))
        return [unique[start : start + self._batch] for start in range(0, len(unique), self._batch)]

    def _page(self, answer: Answer) -> tuple[list[Any], str | None]:
        body = drift(self.system, dict[str, Any], answer.json())
        rows = drift(self.system, Results, body).results
        paging = drift(self.system, PagingFacts, body.get("paging") or {})
        return rows, paging.next.after if paging.next else None

    def _rows(self, raw: list[Any]) -> list[Json]:
        return [record.properties for record in drift(self.system, list[Record], raw)]

    def _parts(self, answer: Answer, *harmless: type[PlatformError]) -> list[Any]:
        """Results of a batch. Raises what the first failed part means, unless it is harmless."""
        body = drift(self.system, dict[str, Any], answer.json())
        for raw in cast("list[Any]", body.get("errors") or []):
            part = drift(self.system, PartFacts, raw)
            status = _STATUS_OF.get(part.category, 400)
            error = self._outbound.error_of(status, raw, is_write=answer.was_write)
            if error is not None and not isinstance(error, harmless):
                raise error
        return drift(self.system, Results, body).results


def _auth(binding: Binding, paths: Paths) -> AuthFlow:
    flow = binding.choice("auth_flow", "private_app", "refresh_token")
    if flow == "private_app":
        return StaticHeaders.bearer(binding.secret("access_token"))
    form: Mapping[str, str] = {
        "grant_type": "refresh_token",
        "client_id": binding.setting("client_id"),
        "client_secret": binding.secret("client_secret"),
        "refresh_token": binding.secret("refresh_token"),
    }
    url = binding.setting("base_url").rstrip("/") + paths.token
    return TokenRequest(system=binding.system, token_url=url, form=lambda: form)
