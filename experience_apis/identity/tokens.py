"""Access tokens: made and read as RFC 9068 JSON Web Tokens; knows nothing of grants or HTTP."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from experience_apis.identity.keys import ALGORITHM, SigningKey
from shared.identity.revocations import TokenMarks

TYPE = "at+jwt"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; `act` is the chain of those who act for the subject, outermost first."""

    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    tenant: str
    plan: str
    scopes: frozenset[str]
    issued_at: int
    expires_at: int
    jti: str
    act: dict[str, Any] | None = None
    customers: tuple[str, ...] | None = None
    session: str | None = None
    auth_time: int | None = None
    key_thumbprint: str | None = None
    origin: tuple[str, str] | None = None
    kid: str = ""

    @property
    def token_type(self) -> str:
        """How the token is presented: a bound one with a proof."""
        return "DPoP" if self.key_thumbprint else "Bearer"

    def marks(self) -> TokenMarks:
        """By what the token can be withdrawn."""
        jti, client = self.origin or (None, None)
        return TokenMarks(
            jti=self.jti,
            client_id=self.client_id,
            tenant=self.tenant,
            subject=self.subject,
            issued_at=self.issued_at,
            kid=self.kid,
            session=self.session,
            origin_jti=jti,
            origin_client=client,
        )

    def as_json(self) -> dict[str, Any]:
        """The JWT's claims."""
        body: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "client_id": self.client_id,
            "aud": list(self.audience),
            "iat": self.issued_at,
            "exp": self.expires_at,
            "jti": self.jti,
            "scope": " ".join(sorted(self.scopes)),
            "tenant": self.tenant,
            "plan": self.plan,
        }
        if self.act is not None:
            body["act"] = self.act
        if self.customers is not None:
            body["customers"] = list(self.customers)
        if self.session is not None:
            body["sid"] = self.session
        if self.auth_time is not None:
            body["auth_time"] = self.auth_time
        if self.key_thumbprint is not None:
            body["cnf"] = {"jkt": self.key_thumbprint}
        if self.origin is not None:
            body["origin"] = {"jti": self.origin[0], "client_id": self.origin[1]}
        return body


@dataclass(frozen=True, slots=True)
class Bearer:
    """For whom a token is made; `key_thumbprint` binds it, `origin` is (jti, client) of the first token of a chain."""

    subject: str
    tenant: str
    plan: str
    act: dict[str, Any] | None = None
    customers: tuple[str, ...] | None = None
    session: str | None = None
    auth_time: int | None = None
    key_thumbprint: str | None = None
    origin: tuple[str, str] | None = None


class TokenPress:
    """Stamps tokens for one issuer and reads them back."""

    def __init__(self, issuer: str, *, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self.lifetime = lifetime
        self._clock = clock

    def stamp(
        self,
        key: SigningKey,
        *,
        bearer: Bearer,
        client_id: str,
        audience: Sequence[str],
        scopes: frozenset[str],
        not_after: int | None = None,
    ) -> tuple[str, Claims]:
        """A signed token and what it says; it never outlives `not_after`."""
        now = int(self._clock())
        claims = Claims(
            issuer=self.issuer,
            subject=bearer.subject,
            client_id=client_id,
            audience=tuple(audience),
            tenant=bearer.tenant,
            plan=bearer.plan,
            scopes=scopes,
            issued_at=now,
            expires_at=min(now + self.lifetime, not_after or now + self.lifetime),
            jti=uuid.uuid4().hex,
            act=bearer.act,
            customers=bearer.customers,
            session=bearer.session,
            auth_time=bearer.auth_time,
            key_thumbprint=bearer.key_thumbprint,
            origin=bearer.origin,
            kid=key.kid,
        )
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}
        return jwt.encode(header, claims.as_json(), key.key, algorithms=[ALGORITHM]), claims

    def read(self, token: str, keys: KeySet) -> Claims | None:
        """What a token of ours says, if it is genuine and still good."""
        try:
            found = jwt.decode(token, keys, algorithms=[ALGORITHM])
            jwt.JWTClaimsRegistry(
                now=int(self._clock()),
                iss={"essential": True, "value": self.issuer},
                exp={"essential": True},
                sub={"essential": True},
                jti={"essential": True},
            ).validate(found.claims)
        except (JoseError, ValueError):
            return None
        if found.header.get("typ") != TYPE:
            return None
        said = found.claims
        return Claims(
            issuer=said["iss"],
            subject=said["sub"],
            client_id=said["client_id"],
            audience=tuple(said["aud"]),
            tenant=said["tenant"],
            plan=said["plan"],
            scopes=frozenset(said["scope"].split()),
            issued_at=said["iat"],
            expires_at=said["exp"],
            jti=said["jti"],
            act=said.get("act"),
            customers=tuple(said["customers"]) if "customers" in said else None,
            session=said.get("sid"),
            auth_time=said.get("auth_time"),
            key_thumbprint=said["cnf"].get("jkt") if "cnf" in said else None,
            origin=(said["origin"]["jti"], said["origin"]["client_id"]) if "origin" in said else None,
            kid=str(found.header.get("kid", "")),
        )
