"""Getting in: fixed headers, tokens kept until shortly before they end, and one renewal for all who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Final, Protocol, cast, runtime_checkable

import httpx

from shared.errors.taxonomy import CredentialsRefused, VendorDrift, VendorUnavailable
from shared.outbound.bounded import AnswerTooLarge, answered
from shared.outbound.retry import RetryPolicy
from shared.outbound.trust import trusted
from shared.telemetry.logging import without_secrets

_EARLY: Final = 0.1
_MOST_EARLY: Final = 30.0
_TIMEOUT: Final = 15.0
_MOST_BYTES: Final = 1_048_576
_LIFETIME: Final = 300.0


class AuthFlow(Protocol):
    """How requests to a system are let in."""

    async def headers(self) -> dict[str, str]:
        """Headers of the next request."""
        ...

    async def renew(self) -> None:
        """The system said the session has expired: whatever was kept is not used again."""
        ...


@runtime_checkable
class RequestSigner(Protocol):
    """How requests are let in that each carry a signature of their own; there is no session that could expire."""

    def sign(self, method: str, url: httpx.URL) -> dict[str, str]:
        """Headers of this request; asked for every send, so that a repeat is signed anew."""
        ...


class StaticHeaders:
    """Headers that never change: an API key, a long-lived bearer token."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    @classmethod
    def bearer(cls, token: str) -> StaticHeaders:
        """A fixed bearer token."""
        return cls({"Authorization": f"Bearer {token}"})

    async def headers(self) -> dict[str, str]:
        """The headers."""
        return dict(self._headers)

    async def renew(self) -> None:
        """There is nothing to renew; the request will be refused again."""


class Renewals:
    """Single flight of renewals: requests that failed under the same generation share one."""

    def __init__(self, auth: AuthFlow) -> None:
        self._auth = auth
        self._lock = asyncio.Lock()
        self.generation = 0

    async def renew(self, seen: int) -> None:
        """Renew, unless somebody has done so since generation `seen`."""
        async with self._lock:
            if self.generation == seen:
                await self._auth.renew()
                self.generation += 1


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, when it ends (`time.monotonic()` seconds), and the whole answer it came in."""

    value: str = field(repr=False)
    until: float
    answer: Mapping[str, Any] = field(repr=False)

    @property
    def is_good(self) -> bool:
        """Whether it may still be used."""
        return time.monotonic() < self.until


class TokenEndpoint:
    """An OAuth 2.0 token endpoint: form in, token out; refusals are CredentialsRefused, silence VendorUnavailable."""

    def __init__(self, url: str, *, system: str, retry: RetryPolicy | None = None) -> None:
        self._url = url
        self._system = system
        self._retry = retry or RetryPolicy(attempts=3, total=20.0)

    async def fetch(
        self, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer below 500; asked again while the endpoint is unreachable."""
        attempt = 0
        async with httpx.AsyncClient(verify=trusted(), trust_env=False, timeout=_TIMEOUT) as client:
            while True:
                attempt += 1
                wanted = {"Accept": "application/json", **(headers or {})}
                try:
                    asked = client.build_request("POST", self._url, data=dict(form), headers=wanted)
                    response = await answered(client, asked, _MOST_BYTES)
                except AnswerTooLarge:
                    failure = VendorUnavailable(f"The token endpoint of {self._system} answers without end.")
                except httpx.RequestError as error:
                    failure = VendorUnavailable(
                        f"The token endpoint of {self._system} cannot be reached.", detail=type(error).__name__
                    )
                else:
                    if response.status_code < 500 and response.status_code != 429:  # noqa: PLR2004 - HTTP's own
                        return response.status_code, self._document(response)
                    failure = VendorUnavailable(
                        f"The token endpoint of {self._system} answered {response.status_code}."
                    )
                if attempt >= self._retry.attempts:
                    raise failure
                await asyncio.sleep(self._retry.pause(attempt))

    def token(self, status: int, document: Mapping[str, Any]) -> Token:
        """The token in an answer. Raises CredentialsRefused, or VendorDrift naming the missing field."""
        if status >= 400:  # noqa: PLR2004 - HTTP's own
            code = str(document.get("error", status))
            said = without_secrets(str(document.get("error_description", "")))[:200]
            raise CredentialsRefused(
                f"{self._system} refuses our credentials: {code}", detail=said, extra={"oauth_error": code}
            )
        value = document.get("access_token")
        if not isinstance(value, str) or not value:
            raise VendorDrift(f"{self._system} answered a token request without access_token.")
        lifetime = _seconds(document.get("expires_in"))
        return Token(value, time.monotonic() + lifetime - min(_MOST_EARLY, lifetime * _EARLY), document)

    def _document(self, response: httpx.Response) -> dict[str, Any]:
        try:
            document: Any = response.json()
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return cast("dict[str, Any]", document)
        if response.status_code >= 400:  # noqa: PLR2004 - HTTP's own
            return {"error": str(response.status_code)}
        raise VendorDrift(f"{self._system} answered a token request with something that is not a JSON object.")


def _seconds(value: Any) -> float:
    try:
        return max(1.0, float(value))
    except (TypeError, ValueError):
        return _LIFETIME


Form = Callable[[], "Mapping[str, str] | Awaitable[Mapping[str, str]]"]


class TokenRequest:
    """A bearer token fetched with whatever form a grant wants; `form()` is called afresh for every fetch.

    Serves client credentials, JWT bearer assertions and refresh tokens alike: the grant is in the form.
    """

    def __init__(self, *, system: str, token_url: str, form: Form, headers: Mapping[str, str] | None = None) -> None:
        self._endpoint = TokenEndpoint(token_url, system=system)
        self._form = form
        self._headers = dict(headers or {})
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def token(self) -> Token:
        """The token, fetched once for all who ask at the same time."""
        token = self._token
        if token is not None and token.is_good:
            return token
        async with self._lock:
            if self._token is None or not self._token.is_good:
                form = self._form()
                filled = await form if isawaitable(form) else form
                self._token = self._endpoint.token(*await self._endpoint.fetch(filled, self._headers))
            return self._token

    async def headers(self) -> dict[str, str]:
        """The bearer header."""
        return {"Authorization": f"Bearer {(await self.token()).value}"}

    async def renew(self) -> None:
        """Forget the token; the next request fetches another."""
        self._token = None
