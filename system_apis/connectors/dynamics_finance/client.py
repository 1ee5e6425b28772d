"""The product's wire: Entra tokens, entity sets across companies, change sets, data packages, the posting service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from shared.errors.taxonomy import (
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    VendorDrift,
    VendorRejected,
)
from shared.outbound import Outbound, TokenRequest, drift, route, walk
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.packages import compose
from system_apis.connectors.dynamics_finance.payloads import (
    ActionAnswer,
    BlobPlace,
    Page,
    Payload,
    PostingAnswer,
    PublicEntity,
)
from system_apis.connectors.dynamics_finance.rows import NAMESPACE, VENDOR, Rows, Values, infolog
from system_apis.dialects import odata
from system_apis.manifest import Manifest
from system_apis.ports.binding import MOST_AT_ONCE, Binding

GROUP: Final = "Throughline"
LARGEST_SET: Final = 1_000
_LOGIN: Final = "https://login.microsoftonline.com"
_FRAMEWORK: Final = f"data/DataManagementDefinitionGroups/{NAMESPACE}"
_MOST_LOOKS: Final = 600
_RUNNING: Final = frozenset({"Unknown", "NotRun", "Executing"})
_EVERYWHERE: Final = {"cross-company": "true"}
Row = TypeVar("Row", bound=Payload)


@dataclass(frozen=True, slots=True)
class Change:
    """New values for a row (None: take it away), under the names of `fields.yaml`; only while its version is `etag`."""

    key: Values
    values: Values | None
    etag: str


def _code_of(body: Any) -> tuple[str | None, str | None]:
    if "Message" in body:
        return None, str(body["Message"])
    error = body["error"]
    inner: Any = error.get("innererror")
    return None, infolog(str(inner["message"] if inner else error["message"]))


class FinanceClient:
    """One environment, one application."""

    def __init__(self, binding: Binding, manifest: Manifest, options: Options) -> None:
        self.rows = Rows(binding.overrides, options.set_names)
        self._options = options
        self._root = binding.setting("base_url").rstrip("/")
        login = (binding.settings.get("login_url") or _LOGIN).rstrip("/")
        tenant = route("{tenant}", tenant=binding.setting("tenant_id"))
        form = {
            "grant_type": "client_credentials",
            "client_id": binding.setting("client_id"),
            "client_secret": binding.secret("client_secret"),
            "scope": f"{self._root}/.default",
        }
        at_once = binding.whole("at_once", manifest.budget.at_once, at_most=MOST_AT_ONCE)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=self._root,
            auth=TokenRequest(system=VENDOR, token_url=f"{login}/{tenant}/oauth2/v2.0/token", form=lambda: form),
            errors=manifest.errors,
            budget=manifest.budget.model_copy(update={"at_once": at_once}),
            read_body_code=_code_of,
            owner=binding.tenant,
        )
        self._importing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    # --- reading -----------------------------------------------------------------------------------------------------
    async def select(
        self,
        entity: str,
        model: type[Row],
        equal: Values | None = None,
        *,
        where: str = "",
        order: str = "",
        top: int | None = None,
    ) -> list[Row]:
        """Rows of all companies that fulfil both conditions; every page, or the first `top` rows."""
        found = " and ".join(part for part in (self.rows.where(entity, equal or {}), where) if part)
        params = {**_EVERYWHERE, "$select": self.rows.columns(entity)}
        params |= {"$filter": found} if found else {}
        params |= {"$orderby": order} if order else {}
        params |= {"$top": str(top)} if top is not None else {}
        first = f"data/{self.rows.set_of(entity)}"

        async def fetch(cursor: str | None) -> tuple[Sequence[Row], str | None]:
            page = await self._page(cursor or first, None if cursor else params)
            return [self.rows.read(entity, model, row) for row in page.value], page.next_link

        return [row async for row in walk(fetch, system=VENDOR)]

    async def _page(self, path: str, params: Mapping[str, str] | None) -> Page:
        try:
            answer = await self._outbound.read("GET", path, params=params)
        except NotFound as error:
            name = path.rpartition("/")[2].partition("?")[0]
            sentence = f"{VENDOR} has no entity set {name}; if it is called otherwise there, say so in set_names"
            raise Misconfigured(sentence, detail=error.message) from error
        return drift(VENDOR, Page, answer.json())

    async def one(self, entity: str, model: type[Row], equal: Values) -> Row | None:
        """The row with these values, or None."""
        rows = await self.select(entity, model, equal, top=1)
        return rows[0] if rows else None

    async def has_rows(self, name: str) -> bool:
        """Whether an entity set has any row."""
        page = await self._page(f"data/{self.rows.called(name)}", {**_EVERYWHERE, "$top": "1"})
        return bool(page.value)

    async def model(self) -> bytes:
        """`$metadata`."""
        return (await self._outbound.read("GET", "data/$metadata", headers={"Accept": "application/xml"})).content

    async def public_entity(self, name: str) -> PublicEntity:
        """A data entity as the metadata service tells it."""
        path = odata.key("metadata/PublicEntities", name)
        return drift(VENDOR, PublicEntity, (await self._outbound.read("GET", path)).json())

    # --- writing -----------------------------------------------------------------------------------------------------
    async def create(self, entity: str, model: type[Row], values: Values) -> Row:
        """A new row, as it stands after the server filled in its defaults. Raises Conflict where its key is taken."""
        answer = await self._outbound.write(
            "POST", f"data/{self.rows.set_of(entity)}", params=_EVERYWHERE, json=self.rows.body(entity, values)
        )
        return self.rows.read(entity, model, answer.json())

    async def amend(self, entity: str, change: Change) -> None:
        """One change. Raises StaleVersion where the row has changed since."""
        method = "DELETE" if change.values is None else "PATCH"
        await self._outbound.write(
            method,
            f"data/{odata.key(self.rows.set_of(entity), self.rows.key(entity, change.key))}",
            params=_EVERYWHERE,
            headers={"If-Match": change.etag},
            json=None if change.values is None else self.rows.body(entity, change.values),
            repeatable=True,
        )

    async def change_set(self, entity: str, inserts: Sequence[Values], changes: Sequence[Change] = ()) -> None:
        """All of it or nothing; many new rows go as a data package instead, where each stands for itself."""
        if len(inserts) >= self._options.bulk_from:
            await self._import(entity, inserts)
            inserts = ()
        parts = [self._part(entity, change) for change in changes]
        parts += [
            odata.Part("POST", f"{self._root}/data/{self.rows.set_of(entity)}", self.rows.body(entity, values))
            for values in inserts
        ]
        for start in range(0, len(parts), LARGEST_SET):
            await self._batch(parts[start : start + LARGEST_SET])

    def _part(self, entity: str, change: Change) -> odata.Part:
        place = odata.key(self.rows.set_of(entity), self.rows.key(entity, change.key))
        body = None if change.values is None else self.rows.body(entity, change.values)
        url = f"{self._root}/data/{place}?cross-company=true"
        return odata.Part("DELETE" if body is None else "PATCH", url, body, {"If-Match": change.etag})

    async def _batch(self, parts: Sequence[odata.Part]) -> None:
        content, kind = odata.compose_batch([list(parts)])
        answer = await self._outbound.write(
            "POST",
            "data/$batch",
            headers={"Content-Type": kind, "Accept": "multipart/mixed"},
            content=content,
        )
        try:
            answers = odata.read_batch(answer.content, answer.headers.get("content-type", ""), VENDOR)
        except VendorDrift as error:
            raise OutcomeUnknown(f"{VENDOR} answered a change set unreadably.", detail=error.message) from error
        for one in answers:
            if error := self._outbound.error_of(one.status, one.body, is_write=True):
                raise error

    async def post(self, kind: str, company: str, document: str) -> None:
        """Have the posting service post a document. Repeat: a document that is posted already stays so.

        Raises PeriodClosed, VendorRejected; nothing was posted then.
        """
        body = {"documentType": kind, "company": company, "document": document}
        answer = await self._outbound.write("POST", f"api/services/{self._options.posting_service}", json=body)
        try:
            said = drift(VENDOR, PostingAnswer, answer.json())
        except VendorDrift as error:
            raise OutcomeUnknown(f"{VENDOR} answered a posting unreadably.", detail=error.message) from error
        text = infolog(said.infolog)
        if said.is_posted == "Yes" or "posted already" in text.lower():
            return
        if "is not open" in text or "period is closed" in text.lower():
            raise PeriodClosed(f"{VENDOR}: {text}")
        raise VendorRejected(f"{VENDOR} did not post {kind} {document}: {text}")

    # --- data packages -----------------------------------------------------------------------------------------------
    async def _import(self, entity: str, values: Sequence[Values]) -> None:
        """Import rows; what the framework refuses is told row by row. One import at a time, as it asks for."""
        name = self.rows.documented(entity)
        label = self._options.package_labels.get(name, name)
        bodies = [self.rows.body(entity, one) for one in values]
        columns = dict.fromkeys(column for body in bodies for column in body)
        rows = [{column: body.get(column) for column in columns} for body in bodies]
        async with self._importing:
            place = await self._ask("GetAzureWriteUrl", {"uniqueFileName": f"{name}.zip"})
            blob = BlobPlace.model_validate_json(str(place)).url
            await self._upload(blob, compose(GROUP, label, rows))
            order = {
                "packageUrl": blob,
                "definitionGroupId": GROUP,
                "executionId": "",
                "execute": True,
                "overwrite": True,
                "legalEntityId": str(bodies[0]["dataAreaId"]),
            }
            execution = str(await self._act("ImportFromPackage", order))
            status = await self._ended(execution)
        if status != "Succeeded":
            errors = str(await self._ask("GetExecutionErrors", {"executionId": execution}))
            raise VendorRejected(f"{VENDOR} imported {label}: {status}. {errors[:500]}")

    async def _ask(self, action: str, body: Mapping[str, Any]) -> str | bool:
        answer = await self._outbound.read("POST", f"{_FRAMEWORK}.{action}", json=body)
        return drift(VENDOR, ActionAnswer, answer.json()).value

    async def _act(self, action: str, body: Mapping[str, Any]) -> str | bool:
        answer = await self._outbound.write("POST", f"{_FRAMEWORK}.{action}", json=body)
        return drift(VENDOR, ActionAnswer, answer.json()).value

    async def _ended(self, execution: str) -> str:
        for _ in range(_MOST_LOOKS):
            status = str(await self._ask("GetExecutionSummaryStatus", {"executionId": execution}))
            if status not in _RUNNING:
                return status
            await asyncio.sleep(self._options.package_poll)
        raise OutcomeUnknown(f"{VENDOR} is still importing package {execution}.")

    @staticmethod
    async def _upload(url: str, content: bytes) -> None:
        """Into the storage account: another host, where the signature in the address is the permission."""
        parts = urlsplit(url)
        storage = Outbound(system=f"{VENDOR} storage", base_url=f"{parts.scheme}://{parts.netloc}")
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/zip"}
        try:
            await storage.write("PUT", url, headers=headers, content=content, repeatable=True)
        finally:
            await storage.aclose()
