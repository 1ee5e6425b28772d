"""Dataverse's wire: getting in, lists read whole, rows written; speaks rows and bodies, not canonical models."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import RSAKey

from shared.errors.taxonomy import Conflict, Misconfigured, VendorDrift
from shared.outbound import Answer, Outbound, TokenRequest, walk
from system_apis.connectors.dynamics_sales.payloads import FORMATTED
from system_apis.dialects.odata import Part, PartAnswer, compose_batch, key, read_batch
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding

Json = dict[str, Any]
MOST_PARTS = 1000
"""Requests that the vendor takes in one `$batch`."""
_LOGIN = "https://login.microsoftonline.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300
_DECIMAL_CODE = re.compile(r"^-\d+$")
_ODATA = {"OData-Version": "4.0", "OData-MaxVersion": "4.0", "If-None-Match": "null"}
_TRACKED = "odata.track-changes"


def read_error(body: Any) -> tuple[str | None, str | None]:
    """Code and message of an error; codes come as hexadecimal text, and at times as the same number with a sign."""
    error: Any = cast("Json", body).get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None, None
    told = cast("Json", error)
    code = str(told.get("code") or "")
    if _DECIMAL_CODE.match(code):
        code = f"0x{int(code) & 0xFFFFFFFF:08x}"
    message = told.get("message")
    return code.lower() or None, str(message) if message else None


def is_id(ref: str) -> bool:
    """Whether it can be the id of a row; anything else names none."""
    try:
        UUID(ref)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a row: its own columns, and columns of rows its lookups lead to."""

    own: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, paths: Sequence[str]) -> Columns:
        """Paths with a dot lead into related rows."""
        parents: dict[str, tuple[str, ...]] = {}
        for path in paths:
            parent, dot, column = path.rpartition(".")
            if dot:
                parents[parent] = (*parents.get(parent, ()), column)
        return cls(tuple(dict.fromkeys(path for path in paths if "." not in path)), parents)

    def options(self) -> dict[str, str]:
        """`$select` and `$expand`."""
        wanted = {"$select": ",".join(self.own)}
        if self.parents:
            wanted["$expand"] = ",".join(f"{name}($select={','.join(cut)})" for name, cut in self.parents.items())
        return wanted


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a set; `size`: rows per page, None: as many as the manifest says."""

    set_name: str
    columns: Columns
    where: str = ""
    order: str = ""
    size: int | None = None

    def options(self) -> dict[str, str]:
        """The query options of its address."""
        told = {**self.columns.options(), "$filter": self.where, "$orderby": self.order}
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a tracked read answered: changed rows, ids of rows that went, and the link to what comes after."""

    rows: Sequence[Json]
    gone: Sequence[str]
    link: str


class DataverseClient:
    """One environment; the token is fetched when first needed and renewed when it has expired."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.system = binding.system
        base_url = binding.setting("base_url").rstrip("/")
        self._api = f"/api/data/v{binding.settings.get('api_version') or manifest.wire.version}/"
        self._root = base_url + self._api
        self._size = manifest.paging.size
        login = (binding.settings.get("login_url") or _LOGIN).rstrip("/")
        token_url = f"{login}/{binding.setting('tenant_id')}/oauth2/v2.0/token"
        form = _form(binding, f"{base_url}/.default", token_url)
        self._outbound = Outbound(
            system=binding.system,
            base_url=base_url,
            auth=TokenRequest(system=binding.system, token_url=token_url, form=form),
            errors=manifest.errors,
            budget=manifest.budget,
            read_body_code=read_error,
            headers=_ODATA,
            owner=binding.tenant,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    async def ping(self) -> None:
        """The cheapest call that needs a token and a user."""
        await self._outbound.read("GET", f"{self._api}WhoAmI")

    def rows(self, query: Query) -> AsyncIterator[Json]:
        """Rows of a set, page by page as they are asked for. Raises VendorDrift for a page that is none."""
        return self._walked(query, None)

    async def together(self, queries: Sequence[Query]) -> list[AsyncIterator[Json]]:
        """The rows of each query; the first pages come in one `$batch`, further ones as they are asked for.

        More queries than a batch takes go in several. The first part that is refused is the answer to all of them.
        """
        if len(queries) == 1:
            return [self.rows(queries[0])]
        firsts = await self._batches([(self._address(one), self._wishes(one)) for one in queries])
        return [self._walked(query, first) for query, first in zip(queries, firsts, strict=True)]

    async def _batches(self, asked: Sequence[tuple[str, Mapping[str, str]]]) -> list[PartAnswer]:
        """Answers to GETs, each an address with its headers, in their order."""
        parts = [Part("GET", address, headers=headers) for address, headers in asked]
        told: list[PartAnswer] = []
        for begin in range(0, len(parts), MOST_PARTS):
            told += await self._batch(parts[begin : begin + MOST_PARTS])
        return told

    async def _batch(self, asked: Sequence[Part]) -> list[PartAnswer]:
        """The vendor goes through a batch in order and ends at a refusal, which is the answer to the whole."""
        content, kind = compose_batch(asked)
        told: list[PartAnswer] = []

        def parts(answer: Answer) -> Sequence[PartAnswer]:
            told[:] = read_batch(answer.content, answer.headers.get("content-type", ""), self.system)
            return told

        headers = {"Content-Type": kind, "Accept": "multipart/mixed"}
        await self._outbound.read("POST", f"{self._api}$batch", headers=headers, content=content, parts=parts)
        if len(told) != len(asked):
            raise VendorDrift(f"{self.system} answered {len(told)} of {len(asked)} parts of a batch.")
        return told

    async def _walked(self, query: Query, first: PartAnswer | None) -> AsyncIterator[Json]:
        async def page(link: str | None) -> tuple[Sequence[Json], str | None]:
            if link is None and first is not None:
                body = first.body
            else:
                asked = None if link else query.options()
                path, headers = link or self._api + query.set_name, self._wishes(query)
                body = (await self._outbound.read("GET", path, params=asked, headers=headers)).json()
            return self._listed(body), self._link(body, "@odata.nextLink")

        async for row in walk(page, system=self.system):
            yield row

    def _address(self, query: Query) -> str:
        return _addressed(f"{self._api}{query.set_name}", query.options())

    def _wishes(self, query: Query) -> dict[str, str]:
        """Told with every page and every part: a batch's own headers are not its parts'."""
        size = query.size or self._size
        return {"Prefer": f'odata.include-annotations="{FORMATTED}",odata.maxpagesize={size}'}

    async def track(self, set_name: str, columns: Sequence[str]) -> Tracked:
        """The whole set, with the link to what changes from now on."""
        return await self._tracked(f"{self._api}{set_name}", {"$select": ",".join(columns)})

    async def tracked_since(self, link: str) -> Tracked:
        """What changed since a link was given out."""
        return await self._tracked(self._api + link, None)

    async def metadata(self, path: str, **options: str) -> list[Json]:
        """A list of metadata below the entity definitions. Raises NotFound for a table that is not there."""
        params = {f"${name}": value for name, value in options.items()}
        answer = await self._outbound.read("GET", f"{self._api}EntityDefinitions{path}", params=params)
        return self._listed(answer.json())

    async def metadata_together(self, asked: Sequence[tuple[str, Mapping[str, str]]]) -> list[list[Json]]:
        """Several lists of metadata, each as a path with its options, in one `$batch`. Raises NotFound."""
        parts: list[tuple[str, Mapping[str, str]]] = []
        for path, options in asked:
            named = {f"${name}": value for name, value in options.items()}
            parts.append((_addressed(f"{self._api}EntityDefinitions{path}", named), {}))
        return [self._listed(one.body) for one in await self._batches(parts)]

    async def upsert(self, set_name: str, by: Mapping[str, str] | UUID, body: Mapping[str, Any]) -> None:
        """Bring the row with that key to these values, or make it. Repeat: the same row.

        Two who make one row at the same moment: the vendor refuses the second, who then finds the row there.
        """
        path = self._api + key(set_name, by)
        try:
            await self._outbound.write("PATCH", path, json=dict(body), repeatable=True)
        except Conflict:
            await self._outbound.write("PATCH", path, json=dict(body), repeatable=True)

    async def amend(self, set_name: str, by: UUID, body: Mapping[str, Any]) -> None:
        """Set columns of a row that is there; none is ever made by accident. Raises NotFound."""
        path, only_there = self._api + key(set_name, by), {"If-Match": "*"}
        await self._outbound.write("PATCH", path, json=dict(body), headers=only_there, repeatable=True)

    async def _tracked(self, path: str, params: Mapping[str, str] | None) -> Tracked:
        rows: list[Json] = []
        gone: list[str] = []
        link: str | None = None
        seen: set[str] = set()
        while True:
            answer = await self._outbound.read("GET", path, params=params, headers={"Prefer": _TRACKED})
            body, params = answer.json(), None
            for row in self._listed(body):
                if str(row.get("@odata.context", "")).endswith("/$deletedEntity") or row.get("reason") == "deleted":
                    gone.append(str(row.get("id", "")))
                else:
                    rows.append(row)
            link = self._link(body, "@odata.deltaLink") or link
            following = self._link(body, "@odata.nextLink")
            if following is None:
                break
            if following in seen:
                raise VendorDrift(f"{self.system} gives the same next page again and again.")
            seen.add(following)
            path = following
        if link is None:
            raise VendorDrift(f"{self.system} answered a tracked read without @odata.deltaLink.")
        return Tracked(rows, gone, self._below(link))

    def _listed(self, body: Any) -> list[Json]:
        rows: Any = cast("Json", body).get("value") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise VendorDrift(f"{self.system} answered a list without value.")
        return cast("list[Json]", rows)

    @staticmethod
    def _link(body: Any, name: str) -> str | None:
        link = cast("Json", body).get(name)
        return link if isinstance(link, str) else None

    def _below(self, link: str) -> str:
        """The link below the Web API's root, so that a position outlives a move of the environment."""
        if link.startswith(self._root):
            return link.removeprefix(self._root)
        parts = urlsplit(link)
        path = parts.path.rpartition(self._api)[2]
        return f"{path}?{parts.query}" if parts.query else path


def _addressed(path: str, options: Mapping[str, str]) -> str:
    """An address as it stands in a part of a batch."""
    return f"{path}?{urlencode(options, safe='$', quote_via=quote)}"


def _form(binding: Binding, scope: str, token_url: str) -> Callable[[], Mapping[str, str]]:
    client_id = binding.setting("client_id")
    grant = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope}
    flow = binding.choice("auth_flow", "client_secret", "certificate")
    if flow == "client_secret":
        secret = binding.secret("client_secret")
        return lambda: {**grant, "client_secret": secret}
    try:
        signing = RSAKey.import_key(binding.secret("private_key"))
        certificate = x509.load_pem_x509_certificate(binding.secret("certificate").encode())
    except ValueError as error:
        raise Misconfigured(
            f"connector {binding.system}: secrets private_key and certificate are an RSA key and its certificate in PEM"
        ) from error
    digest = hashlib.sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    head = {"alg": "RS256", "typ": "JWT", "x5t": base64.urlsafe_b64encode(digest).decode().rstrip("=")}

    def form() -> Mapping[str, str]:
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": token_url, "jti": str(uuid4()), "nbf": now}
        assertion = jwt.encode(head, {**claims, "exp": now + _ASSERTION_SECONDS}, signing)
        return {**grant, "client_assertion_type": _ASSERTION, "client_assertion": assertion}

    return form
