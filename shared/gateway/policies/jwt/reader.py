"""One token against one trusted issuer: form, algorithm, key, signature, type, issuer, audience, times, claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import CompactSignature, JWSRegistry
from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, NotAuthenticated
from shared.gateway.policies.jwt.keys import IssuerKeys
from shared.identity.claims import AccessClaims
from shared.identity.trust import ACCESS_TOKEN_TYPES, TrustedIssuer

LONGEST = 8192
_NOT_UNDERSTOOD = frozenset({"crit", "zip", "cty"})
_UNMISTAKABLE = frozenset(ACCESS_TOKEN_TYPES)
_MARKS_OF_ID_TOKENS = frozenset({"nonce", "at_hash", "c_hash"})


def refused(reason: str) -> NotAuthenticated:
    """The refusal of a token, with its reason."""
    return NotAuthenticated(reason, findings=[FieldFinding("header.authorization", reason)])


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token claims of itself before anything is proven: good for finding the key, for nothing else."""

    header: Mapping[str, Any]
    issuer: str | None
    claims: dict[str, Any]
    signed: CompactSignature


def unverified(raw: bytes) -> Unverified:
    """A token taken apart, once for all that is asked of it later.

    Raises: NotAuthenticated for what is no compact JWS of a JSON object: encrypted, nested, compressed, too long.
    """
    if len(raw) > LONGEST:
        raise refused("The access token cannot be read.")
    try:
        signed = jws.extract_compact(raw)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise refused("The access token cannot be read.") from error
    said: Any = signed.protected
    if not isinstance(said, dict):
        raise refused("The access token cannot be read.")
    header = cast("dict[str, Any]", said)
    if not _NOT_UNDERSTOOD.isdisjoint(header) or header.get("b64", True) is not True:
        raise refused("The access token's header asks for something that is not understood here.")
    claims = _object(signed.payload)
    issuer = claims.get("iss")
    return Unverified(header, issuer if isinstance(issuer, str) else None, claims, signed)


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise refused("The access token cannot be read.") from error
    if not isinstance(found, dict):
        raise refused("The access token cannot be read.")
    return cast("dict[str, Any]", found)


class TokenReader:
    """Reads the access tokens of one issuer; keys named inside a token (`jwk`, `jku`, `x5u`, `x5c`) are never used."""

    def __init__(self, trusted: TrustedIssuer, keys: IssuerKeys, *, leeway: float, now: Callable[[], float]) -> None:
        self._trusted = trusted
        self._keys = keys
        self._leeway = leeway
        self._now = now
        self._registry = JWSRegistry(algorithms=list(trusted.algorithms))
        self._types = frozenset(kind.lower() for kind in trusted.types)

    async def read(self, said: Unverified) -> tuple[AccessClaims, str]:
        """The claims of a genuine token that counts now, and the id of the key that signed it.

        Raises: NotAuthenticated with the reason; NotPermitted when the issuer's claims map to nobody here;
        VendorUnavailable when no key of the issuer was ever fetched.
        """
        kid = await self._signer(said)
        return self._checked(said.claims), kid

    async def _signer(self, said: Unverified) -> str:
        header = said.header
        kind, algorithm, kid = header.get("typ", ""), header.get("alg"), header.get("kid")
        if not isinstance(kind, str) or kind.lower() not in self._types:
            raise refused("The token is not an access token.")
        if algorithm not in self._trusted.algorithms:
            raise refused("The access token is signed with an algorithm that does not count here.")
        if not isinstance(kid, str):
            raise refused("The access token does not name its key.")
        key = self._keys.known(kid) or await self._keys.find(kid)
        if key is None:
            raise refused("The access token is signed with an unknown key.")
        try:
            is_genuine = jws.validate_compact(said.signed, key, registry=self._registry)
        except (JoseError, ValueError, TypeError) as error:
            raise refused("The signature of the access token does not hold.") from error
        if not is_genuine:
            raise refused("The signature of the access token does not hold.")
        return kid

    def _checked(self, found: dict[str, Any]) -> AccessClaims:
        trusted = self._trusted
        if found.get("iss") != trusted.issuer:
            raise refused("The access token comes from another issuer.")
        if not _is_meant_for(trusted.audience, found.get("aud")):
            raise refused("The access token is meant for another audience.")
        if not self._types <= _UNMISTAKABLE and not _MARKS_OF_ID_TOKENS.isdisjoint(found):
            raise refused("The token is an ID token, not an access token.")
        try:
            claims = trusted.read(found)
        except ValidationError as error:
            names = sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})
            raise refused(f"The access token lacks a usable claim: {', '.join(names)}.") from error
        now = self._now()
        if claims.exp + self._leeway <= now:
            raise refused("The access token has expired.")
        if claims.iat - self._leeway > now or (claims.nbf is not None and claims.nbf - self._leeway > now):
            raise refused("The access token is not valid yet.")
        return claims


def _is_meant_for(audience: str, named: object) -> bool:
    if isinstance(named, str):
        return named == audience
    return isinstance(named, list) and audience in cast("Sequence[object]", named)
