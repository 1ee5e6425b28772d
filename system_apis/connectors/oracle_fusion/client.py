"""Oracle Fusion's wire: resources read page by page, items written with their change indicator, batches, the door."""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast
from urllib.parse import quote, quote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from shared.errors.taxonomy import FieldFinding, Misconfigured, NotFound, VendorDrift
from shared.outbound import AuthFlow, Outbound, StaticHeaders, TokenRequest, drift
from system_apis.connectors.oracle_fusion.payloads import Page
from system_apis.manifest import Manifest
from system_apis.ports.binding import MOST_AT_ONCE, Binding

VENDOR = "oracle_fusion"
LARGEST_PAGE = 500
FRAMEWORK, LAST_FRAMEWORK = 4, 9
ITEM_TYPE = "application/vnd.oracle.adf.resourceitem+json"
ACTION_TYPE = "application/vnd.oracle.adf.action+json"
BATCH_TYPE = "application/vnd.oracle.adf.batch+json"
_ACCEPT = "application/json, application/vnd.oracle.adf.error+json"
_VERSION = "11.13.18.05"
_CRM = frozenset({"hubOrganizations"})
_CONTEXT = "__FLEX_Context"
_FLEX = re.compile(r"(DFF|GDF|FlexfieldVA|FlexVA)$", re.IGNORECASE)
_ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE = "https://identity.oraclecloud.com/"
_ASSERTION_SECONDS = 300
Row = dict[str, Any]
Model = TypeVar("Model")


def literal(value: object) -> str:
    """A constant in a `q` expression."""
    if isinstance(value, datetime):
        return f"'{value.isoformat(timespec='milliseconds')}'"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def listed(values: Sequence[object]) -> str:
    """A list in a `q` expression."""
    return "(" + ", ".join(literal(value) for value in values) + ")"


def part(key: object) -> str:
    """A key as a part of a path."""
    return quote(str(key), safe="")


@dataclass(frozen=True, slots=True)
class Item:
    """An item with where it stands: its key in addresses (may be a hash), and its change indicator."""

    row: Row
    key: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a batch; `path` is below the version."""

    operation: str
    path: str
    payload: Mapping[str, Any] | None = None
    etag: str | None = None


def _code_of(body: Any) -> tuple[str | None, str | None]:
    document = body["parts"][0]["payload"] if "parts" in body else body
    detail = document["o:errorDetails"][0]
    path = detail.get("o:errorPath")
    message = str(detail.get("detail", ""))
    return detail.get("o:errorCode"), f"{message} ({path})" if path else message


class FusionClient:
    """One pod, one integration user."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self._context = binding.settings.get("flex_context") or None
        at_once = binding.whole("at_once", manifest.budget.at_once, at_most=MOST_AT_ONCE)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=binding.setting("base_url").rstrip("/"),
            auth=_door(binding),
            errors=manifest.errors,
            budget=manifest.budget.model_copy(update={"at_once": at_once}),
            read_body_code=_code_of,
            owner=binding.tenant,
            headers={
                "REST-Framework-Version": str(binding.whole("framework_version", FRAMEWORK, at_most=LAST_FRAMEWORK)),
                "Accept": _ACCEPT,
            },
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    # --- reading -------------------------------------------------------------------------------------------------
    async def page(
        self,
        path: str,
        *,
        q: str | None = None,
        expand: str | None = None,
        order: str | None = None,
        limit: int = LARGEST_PAGE,
        offset: int = 0,
    ) -> tuple[list[Item], bool]:
        """One page of a collection, and whether there is more."""
        params = {"q": q, "expand": expand or None, "orderBy": order, "limit": limit, "offset": offset or None}
        answer = await self._outbound.read("GET", _address(path), params=params)
        page = drift(VENDOR, Page, answer.json())
        return [_item(dict(row)) for row in page.items], page.has_more

    async def items(
        self, path: str, *, q: str | None = None, expand: str | None = None, order: str | None = None
    ) -> list[Item]:
        """Every item of a collection; `order` must be without ties where the collection is longer than a page."""
        found: list[Item] = []
        has_more = True
        while has_more:
            page, has_more = await self.page(path, q=q, expand=expand, order=order, offset=len(found))
            if has_more and not page:
                raise VendorDrift(f"{VENDOR} tells of more items of {path} and gives none.")
            found += page
        return found

    async def rows(
        self, path: str, *, q: str | None = None, expand: str | None = None, order: str | None = None
    ) -> list[Row]:
        """Every item's attributes."""
        return [item.row for item in await self.items(path, q=q, expand=expand, order=order)]

    async def get(self, path: str, *, expand: str | None = None) -> Item | None:
        """One item, or None."""
        try:
            answer = await self._outbound.read("GET", _address(path), params={"expand": expand} if expand else None)
        except NotFound:
            return None
        return _item(answer.json())

    async def children(self, item: Item, path: str, name: str, *, expand: str | None = None) -> list[Item]:
        """All children of an item: those it came with if they came whole, else read by their own collection."""
        given = item.row.get(name)
        if isinstance(given, Children) and given.is_whole:
            return list(given.items)
        return await self.items(f"{path}/{part(item.key)}/child/{name}", expand=expand)

    async def described(self, name: str) -> Mapping[str, Any] | None:
        """What a resource tells of itself, or None."""
        try:
            answer = await self._outbound.read("GET", _address(f"{name}/describe"))
        except NotFound:
            return None
        told = answer.json()
        resources: Any = told.get("Resources") if isinstance(told, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if not isinstance(resources, dict) or not isinstance(resources.get(name), dict):  # pyright: ignore[reportUnknownMemberType]
            finding = FieldFinding(f"Resources.{name}", "is not in the answer")
            raise VendorDrift(f"{VENDOR} describes {name} in an unexpected shape.", findings=[finding])
        return cast("Mapping[str, Any]", resources[name])

    def whole(self, row: Mapping[str, Any], paths: Iterable[str]) -> Row:
        """A row whose flexfields in another context than ours, which have none of our segments, tell them as empty."""
        told = dict(row)
        for name, dot, segment in (path.partition(".") for path in paths):
            own = told.get(name)
            if self._context and dot and isinstance(own, Mapping):
                values = cast("Row", own)
                is_ours = values.get(_CONTEXT) == self._context
                told[name] = values if is_ours else {segment: None, **values}
        return told

    # --- writing -------------------------------------------------------------------------------------------------
    async def create(self, path: str, body: Mapping[str, Any], *, upserts: bool = False) -> Item:
        """A new item; with `upserts` the one the body matches, brought to its values."""
        headers = {"Content-Type": ITEM_TYPE, **({"Upsert-Mode": "true"} if upserts else {})}
        answer = await self._outbound.write("POST", _address(path), headers=headers, json=self._folded(body))
        return _item(answer.json())

    async def patch(self, path: str, body: Mapping[str, Any], *, etag: str | None = None) -> Item:
        """New values for an item. Raises StaleVersion when it changed since it was read."""
        headers = {"Content-Type": ITEM_TYPE, **({"If-Match": etag} if etag else {})}
        answer = await self._outbound.write(
            "PATCH", _address(path), headers=headers, json=self._folded(body), repeatable=etag is None
        )
        return _item(answer.json())

    async def delete(self, path: str) -> None:
        """Take an item away."""
        await self._outbound.write("DELETE", _address(path))

    async def act(self, path: str, action: str) -> None:
        """A custom action without parameters."""
        await self._outbound.write(
            "POST", _address(f"{path}/action/{action}"), headers={"Content-Type": ACTION_TYPE}, json={}
        )

    async def batch(self, parts: Sequence[Part]) -> list[Row]:
        """All of the parts or none; the answers' attributes in order."""
        body = {
            "parts": [
                {
                    "id": f"part{number}",
                    "path": f"/{one.path}",
                    "operation": one.operation,
                    **({"payload": self._folded(one.payload)} if one.payload is not None else {}),
                    **({"ifMatch": one.etag} if one.etag else {}),
                }
                for number, one in enumerate(parts, 1)
            ]
        }
        answer = await self._outbound.write("POST", _address(""), headers={"Content-Type": BATCH_TYPE}, json=body)
        told: Any = answer.json()
        return [flat(cast("Row", one.get("payload") or {})) for one in told["parts"]]

    async def envelope(self, path: str, action: str, content: str) -> None:
        """A SOAP envelope; the answer is not read, what it did is looked up."""
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"', "Accept": "text/xml"}
        await self._outbound.write("POST", path, headers=headers, content=content)

    def _folded(self, body: Mapping[str, Any]) -> Row:
        """Flexfields as Oracle wants them: one row in a list, with their context."""
        folded: Row = {}
        for name, value in body.items():
            if _FLEX.search(name) and isinstance(value, Mapping):
                context = {_CONTEXT: self._context} if self._context else {}
                folded[name] = [{**context, **cast("Row", value)}]
            elif isinstance(value, list):
                rows = cast("list[Any]", value)
                folded[name] = [self._folded(cast("Row", row)) if isinstance(row, Mapping) else row for row in rows]
            else:
                folded[name] = value
        return folded


class Children(list[Any]):
    """Children that came with an item; `is_whole`: there are no further ones."""

    def __init__(self, items: Sequence[Item], *, is_whole: bool) -> None:
        super().__init__(item.row for item in items)
        self.items = list(items)
        self.is_whole = is_whole


def flat(row: Mapping[str, Any]) -> Row:
    """A row with each flexfield as one object (None where there is none), and other children as lists."""
    plain: Row = {}
    for name, value in row.items():
        if name == "links":
            continue
        if isinstance(value, Mapping) and "items" in value:
            below = cast("Mapping[str, Any]", value)
            plain[name] = _below(name, below["items"], is_whole=not below.get("hasMore", False))
        elif isinstance(value, list):
            plain[name] = _below(name, cast("list[Any]", value), is_whole=True)
        else:
            plain[name] = value
    return plain


def _below(name: str, rows: Any, *, is_whole: bool) -> Any:
    items = [_item(row) for row in rows]
    if _FLEX.search(name):
        return items[0].row if items else None
    return Children(items, is_whole=is_whole)


def _item(row: Any) -> Item:
    links = cast("list[Row]", row.get("links") or [])
    own = next((link for link in links if link.get("rel") == "self"), Row())
    key = str(own["href"]).rstrip("/").rpartition("/")[2] if own else ""
    properties = cast("Row", own.get("properties") or {})
    return Item(flat(row), key, properties.get("changeIndicator"))


def _address(path: str) -> str:
    root = "crmRestApi" if path.partition("/")[0] in _CRM else "fscmRestApi"
    return f"/{root}/resources/{_VERSION}/{path}"


# --- door --------------------------------------------------------------------------------------------------------
def _door(binding: Binding) -> AuthFlow:
    flow = binding.choice("auth_flow", "client_credentials", "jwt_assertion", "basic")
    if flow == "basic":
        pair = f"{binding.setting('username')}:{binding.secret('password')}"
        return StaticHeaders({"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})
    client_id, scope = binding.setting("client_id"), binding.setting("scope")
    pair = f"{quote_plus(client_id)}:{quote_plus(binding.secret('client_secret'))}"
    key = _private_key(binding) if flow == "jwt_assertion" else None
    user = binding.setting("username") if key is not None else ""

    def form() -> Mapping[str, str]:
        if key is None:
            return {"grant_type": "client_credentials", "scope": scope}
        assertion = _assertion(client_id, user, key, binding.settings.get("key_id") or client_id)
        return {"grant_type": _ASSERTION_GRANT, "assertion": assertion, "scope": scope}

    return TokenRequest(
        system=VENDOR,
        token_url=binding.setting("token_url"),
        form=form,
        headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
    )


def _private_key(binding: Binding) -> RSAKey:
    try:
        key = RSAKey.import_key(binding.secret("private_key"))
    except (JoseError, ValueError) as error:
        raise Misconfigured(f"connector {VENDOR}: secret private_key is not an RSA key in PEM") from error
    if not key.is_private:
        raise Misconfigured(f"connector {VENDOR}: secret private_key must be a private key")
    return key


def _assertion(client_id: str, user: str, key: RSAKey, key_id: str) -> str:
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": user,
        "prn": user,
        "aud": [_AUDIENCE],
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": key_id}, claims, key)
