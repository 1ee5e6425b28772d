"""NetSuite's wire: signed assertion, records by external id, SuiteQL; answers payloads, knows nothing canonical."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shared.errors.taxonomy import Misconfigured, NotFound
from shared.outbound import Outbound, TokenRequest, drift, route
from system_apis.connectors.netsuite.payloads import Payload, QueryPage, Row
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding

VENDOR = "netsuite"
LARGEST_PAGE = 1000
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300
_STRICT = {"X-NetSuite-PropertyNameValidation": "error"}
_TRANSIENT = {"Prefer": "transient"}

Record = TypeVar("Record", bound=Payload)
QueryRow = TypeVar("QueryRow", bound=Row)


def literal(text: str) -> str:
    """A SuiteQL text constant."""
    return "'" + text.replace("'", "''") + "'"


def _code_of(body: Any) -> tuple[str | None, str | None]:
    detail = body["o:errorDetails"][0]
    path = detail.get("o:errorPath")
    message = str(detail.get("detail", ""))
    return str(detail["o:errorCode"]), f"{message} ({path})" if path else message


class NetSuiteClient:
    """One account, one integration record."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        rest = binding.setting("base_url").rstrip("/") + "/services/rest"
        self._token_url = f"{rest}/auth/oauth2/v1/token"
        self._client_id = binding.setting("client_id")
        self._certificate_id = binding.setting("certificate_id")
        self._key = _private_key(binding)
        at_once = int(binding.settings.get("at_once") or manifest.budget.at_once)
        self._outbound = Outbound(
            system=VENDOR,
            base_url=rest,
            auth=TokenRequest(system=VENDOR, token_url=self._token_url, form=self._form),
            errors=manifest.errors,
            budget=manifest.budget.model_copy(update={"at_once": at_once}),
            read_body_code=_code_of,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    def _form(self) -> Mapping[str, str]:
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "scope": "rest_webservices",
            "aud": self._token_url,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": uuid.uuid4().hex,
        }
        header = {"typ": "JWT", "alg": "ES256", "kid": self._certificate_id}
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, self._key),
        }

    async def find(self, record: str, key: str, model: type[Record], *, expands: bool = False) -> Record | None:
        """The record with that key (`eid:…` or an internal id), or None."""
        params = {"expandSubResources": True} if expands else None
        try:
            answer = await self._outbound.read("GET", _address(record, key), params=params)
        except NotFound:
            return None
        return drift(VENDOR, model, answer.json())

    async def batch(self, record: str, ids: Sequence[str], model: type[Record]) -> Record:
        """A collection of records with their bodies, by internal ids."""
        params = {"ids": ",".join(ids), "expandRecords": True, "limit": LARGEST_PAGE}
        answer = await self._outbound.read("GET", route("record/v1/{record}", record=record), params=params)
        return drift(VENDOR, model, answer.json())

    async def put(
        self, record: str, external_id: str, body: Mapping[str, Any], *, replace: str = "", repeatable: bool = True
    ) -> None:
        """Upsert by our id; the sublists named in `replace` are replaced whole, others merged by their keys."""
        await self._outbound.write(
            "PUT",
            _address(record, f"eid:{external_id}"),
            params={"replace": replace} if replace else None,
            headers=_STRICT,
            json=body,
            repeatable=repeatable,
        )

    async def patch(self, record: str, key: str, body: Mapping[str, Any]) -> None:
        """Set these values."""
        await self._outbound.write("PATCH", _address(record, key), headers=_STRICT, json=body, repeatable=True)

    async def delete(self, record: str, key: str) -> None:
        """Take the record away."""
        await self._outbound.write("DELETE", _address(record, key))

    async def page(
        self, query: str, model: type[QueryRow], *, limit: int, offset: int = 0
    ) -> tuple[list[QueryRow], bool]:
        """One page of a query, and whether there is more."""
        answer = await self._outbound.read(
            "POST",
            "query/v1/suiteql",
            params={"limit": limit, "offset": offset},
            headers=_TRANSIENT,
            json={"q": query},
        )
        page = drift(VENDOR, QueryPage, answer.json())
        return [drift(VENDOR, model, row) for row in page.items], page.has_more

    async def rows(self, query: str, model: type[QueryRow]) -> list[QueryRow]:
        """Every row of a query; it must be ordered without ties."""
        rows: list[QueryRow] = []
        has_more = True
        while has_more:
            page, has_more = await self.page(query, model, limit=LARGEST_PAGE, offset=len(rows))
            rows += page
        return rows


def _address(record: str, key: str) -> str:
    # The colon of `eid:` stays as it is: accounts read it literally.
    path = route("record/v1/{record}/{key}", record=record, key=key.removeprefix("eid:"))
    return path if not key.startswith("eid:") else path.replace(f"{record}/", f"{record}/eid:", 1)


def _private_key(binding: Binding) -> ECKey:
    try:
        key = ECKey.import_key(binding.secret("private_key"))
    except (JoseError, ValueError) as error:
        raise Misconfigured("connector netsuite: secret private_key is not a P-256 key in PEM") from error
    if not key.is_private or key.curve_name != "P-256":
        raise Misconfigured("connector netsuite: secret private_key must be a private key on P-256 (ES256)")
    return key
