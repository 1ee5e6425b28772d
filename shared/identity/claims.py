"""What an access token (RFC 9068) says about its bearer; plain claims enter, signatures are checked elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.identity.principal import Principal
from shared.identity.revocations import TokenMarks

_Name = Annotated[str, Field(min_length=1, max_length=300)]
_Instant = Annotated[int | float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]


class Actor(BaseModel):
    """The tier that acts on behalf of the subject (RFC 8693 `act`)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sub: _Name


class Confirmation(BaseModel):
    """The key a token is bound to (RFC 7800, RFC 9449): its holder proves possession with every request."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    jkt: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")] | None = None


class Origin(BaseModel):
    """The token that stood at the beginning of a chain of exchanges: withdrawn with it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    jti: _Name
    client_id: _Name


class AccessClaims(BaseModel):
    """The claims this platform relies on; others are tolerated and ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    iss: _Name
    sub: _Name
    client_id: _Name
    aud: str | list[str]
    exp: _Instant
    iat: _Instant
    nbf: _Instant | None = None
    jti: _Name
    tenant: _Name
    scope: str = Field(default="", max_length=4000)
    plan: str = Field(default="standard", max_length=60)
    act: Actor | None = None
    customers: list[_Name] | None = Field(default=None, max_length=1000)
    sid: _Name | None = None
    cnf: Confirmation | None = None
    origin: Origin | None = None

    def is_meant_for(self, audience: str) -> bool:
        """Whether the token was issued for that audience."""
        return audience == self.aud if isinstance(self.aud, str) else audience in self.aud

    def principal(self, token: str) -> Principal:
        """The caller as routes and rules know it."""
        return Principal(
            subject=self.sub,
            client_id=self.client_id,
            tenant=self.tenant,
            scopes=frozenset(self.scope.split()),
            plan=self.plan,
            actor=self.act.sub if self.act else None,
            customers=None if self.customers is None else frozenset(self.customers),
            session=self.sid,
            token=token,
        )

    def marks(self, kid: str) -> TokenMarks:
        """By what the token can be withdrawn."""
        return TokenMarks(
            jti=self.jti,
            client_id=self.client_id,
            tenant=self.tenant,
            subject=self.sub,
            issued_at=self.iat,
            kid=kid,
            session=self.sid,
            origin_jti=self.origin.jti if self.origin else None,
            origin_client=self.origin.client_id if self.origin else None,
        )


def read_claims(claims: dict[str, Any]) -> AccessClaims:
    """The claims, checked for presence and type.

    Raises: pydantic.ValidationError naming the claims that are missing or mistyped.
    """
    return AccessClaims.model_validate(claims)
