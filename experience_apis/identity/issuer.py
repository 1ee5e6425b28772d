"""The issuer: finds out what a request is made of, asks the authority, and answers; knows no web framework."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from experience_apis.identity.assertions import ASSERTION_TYPE, PRIVATE_KEY_JWT, Assertions, InvalidAssertion
from experience_apis.identity.authority import (
    NO_SECRET,
    Authority,
    Facts,
    OAuthReply,
    invalid_client,
    invalid_grant,
    invalid_proof,
    invalid_request,
)
from experience_apis.identity.codes.redemption import REFRESH_MARK, GrantDesk
from experience_apis.identity.credentials import FailureThrottle, SecretKeeper
from experience_apis.identity.keys import KeyRing
from experience_apis.identity.metadata import server_metadata
from experience_apis.identity.portal_grants import PORTAL_GRANTS
from experience_apis.identity.providers import Providers
from experience_apis.identity.records import GrantType, OAuthClient, Register
from experience_apis.identity.revocation_store import Revocations
from experience_apis.identity.roles import RoleBook
from experience_apis.identity.tokens import Claims, TokenPress
from shared.gateway.policies.jwt.proofs import InvalidProof, Proofs
from shared.identity.revocations import Withdrawn
from shared.persistence.once import Once
from shared.serving.revocations import RevocationPage
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import counter

_answers = counter(
    "throughline_experience_oauth_answers_total", ["endpoint", "outcome"], "Answers of the issuer by error code or ok."
)
_log = get_logger("throughline.identity")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
INTROSPECT = "tokens.introspect"
PROOF_ALGORITHMS = ("ES256", "EdDSA", "Ed25519")
_REPEATABLE = frozenset({"audience", "resource"})
_SINGLE = frozenset(
    "grant_type scope client_id client_secret subject_token subject_token_type actor_token actor_token_type "
    "requested_token_type token token_type_hint code redirect_uri code_verifier "
    "refresh_token client_assertion client_assertion_type".split()
)


@dataclass(frozen=True, slots=True)
class OAuthCall:
    """A request to an OAuth endpoint: its form as sent, its Authorization and DPoP headers, where it comes from."""

    form: Sequence[tuple[str, str]]
    authorization: str | None
    address: str
    proofs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Presented:
    client_id: str
    secret: str
    method: str


class _Refusal(Exception):
    def __init__(self, reply: OAuthReply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Issuer:
    """Issues, explains and withdraws access tokens."""

    def __init__(  # noqa: PLR0913 - keywords only, each a room of the issuer
        self,
        *,
        press: TokenPress,
        register: Register,
        keys: KeyRing,
        keeper: SecretKeeper,
        throttle: FailureThrottle,
        book: RoleBook,
        revocations: Revocations,
        assertions: Assertions,
        proofs: Proofs,
        providers: Providers,
        grants: GrantDesk,
    ) -> None:
        self._press = press
        self._register = register
        self._keys = keys
        self._keeper = keeper
        self._throttle = throttle
        self._book = book
        self._revocations = revocations
        self._assertions = assertions
        self._proofs = proofs
        self._providers = providers
        self._grants = grants
        self._authority = Authority(press, book, PORTAL_GRANTS)

    async def token(self, call: OAuthCall) -> OAuthReply:
        """Answer of the token endpoint."""
        return _counted("token", await self._token(call))

    async def introspect(self, call: OAuthCall) -> OAuthReply:
        """RFC 7662: what a token says, told to its own tenant's clients and to the tiers; anything else is inactive."""
        return _counted("introspect", await self._introspect(call))

    async def revoke(self, call: OAuthCall) -> OAuthReply:
        """RFC 7009: the token no longer counts; a token that never did is answered the same way."""
        return _counted("revoke", await self._revoke(call))

    async def withdrawn(self, cursor: str, limit: int) -> RevocationPage:
        """The feed of revocations after a cursor."""
        return await self._revocations.read(cursor, limit=limit)

    async def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The JWK Set."""
        return await self._keys.published()

    async def _token(self, call: OAuthCall) -> OAuthReply:
        try:
            form = self._form(call)
            client, method = await self._authenticated(call, form)
            thumbprint = await self._proven_key(call, client)
        except _Refusal as refusal:
            return refusal.reply
        wanted = [value for name, value in call.form if name in _REPEATABLE and value]
        subject = None
        if form.get("grant_type") == GrantType.TOKEN_EXCHANGE and form.get("subject_token"):
            subject = await self._subject(form["subject_token"])
        redemption = await self._grants.presented(form, client)
        reply = self._authority.grant(
            Facts(
                form=form,
                audiences=tuple(dict.fromkeys(wanted)),
                client=client,
                auth_method=method,
                key=await self._keys.current(),
                subject=subject,
                key_thumbprint=thumbprint,
                redemption=redemption,
            )
        )
        # what was decided counts once: whoever comes second with the same code or token gets nothing
        if redemption is not None and not await self._grants.settle(redemption) and reply.status == 200:  # noqa: PLR2004
            return self._authority.refusal(invalid_grant())
        return reply

    async def _introspect(self, call: OAuthCall) -> OAuthReply:
        try:
            form = self._form(call)
            client, method = await self._authenticated(call, form)
            token = self._named_token(form)
        except _Refusal as refusal:
            return refusal.reply
        if method == NO_SECRET:
            return self._authority.refusal(invalid_client("The client did not authenticate."))
        if token.startswith(REFRESH_MARK):
            return OAuthReply(200, await self._grants.introspect(token, client), NO_STORE)
        said = await self._good(token)
        if said is None or not _may_see(client, said):
            return OAuthReply(200, {"active": False}, NO_STORE)
        return OAuthReply(200, {"active": True, "token_type": said.token_type, **said.as_json()}, NO_STORE)

    async def _revoke(self, call: OAuthCall) -> OAuthReply:
        try:
            form = self._form(call)
            client, _ = await self._authenticated(call, form)
            token = self._named_token(form)
        except _Refusal as refusal:
            return refusal.reply
        if token.startswith(REFRESH_MARK):
            await self._grants.revoke(token, client)
            return OAuthReply(200, {}, NO_STORE)
        said = await self._good(token)
        if said is not None and said.client_id == client.client_id:
            await self._revocations.withdraw(
                Withdrawn.TOKEN,
                said.jti,
                until=datetime.fromtimestamp(said.expires_at, UTC),
                reason="revoked by its client",
            )
        return OAuthReply(200, {}, NO_STORE)

    def metadata(self) -> dict[str, Any]:
        """RFC 8414 document, which is OpenID Connect's as well."""
        return server_metadata(self._press.issuer, self._book, PROOF_ALGORITHMS)

    async def _good(self, token: str) -> Claims | None:
        said = self._press.read(token, await self._keys.verifying())
        return None if said is None or await self._revocations.covers(said.marks()) else said

    async def _subject(self, token: str) -> Claims | None:
        """Whom a subject token speaks for: one of ours, or of a provider that is trusted."""
        if not self._providers.issued(token):
            return await self._good(token)
        said = await self._providers.read(token)
        return None if said is None or await self._revocations.covers(said.marks()) else said

    async def _proven_key(self, call: OAuthCall, client: OAuthClient) -> str | None:
        """The thumbprint of the key the new token is bound to; None for a bearer token."""
        if not call.proofs and not client.requires_dpop:
            return None
        if len(call.proofs) != 1:
            raise _Refusal(self._authority.refusal(invalid_proof("This client needs exactly one DPoP header.")))
        try:
            address = f"{self._press.issuer}/oauth/token"
            return await self._proofs.key_of(call.proofs[0].encode(), method="POST", address=address)
        except InvalidProof as error:
            raise _Refusal(self._authority.refusal(invalid_proof(error.message))) from error

    def _named_token(self, form: dict[str, str]) -> str:
        if not form.get("token"):
            raise _Refusal(self._authority.refusal(invalid_request("token is required.")))
        return form["token"]

    def _form(self, call: OAuthCall) -> dict[str, str]:
        names = [name for name, _ in call.form if name in _SINGLE]
        if len(names) != len(set(names)):
            raise _Refusal(self._authority.refusal(invalid_request("A parameter is given more than once.")))
        return dict(call.form)

    async def _asserted(self, call: OAuthCall, form: dict[str, str]) -> OAuthClient:
        if call.authorization is not None or "client_secret" in form:
            raise _Refusal(self._authority.refusal(invalid_request("Two kinds of client authentication at once.")))
        assertion = form.get("client_assertion", "")
        client_id = self._assertions.named_client(assertion)
        if form.get("client_assertion_type") != ASSERTION_TYPE or not client_id:
            raise _Refusal(self._authority.refusal(invalid_client("The client assertion cannot be used.")))
        if form.get("client_id", client_id) != client_id:
            raise _Refusal(self._authority.refusal(invalid_request("client_id differs from the client assertion.")))
        wait = await self._throttle.wait(client_id, call.address)
        if wait > 0:
            raise _Refusal(_too_many(wait))
        client = await self._register.client(client_id)
        try:
            return await self._assertions.check(assertion, client)
        except InvalidAssertion as error:
            await self._throttle.failed(client_id, call.address)
            _log.warning("assertion_refused", client_id=client_id[:80], address=call.address, reason=str(error))
            refusal = invalid_client("The client is unknown or its assertion does not hold.")
            raise _Refusal(self._authority.refusal(refusal)) from error

    async def _authenticated(self, call: OAuthCall, form: dict[str, str]) -> tuple[OAuthClient, str]:
        if "client_assertion" in form or "client_assertion_type" in form:
            return await self._asserted(call, form), PRIVATE_KEY_JWT
        if call.authorization is None and form.get("client_id") and "client_secret" not in form:
            return await self._without_secret(form["client_id"]), NO_SECRET
        shown = self._presented(call.authorization, form)
        client = await self._register.client(shown.client_id)
        if client is not None and self._keeper.knows(client.client_id, shown.secret, client.secret_hashes):
            return client, shown.method
        wait = await self._throttle.wait(shown.client_id, call.address)
        if wait > 0:
            raise _Refusal(_too_many(wait))
        if client is None or not client.secret_hashes:
            await self._keeper.pretend(shown.secret)
        elif await self._keeper.matches(client.client_id, shown.secret, client.secret_hashes):
            return client, shown.method
        await self._throttle.failed(shown.client_id, call.address)
        _log.warning(
            "client_refused", client_id=shown.client_id[:80], address=call.address, is_known=client is not None
        )
        raise _Refusal(self._authority.refusal(invalid_client()))

    async def _without_secret(self, client_id: str) -> OAuthClient:
        client = await self._register.client(client_id)
        if client is None or client.auth_method != NO_SECRET:
            raise _Refusal(self._authority.refusal(invalid_client("The client did not authenticate.")))
        return client

    def _presented(self, authorization: str | None, form: dict[str, str]) -> _Presented:
        if authorization is None:
            if not form.get("client_id") or not form.get("client_secret"):
                raise _Refusal(self._authority.refusal(invalid_client("The client did not authenticate.")))
            return _Presented(form["client_id"], form["client_secret"], "client_secret_post")
        scheme, _, content = authorization.partition(" ")
        try:
            user, colon, password = base64.b64decode(content.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, colon, password = "", "", ""
        if scheme.lower() != "basic" or not user or not colon:
            raise _Refusal(self._authority.refusal(invalid_client("The Authorization header is not HTTP Basic.")))
        if "client_secret" in form:
            raise _Refusal(self._authority.refusal(invalid_request("Two kinds of client authentication at once.")))
        shown = _Presented(unquote_plus(user), unquote_plus(password), "client_secret_basic")
        if form.get("client_id", shown.client_id) != shown.client_id:
            raise _Refusal(self._authority.refusal(invalid_request("client_id differs from the Authorization header.")))
        return shown


def issuer_proofs(used: Once) -> Proofs:
    """Proofs of possession as the token endpoint takes them; a proof whose reuse cannot be ruled out is refused."""
    return Proofs(used, algorithms=PROOF_ALGORITHMS, seconds=60, admits_when_unknown=False, now=time.time)


def _counted(endpoint: str, reply: OAuthReply) -> OAuthReply:
    _answers.labels(endpoint, str(reply.body.get("error", "ok"))).inc()
    return reply


def _may_see(client: OAuthClient, said: Claims) -> bool:
    return client.tenant == said.tenant and (
        INTROSPECT in client.scopes or client.client_id == said.client_id or client.subject == said.subject
    )


def _too_many(wait: float) -> OAuthReply:
    return OAuthReply(
        429,
        {
            "error": "temporarily_unavailable",
            "error_description": "Too many failed attempts to authenticate this client; wait.",
        },
        {**NO_STORE, "Retry-After": str(math.ceil(wait))},
    )
