"""Access tokens: signature, type, issuer, audience and time; a verified token is looked up, not verified again."""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import sha256
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, NotAuthenticated
from shared.gateway.kit import Kit
from shared.gateway.policies.jwt.config import Jwt
from shared.gateway.policies.jwt.keys import IssuerKeys
from shared.gateway.supplies import Supplies
from shared.identity.claims import AccessClaims, read_claims
from shared.identity.principal import Principal

_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_LONGEST = 8192


def _refuse(reason: str) -> NotAuthenticated:
    return NotAuthenticated(reason, findings=[FieldFinding("header.authorization", reason)])


class JwtHandler:
    """Turns a bearer token into the principal of the request."""

    def __init__(self, config: Jwt, supplies: Supplies) -> None:
        self._config = config
        self._issuer = supplies.issuer
        self._audience = supplies.audience
        self._now = supplies.now
        self._algorithms = list(config.algorithms)
        self._keys = IssuerKeys(supplies.keys, pause=config.refetch_seconds, now=supplies.now, warn=supplies.warn_line)
        self._verified: dict[bytes, tuple[float, Principal]] = {}

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Recognise a token verified before at once; verify a new one."""
        given = kit.header(b"authorization")
        if given is None:
            raise NotAuthenticated(findings=[FieldFinding("header.authorization", "An access token is required.")])
        remembered = self._verified.get(sha256(given).digest())
        if remembered is not None and remembered[0] > self._now():
            kit.principal = remembered[1]
            return None
        return self._verify(kit, given)

    async def _verify(self, kit: Kit, given: bytes) -> None:
        scheme, _, raw = given.partition(b" ")
        raw = raw.strip()
        if scheme.lower() != b"bearer" or not raw or len(raw) > _LONGEST:
            raise _refuse("The Authorization header does not carry a bearer token.")
        claims = self._checked(await self._decoded(raw))
        principal = claims.principal(raw.decode("ascii"))
        self._remember(sha256(given).digest(), claims.exp, principal)
        kit.principal = principal

    async def _decoded(self, raw: bytes) -> dict[str, Any]:
        try:
            header = extract_compact(raw).headers()
        except (JoseError, ValueError, TypeError) as error:
            raise _refuse("The access token cannot be read.") from error
        kind, algorithm, kid = header.get("typ"), header.get("alg"), header.get("kid")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise _refuse("The token is not an access token.")
        if algorithm not in self._config.algorithms:
            raise _refuse("The access token is signed with an algorithm that does not count here.")
        if not isinstance(kid, str):
            raise _refuse("The access token does not name its key.")
        key = self._keys.known(kid) or await self._keys.find(kid)
        if key is None:
            raise _refuse("The access token is signed with an unknown key.")
        try:
            return jwt.decode(raw, key, algorithms=self._algorithms).claims
        except (JoseError, ValueError, TypeError) as error:
            raise _refuse("The signature of the access token does not hold.") from error

    def _checked(self, found: dict[str, Any]) -> AccessClaims:
        try:
            claims = read_claims(found)
        except ValidationError as error:
            names = sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})
            raise _refuse(f"The access token lacks a usable claim: {', '.join(names)}.") from error
        now, leeway = self._now(), self._config.leeway_seconds
        if claims.iss != self._issuer:
            raise _refuse("The access token comes from another issuer.")
        if not claims.is_meant_for(self._audience):
            raise _refuse("The access token is meant for another audience.")
        if claims.exp + leeway <= now:
            raise _refuse("The access token has expired.")
        if claims.iat - leeway > now or (claims.nbf is not None and claims.nbf - leeway > now):
            raise _refuse("The access token is not valid yet.")
        return claims

    def _remember(self, digest: bytes, until: float, principal: Principal) -> None:
        if len(self._verified) >= self._config.remembered_tokens:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = (until, principal)
