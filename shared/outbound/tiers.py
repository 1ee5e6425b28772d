"""Getting into an inner tier: client credentials for the tier itself, token exchange (RFC 8693) for a person."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from urllib.parse import quote_plus

from shared.errors.taxonomy import CredentialsRefused, NotAuthenticated, NotPermitted
from shared.outbound.auth import AuthFlow, Token, TokenEndpoint, TokenRequest

_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name of RFC 8693
_KEPT: Final = 10_000

_subject_token: ContextVar[str | None] = ContextVar("subject_token", default=None)


@contextmanager
def acting_for(token: str) -> Generator[None]:
    """Inside the block requests with TokenExchange are made on behalf of the holder of this access token."""
    reset = _subject_token.set(token)
    try:
        yield
    finally:
        _subject_token.reset(reset)


def _basic(client_id: str, client_secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


class ClientCredentials:
    """The tier's own token (RFC 6749 §4.4), with `client_secret_basic`; kept until shortly before it ends."""

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        scopes: Sequence[str] = (),
        audience: str | None = None,
        system: str = "identity",
    ) -> None:
        form = {"grant_type": "client_credentials"}
        if scopes:
            form["scope"] = " ".join(scopes)
        if audience:
            form["audience"] = audience
        self._tokens = TokenRequest(
            system=system, token_url=token_url, form=lambda: form, headers=_basic(client_id, client_secret)
        )

    async def headers(self) -> dict[str, str]:
        """The bearer header."""
        return await self._tokens.headers()

    async def renew(self) -> None:
        """Forget the token."""
        await self._tokens.renew()


class TokenExchange:
    """A token for an inner tier on behalf of the person of `acting_for`; kept per person until shortly before its end.

    Outside of `acting_for` the flow `otherwise` is used; without one, NotAuthenticated is raised.
    """

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        audience: str,
        scopes: Sequence[str] = (),
        otherwise: AuthFlow | None = None,
        system: str = "identity",
    ) -> None:
        self._endpoint = TokenEndpoint(token_url, system=system)
        self._form = {
            "grant_type": _EXCHANGE,
            "subject_token_type": _ACCESS_TOKEN,
            "requested_token_type": _ACCESS_TOKEN,
            "audience": audience,
        }
        if scopes:
            self._form["scope"] = " ".join(scopes)
        self._client = _basic(client_id, client_secret)
        self._otherwise = otherwise
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._fetching: dict[str, asyncio.Lock] = {}

    async def headers(self) -> dict[str, str]:
        """The bearer header of the exchanged token."""
        subject = _subject_token.get()
        if subject is None:
            if self._otherwise is None:
                raise NotAuthenticated(detail="token exchange asked for outside of acting_for")
            return await self._otherwise.headers()
        key = hashlib.sha256(subject.encode()).hexdigest()
        lock = self._fetching.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                token = self._tokens.get(key)
                if token is None or not token.is_good:
                    token = await self._exchanged(subject)
                    self._tokens[key] = token
                self._tokens.move_to_end(key)
        finally:
            if not lock.locked():
                self._fetching.pop(key, None)
        while len(self._tokens) > _KEPT:
            self._tokens.popitem(last=False)
        return {"Authorization": f"Bearer {token.value}"}

    async def renew(self) -> None:
        """Forget the token of the present person."""
        subject = _subject_token.get()
        if subject is not None:
            self._tokens.pop(hashlib.sha256(subject.encode()).hexdigest(), None)
        elif self._otherwise is not None:
            await self._otherwise.renew()

    async def _exchanged(self, subject: str) -> Token:
        status, document = await self._endpoint.fetch({**self._form, "subject_token": subject}, self._client)
        try:
            return self._endpoint.token(status, document)
        except CredentialsRefused as refusal:
            code = refusal.extra.get("oauth_error")
            if code in {"invalid_grant", "invalid_token", "invalid_request"}:
                raise NotAuthenticated("The access token no longer counts.", detail=refusal.detail) from refusal
            if code in {"invalid_scope", "invalid_target", "access_denied"}:
                raise NotPermitted(detail=refusal.detail) from refusal
            raise
