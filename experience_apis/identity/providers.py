"""Other OpenID providers whose access tokens count here: from a file, their claims turned into tenant and roles."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from experience_apis.identity.roles import RoleBook
from experience_apis.identity.tokens import Claims
from shared.documents import read_yaml
from shared.errors.taxonomy import NotAuthenticated, NotPermitted, VendorDrift
from shared.gateway.policies.jwt.config import Algorithm
from shared.gateway.policies.jwt.keys import IssuerKeys
from shared.gateway.policies.jwt.reader import TokenReader, unverified
from shared.identity.claims import AccessClaims
from shared.identity.trust import TrustedIssuer
from shared.outbound.guarded import AddressRules, fetch_json
from shared.telemetry.logging import get_logger

_DISCOVERY: Final = "/.well-known/openid-configuration"
_DISCOVERED_FOR: Final = 3600.0
_LEEWAY: Final = 30.0
_PAUSE: Final = 10.0
_log = get_logger("throughline.identity")
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$", max_length=500)]


class Mapped(BaseModel):
    """A claim and what its values mean here; a value that is not listed means nothing.

    `claim` is the claim's name, or a path into nested claims (`realm_access.roles`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    values: dict[str, str] = Field(min_length=1)

    def meanings(self, said: Mapping[str, Any]) -> list[str]:
        """What the claim's values stand for, in their order, each once."""
        return list(dict.fromkeys(self.values[one] for one in texts(said, self.claim) if one in self.values))


class Provider(BaseModel):
    """One provider: where it is, what its access tokens look like, what its claims mean here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Word = Field(description="Stands before the names of its people and clients: `acme:ada`.")
    issuer: Url
    discovery: Url | None = Field(default=None, description="By default below the issuer's address.")
    audience: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    token_types: tuple[Literal["at+jwt", "application/at+jwt", "JWT", "none"], ...] = Field(
        default=("at+jwt", "application/at+jwt"), min_length=1, description="`typ` of its access tokens; none: without."
    )
    must_say: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Claims that tell its access tokens from its ID tokens, where `typ` does not.",
        examples=[{"token_class": "access_token"}],
    )
    subject_claim: str = "sub"
    client_claims: tuple[str, ...] = Field(default=("client_id", "azp"), min_length=1)
    tenant: Word | Mapped
    roles: Mapped
    customers_claim: str | None = Field(default=None, description="Claim that lists the only customers to be seen.")
    plan: Word | Mapped = "standard"

    @model_validator(mode="after")
    def _tokens_are_told_apart(self) -> Self:
        if not self.must_say and not {"JWT", "none"}.isdisjoint(self.token_types):
            raise ValueError("token_types JWT and none need must_say: ID tokens would be taken for access tokens")
        return self


class ProvidersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trusted_issuers: tuple[Provider, ...] = ()

    @model_validator(mode="after")
    def _are_told_apart(self) -> Self:
        for what in ("name", "issuer"):
            named = [getattr(one, what) for one in self.trusted_issuers]
            if len(set(named)) != len(named):
                raise ValueError(f"two providers carry the same {what}")
        return self


def read_providers(path: Path | None, book: RoleBook, *, own: str) -> tuple[Provider, ...]:
    """The file's providers, checked; ValueError names file, place and reason."""
    if path is None:
        return ()
    try:
        found = ProvidersFile.model_validate(read_yaml(path.read_text("utf-8")))
    except OSError as error:
        raise ValueError(f"trusted_issuers_file {path}: {error.strerror}") from None
    except yaml.YAMLError:
        raise ValueError(f"trusted_issuers_file {path}: not YAML") from None
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"trusted_issuers_file {path}: {reasons}") from None
    for place, provider in enumerate(found.trusted_issuers):
        strangers = sorted(set(provider.roles.values.values()) - set(book.roles))
        if strangers:
            where = f"trusted_issuers_file {path}: trusted_issuers.{place}.roles"
            raise ValueError(f"{where}: no such role: {', '.join(strangers)}")
        if provider.issuer == own:
            raise ValueError(f"trusted_issuers_file {path}: trusted_issuers.{place}.issuer: is this issuer itself")
    return found.trusted_issuers


class Providers:
    """The trusted providers at work: `trusted` for the door, `read` for the token exchange."""

    def __init__(
        self,
        providers: Iterable[Provider],
        book: RoleBook,
        *,
        audience: str,
        rules: AddressRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`audience` is our own: how a token is addressed once it has been read."""
        asked = rules or AddressRules(allows_loopback=True, allows_private=True)
        self.trusted = tuple(
            TrustedIssuer(
                issuer=provider.issuer,
                audience=provider.audience,
                keys=_Keys(provider, asked, clock),
                read=_Reading(provider, book, audience),
                algorithms=provider.algorithms,
                types=tuple("" if one == "none" else one for one in provider.token_types),
            )
            for provider in providers
        )
        self._readers = {
            one.issuer: TokenReader(
                one, IssuerKeys(one.keys, pause=_PAUSE, now=clock, warn=_warn), leeway=_LEEWAY, now=clock
            )
            for one in self.trusted
        }

    def issued(self, token: str) -> bool:
        """Whether the token names one of them as its issuer; nothing is proven by that."""
        if not self._readers:
            return False
        try:
            return unverified(token.encode()).issuer in self._readers
        except NotAuthenticated:
            return False

    async def read(self, token: str) -> Claims | None:
        """What a genuine token says in our terms; None when it does not count or maps to nobody."""
        try:
            said = unverified(token.encode())
            found, kid = await self._readers[said.issuer or ""].read(said)
        except (NotAuthenticated, NotPermitted, KeyError) as error:
            _log.info("foreign_token_refused", reason=getattr(error, "message", "unknown issuer"))
            return None
        return Claims(
            issuer=found.iss,
            subject=found.sub,
            client_id=found.client_id,
            audience=(found.aud,) if isinstance(found.aud, str) else tuple(found.aud),
            tenant=found.tenant,
            plan=found.plan,
            scopes=frozenset(found.scope.split()),
            issued_at=int(found.iat),
            expires_at=int(found.exp),
            jti=found.jti,
            customers=None if found.customers is None else tuple(found.customers),
            session=found.sid,
            key_thumbprint=found.cnf.jkt if found.cnf else None,
            kid=kid,
        )


class _Keys:
    def __init__(self, provider: Provider, rules: AddressRules, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._rules = rules
        self._clock = clock
        self._address: str | None = None
        self._discovered_at = float("-inf")

    async def __call__(self) -> Mapping[str, Any]:
        if self._address is None or self._clock() - self._discovered_at > _DISCOVERED_FOR:
            self._address = await self._discovered()
            self._discovered_at = self._clock()
        address, self._address = self._address, None
        found = await fetch_json(address, self._rules)
        self._address = address  # kept only while it serves: a provider may move its keys
        return cast("Mapping[str, Any]", found)

    async def _discovered(self) -> str:
        provider = self._provider
        document: Any = await fetch_json(provider.discovery or provider.issuer.rstrip("/") + _DISCOVERY, self._rules)
        said: Mapping[str, Any] = cast("Mapping[str, Any]", document) if isinstance(document, dict) else {}
        if said.get("issuer") != provider.issuer or not isinstance(said.get("jwks_uri"), str):
            raise VendorDrift(f"The discovery document of {provider.name} names another issuer, or no keys.")
        return said["jwks_uri"]


class _Reading:
    """A provider's claims in our terms."""

    def __init__(self, provider: Provider, book: RoleBook, audience: str) -> None:
        self._provider = provider
        self._book = book
        self._audience = audience

    def __call__(self, said: dict[str, Any]) -> AccessClaims:
        provider = self._provider
        for claim, value in provider.must_say.items():
            if value not in texts(said, claim):
                raise NotAuthenticated(f"The claim `{claim}` does not mark the token as an access token.")
        client = next((one for name in provider.client_claims for one in texts(said, name)), None)
        subject = next(iter(texts(said, provider.subject_claim)), None)
        customers = None
        if provider.customers_claim is not None:
            customers = texts(said, provider.customers_claim)
        return AccessClaims.model_validate(
            {
                "iss": said.get("iss"),
                "sub": subject and f"{provider.name}:{subject}",
                "client_id": client and f"{provider.name}:{client}",
                "aud": [self._audience],
                "exp": said.get("exp"),
                "iat": said.get("iat"),
                "nbf": said.get("nbf"),
                "jti": said.get("jti") and f"{provider.name}:{said['jti']}",
                "tenant": self._tenant(said),
                "scope": " ".join(sorted(self._book.scopes_of(self._roles(said)))),
                "plan": self._plan(said),
                "customers": customers,
                "sid": _session(provider.name, said.get("sid")),
                "cnf": said.get("cnf"),
            }
        )

    def _tenant(self, said: Mapping[str, Any]) -> str:
        tenant = self._provider.tenant
        return tenant if isinstance(tenant, str) else _one(tenant, said, "tenant")

    def _plan(self, said: Mapping[str, Any]) -> str:
        plan = self._provider.plan
        return plan if isinstance(plan, str) else _one(plan, said, "plan")

    def _roles(self, said: Mapping[str, Any]) -> list[str]:
        roles = self._provider.roles.meanings(said)
        if not roles:
            raise NotPermitted(
                f"The claim `{self._provider.roles.claim}` of the access token names no role known here."
            )
        return roles


def _session(provider: str, sid: Any) -> str | None:
    """The provider's session, by a name of bearable length: some put a whole sealed document there."""
    return f"{provider}:{hashlib.sha256(sid.encode()).hexdigest()[:32]}" if isinstance(sid, str) and sid else None


def _one(mapped: Mapped, said: Mapping[str, Any], what: str) -> str:
    found = mapped.meanings(said)
    if len(found) != 1:
        count = "no" if not found else "more than one"
        raise NotPermitted(f"The claim `{mapped.claim}` of the access token names {count} {what} known here.")
    return found[0]


def texts(said: Mapping[str, Any], claim: str) -> list[str]:
    """The claim's value or values as text; a name with dots is a path where no claim is called so."""
    value: Any = said.get(claim)
    if value is None and "." in claim:
        value = said
        for step in claim.split("."):
            value = cast("Mapping[str, Any]", value).get(step) if isinstance(value, dict) else None
    if isinstance(value, str):
        return [value]
    listed: Sequence[Any] = cast("Sequence[Any]", value) if isinstance(value, list) else ()
    return [one for one in listed if isinstance(one, str)]


def _warn(line: Mapping[str, Any]) -> None:
    _log.warning("provider_keys", **{str(name): value for name, value in line.items() if name != "event"})
