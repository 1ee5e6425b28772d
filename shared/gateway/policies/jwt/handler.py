"""Access tokens: whose they are, whether they count, who holds them; one verified before is only looked up."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from math import inf
from urllib.parse import quote

from shared.errors.taxonomy import FieldFinding, Misconfigured, NotAuthenticated
from shared.gateway.kit import Kit
from shared.gateway.policies.jwt.config import Jwt
from shared.gateway.policies.jwt.keys import IssuerKeys
from shared.gateway.policies.jwt.proofs import InvalidProof, Proofs
from shared.gateway.policies.jwt.reader import TokenReader, refused, unverified
from shared.gateway.supplies import Supplies
from shared.identity.claims import read_claims
from shared.identity.principal import Principal
from shared.identity.revocations import TokenMarks
from shared.identity.trust import TrustedIssuer

_LONGEST_MEMORY = 300.0
"""A token is verified again after so long: an issuer that withdrew its key without a word is believed by then."""


class RevocationsStale(Misconfigured):
    """Whether the token was withdrawn cannot be known at present, and the policy says to refuse then."""

    code = "revocations_stale"
    sentence = "Whether access tokens still count cannot be found out at present; try again shortly."


@dataclass(frozen=True, slots=True)
class _Known:
    """A token verified before; `key` is the one it is bound to."""

    until: float
    principal: Principal
    marks: TokenMarks
    key: str | None


class JwtHandler:
    """Turns an access token into the principal of the request.

    The common case, a bearer token seen before, is one look-up by the header as sent and four comparisons. A new entry
    among the revocations makes it look over everything it remembers.
    """

    def __init__(self, config: Jwt, supplies: Supplies) -> None:
        self._now = supplies.now
        self._base = supplies.public_url
        self._most = config.remembered_tokens
        self._known: dict[bytes, _Known] = {}
        self._revocations = supplies.revocations
        self._generation = supplies.revocations.generation
        is_strict = config.when_revocations_are_stale == "refuse"
        self._stale_after = config.revocations_stale_after_seconds if is_strict else inf
        own = TrustedIssuer(supplies.issuer, supplies.audience, supplies.keys, read_claims, config.algorithms)
        keys = {
            trusted.issuer: IssuerKeys(
                trusted.keys, pause=config.refetch_seconds, now=supplies.now, warn=supplies.warn_line
            )
            for trusted in (*supplies.trusted, own)
        }
        self._readers = {
            trusted.issuer: TokenReader(trusted, keys[trusted.issuer], leeway=config.leeway_seconds, now=supplies.now)
            for trusted in (*supplies.trusted, own)
        }
        self._own_keys, self._keys_withdrawn = keys[supplies.issuer], supplies.revocations.keys_withdrawn
        self._proofs = None
        if config.dpop is not None:
            self._proofs = Proofs(
                supplies.used,
                algorithms=config.dpop.algorithms,
                seconds=config.dpop.proof_seconds,
                admits_when_unknown=config.dpop.when_proofs_cannot_be_remembered == "admit",
                now=supplies.now,
            )

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Recognise a token verified before at once; verify a new one, and every proof of possession."""
        given = kit.header(b"authorization")
        if given is None:
            raise NotAuthenticated(findings=[FieldFinding("header.authorization", "An access token is required.")])
        now, revocations = self._now(), self._revocations
        if self._generation != revocations.generation:
            self._look_over()
        if now - revocations.confirmed_at > self._stale_after:
            raise RevocationsStale(retry_after=5)
        known = self._known.get(given)
        if known is not None and known.until > now:
            kit.principal = known.principal
            return None if known.key is None else self._proven(kit, known.key, known.principal.token)
        return self._verified(kit, given)

    async def _verified(self, kit: Kit, given: bytes) -> None:
        scheme, _, raw = given.partition(b" ")
        raw, scheme = raw.strip(), scheme.lower()
        if scheme not in {b"bearer", b"dpop"} or not raw:
            raise refused("The Authorization header does not carry an access token.")
        said = unverified(raw)
        reader = self._readers.get(said.issuer or "")
        if reader is None:
            raise refused("The access token comes from another issuer.")
        claims, kid = await reader.read(said)
        marks = claims.marks(kid)
        if self._revocations.covers(marks):
            raise refused("The access token has been revoked.")
        key = claims.cnf.jkt if claims.cnf else None
        _fits(scheme, key, takes_proofs=self._proofs is not None)
        principal = claims.principal(raw.decode("ascii"))
        if key is not None:
            await self._proven(kit, key, principal.token)
            if self._revocations.covers(marks):  # an entry that came meanwhile was looked for among the remembered
                raise refused("The access token has been revoked.")
        self._remember(given, _Known(min(claims.exp, self._now() + _LONGEST_MEMORY), principal, marks, key))
        kit.principal = principal

    async def _proven(self, kit: Kit, key: str, token: str) -> None:
        shown = [value for name, value in kit.scope["headers"] if name == b"dpop"]
        if len(shown) != 1 or self._proofs is None:
            raise InvalidProof("The request needs exactly one DPoP header.")
        address = f"{self._base or _origin(kit)}{quote(kit.path)}"  # the server has decoded it
        method = "HEAD" if kit.is_head else kit.method
        if await self._proofs.key_of(shown[0], method=method, address=address, token=token) != key:
            raise InvalidProof("The DPoP proof is signed with another key than the one the access token is bound to.")

    def _look_over(self) -> None:
        self._generation = self._revocations.generation
        if self._keys_withdrawn != self._revocations.keys_withdrawn:
            self._keys_withdrawn = self._revocations.keys_withdrawn
            self._own_keys.expect_change()
        covers = self._revocations.covers
        self._known = {given: known for given, known in self._known.items() if not covers(known.marks)}

    def _remember(self, given: bytes, known: _Known) -> None:
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[given] = known


def _fits(scheme: bytes, key: str | None, *, takes_proofs: bool) -> None:
    if key is None and scheme == b"dpop":
        raise refused("The access token is not bound to a key; present it as a bearer token.")
    if key is not None and not takes_proofs:
        raise refused("Access tokens bound to a key are not taken here.")
    if key is not None and scheme != b"dpop":
        error = refused("The access token is bound to a key; present it with the scheme DPoP and a proof.")
        error.extra["token_type"] = "DPoP"  # noqa: S105 - the name of a scheme
        raise error


def _origin(kit: Kit) -> str:
    host = (kit.header(b"host") or b"").decode("latin-1")
    return f"{kit.scope.get('scheme', 'http')}://{host}"
