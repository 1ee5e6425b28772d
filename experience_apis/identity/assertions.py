"""Assertions of clients (RFC 7523, private_key_jwt): a signed note proves who asks; keys and claims enter."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from experience_apis.identity.records import OAuthClient
from shared.errors.taxonomy import PlatformError
from shared.outbound.guarded import AddressRules, fetch_json
from shared.persistence.once import Once
from shared.telemetry.logging import get_logger

PRIVATE_KEY_JWT: Final = "private_key_jwt"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS: Final = ("ES256", "ES384", "Ed25519", "EdDSA", "RS256", "PS256")
_LONGEST: Final = 8192
_LONGEST_LIFE: Final = 300.0
_LEEWAY: Final = 30.0
_KEPT_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 10.0
_AT_MOST_KEYS: Final = 20
_AT_MOST_CLIENTS: Final = 1000
_LEAST_RSA_BITS: Final = 2048
_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
_log = get_logger("throughline.identity")


class InvalidAssertion(Exception):
    """The assertion proves nothing; the reason is for the log, the client learns that it failed."""


def client_keys(jwks: Mapping[str, Any]) -> list[Key]:
    """The public keys of a client's JWK set.

    Raises: ValueError naming what is wrong: no keys, private or shared ones, unreadable ones, RSA below 2048 bits.
    """
    listed = jwks.get("keys")
    if not isinstance(listed, list) or not 0 < len(cast("list[Any]", listed)) <= _AT_MOST_KEYS:
        raise ValueError(f"jwks: a JWK set holds between 1 and {_AT_MOST_KEYS} keys")
    try:
        keys = KeySet.import_key_set(cast("Any", jwks)).keys
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("jwks: a key cannot be read") from None
    for key in keys:
        if not isinstance(key, ECKey | OKPKey | RSAKey) or key.is_private:
            raise ValueError("jwks: only public keys belong here")
        if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"jwks: RSA keys have at least {_LEAST_RSA_BITS} bits")
    return list(keys)


@dataclass(slots=True)
class _Fetched:
    keys: list[Key]
    at: float


class Assertions:
    """Checks client assertions; each counts once."""

    def __init__(
        self, used: Once, rules: AddressRules, *, audiences: Collection[str], clock: Callable[[], float] = time.time
    ) -> None:
        """`audiences` are the issuer and its token endpoint; `rules` bound where clients' keys are fetched."""
        self._used = used
        self._rules = rules
        self._audiences = frozenset(audiences)
        self._clock = clock
        self._fetched: OrderedDict[str, _Fetched] = OrderedDict()

    @staticmethod
    def named_client(assertion: str) -> str:
        """The client an assertion speaks of, before anything is proven; empty when it cannot be read."""
        try:
            body = assertion.split(".")[1] if len(assertion) <= _LONGEST else ""
            said: Any = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            client_id = said["sub"]
            # RFC 6749 §A.1; anything else is nobody's name, and some of it no database takes
            return client_id if client_id.isascii() and client_id.isprintable() else ""
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
            return ""

    async def check(self, assertion: str, client: OAuthClient | None) -> OAuthClient:
        """The client, proven. Raises: InvalidAssertion; UsedIdsUnknown when the store of used ids is away."""
        if client is None or client.auth_method != PRIVATE_KEY_JWT:
            raise InvalidAssertion("no such client signs assertions")
        try:
            header = _header(assertion)
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidAssertion("it cannot be read") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ASSERTION_ALGORITHMS or "crit" in header:
            raise InvalidAssertion("its algorithm does not count here")
        if str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise InvalidAssertion("it is another kind of token")
        said = self._verified(assertion, str(algorithm), await self._candidates(client, kid))
        self._fits(said, client.client_id)
        if not await self._used.is_first(
            "assertion", f"{client.client_id}\x1f{said['jti']}", seconds=int(_LONGEST_LIFE + 2 * _LEEWAY)
        ):
            raise InvalidAssertion("it was used before")
        return client

    def _verified(self, assertion: str, algorithm: str, keys: list[Key]) -> dict[str, Any]:
        for key in keys:
            try:
                return jwt.decode(assertion, key, algorithms=[algorithm]).claims
            except (JoseError, ValueError, TypeError):
                continue
        raise InvalidAssertion("no key of the client made its signature")

    def _fits(self, said: Mapping[str, Any], client_id: str) -> None:
        now = self._clock()
        if said.get("iss") != client_id or said.get("sub") != client_id:
            raise InvalidAssertion("issuer and subject are not the client")
        audience = said.get("aud")
        named: list[Any] = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
        if len(named) != 1 or named[0] not in self._audiences:
            raise InvalidAssertion("it is meant for somebody else")
        ends, begins = said.get("exp"), said.get("nbf", said.get("iat", now))
        if not _is_instant(ends) or not _is_instant(begins) or not _is_instant(said.get("iat", now)):
            raise InvalidAssertion("its times cannot be read")
        if not now - _LEEWAY < ends <= now + _LONGEST_LIFE + _LEEWAY:
            raise InvalidAssertion("it has expired, or lives longer than five minutes")
        if max(begins, said.get("iat", now)) > now + _LEEWAY:
            raise InvalidAssertion("it is not valid yet")
        jti = said.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 256:  # noqa: PLR2004 - longer ones are no ids
            raise InvalidAssertion("it has no usable jti")

    async def _candidates(self, client: OAuthClient, kid: object) -> list[Key]:
        try:
            keys = client_keys(client.jwks) if client.jwks is not None else await self._asked(client, kid)
        except ValueError as error:
            raise InvalidAssertion(str(error)) from error
        return [key for key in keys if kid is None or key.kid is None or key.kid == kid]

    async def _asked(self, client: OAuthClient, kid: object) -> list[Key]:
        address, now = client.jwks_uri, self._clock()
        if address is None:
            raise InvalidAssertion("the client has no keys")
        kept = self._fetched.get(address)
        if kept is not None:
            age = now - kept.at
            is_there = kid is None or any(key.kid == kid for key in kept.keys)
            if age < _PAUSE_SECONDS or (is_there and age < _KEPT_SECONDS):
                return kept.keys
        try:
            found = await fetch_json(address, self._rules)
            keys = client_keys(cast("dict[str, Any]", found) if isinstance(found, dict) else {})
        except PlatformError as error:
            _log.warning("client_keys_not_fetched", client_id=client.client_id, reason=error.message)
            raise InvalidAssertion("its keys cannot be fetched") from error
        finally:
            # an address that fails is left alone for a while, too
            self._fetched[address] = _Fetched(kept.keys if kept else [], now)
            while len(self._fetched) > _AT_MOST_CLIENTS:
                self._fetched.popitem(last=False)
        self._fetched[address] = _Fetched(keys, now)
        return keys


def _is_instant(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _header(assertion: str) -> dict[str, Any]:
    if len(assertion) > _LONGEST or assertion.count(".") != 2:  # noqa: PLR2004 - the dots of a compact JWS
        raise ValueError("no compact JWS")
    head = assertion.partition(".")[0]
    found: Any = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    if not isinstance(found, dict):
        raise TypeError("no object")
    return cast("dict[str, Any]", found)
