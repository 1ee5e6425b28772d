"""The grants on Authlib's framework-free server: rules of the token endpoint, no waiting; all facts are fetched before.

Authlib's server is synchronous, so whoever calls it (`issuer.py`) has looked up and checked the client's secret and the
subject token already; the grants here only decide.
"""
# Authlib ships no types; the strict checker would call every inherited name unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant as AuthlibClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from experience_apis.identity.assertions import PRIVATE_KEY_JWT
from experience_apis.identity.codes.redemption import Redemption
from experience_apis.identity.keys import SigningKey
from experience_apis.identity.records import GrantType, OAuthClient
from experience_apis.identity.roles import RoleBook
from experience_apis.identity.tokens import Bearer, Claims, TokenPress

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name of RFC 8693, no secret
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
NO_SECRET = "none"  # noqa: S105 - a name of RFC 7591: a client that can keep no secret
AUTH_METHODS = ["client_secret_basic", "client_secret_post", PRIVATE_KEY_JWT]
PORTAL_AUTH_METHODS = [*AUTH_METHODS, NO_SECRET]
# Authlib refuses plain addresses; whether ours may be plain is judged once, by the settings.
_NOMINAL_ADDRESS = "https://issuer.invalid/oauth/token"


class InvalidTargetError(OAuth2Error):
    """RFC 8707 / 8693: the audience asked for is not served to this client."""

    error = "invalid_target"
    description = "The client may not have a token for this audience."


@dataclass(frozen=True, slots=True)
class OAuthReply:
    """Answer of an OAuth endpoint."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out before a grant decides."""

    form: Mapping[str, str]
    audiences: Sequence[str]
    client: OAuthClient | None
    auth_method: str | None
    key: SigningKey
    subject: Claims | None = None
    key_thumbprint: str | None = None
    redemption: Redemption | None = None


class _Client(ClientMixin):
    def __init__(self, record: OAuthClient) -> None:
        self.record = record

    def get_client_id(self) -> str:
        return self.record.client_id

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.record.grant_types

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        del endpoint
        return method in PORTAL_AUTH_METHODS

    def get_allowed_scope(self, scope: str | None) -> str | None:
        asked = frozenset(scope.split()) if scope else self.record.scopes
        return " ".join(sorted(asked & self.record.scopes)) or None


class _Request(OAuth2Request):
    def __init__(self, facts: Facts) -> None:
        super().__init__("POST", _NOMINAL_ADDRESS)
        self.facts = facts
        self.payload = BasicOAuth2Payload(dict(facts.form))

    @property
    def form(self) -> Mapping[str, str]:
        return self.facts.form


def facts_of(grant: BaseGrant) -> Facts:
    """What was found out before this grant decides."""
    return cast("_Request", grant.request).facts


def client_of(grant: BaseGrant) -> OAuthClient:
    """The authenticated client."""
    return cast("_Client", grant.request.client).record


def served(facts: Facts, client: OAuthClient) -> tuple[str, ...]:
    """The audiences of the new token; InvalidTargetError when one is not the client's."""
    asked = tuple(facts.audiences)
    if not asked:
        return client.audiences[:1]  # a token opens one tier, unless more are asked for
    if set(asked) - set(client.audiences):
        raise InvalidTargetError
    return asked


class ClientCredentialsGrant(AuthlibClientCredentialsGrant):
    """RFC 6749 §4.4: a client gets a token for the subject it stands for."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    server: Authority

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """The token, with the scopes asked for as far as the client holds them."""
        facts, client = facts_of(self), cast("_Client", self.request.client)
        record = client.record
        scope = client.get_allowed_scope(facts.form.get("scope"))
        if scope is None:
            raise InvalidScopeError
        token, claims = self.server.press.stamp(
            facts.key,
            bearer=Bearer(
                subject=record.subject,
                tenant=record.tenant,
                plan=record.plan,
                customers=None if record.customers is None else tuple(sorted(record.customers)),
                key_thumbprint=facts.key_thumbprint,
            ),
            client_id=record.client_id,
            audience=served(facts, record),
            scopes=frozenset(scope.split()),
        )
        return 200, token_body(token, claims), list(self.TOKEN_RESPONSE_HEADER)


class TokenExchangeGrant(BaseGrant, TokenEndpointMixin):
    """RFC 8693 for tiers: a tier trades its caller's token for one towards the inner tier, on the caller's behalf.

    The authenticated client is the actor; the new token keeps subject and tenant, names the actor, and holds no scope
    that the caller or the tier lacks.
    """

    GRANT_TYPE = GrantType.TOKEN_EXCHANGE.value
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    server: Authority

    def validate_token_request(self) -> None:
        """Refuse what RFC 8693 §2.2.2 refuses, and a subject token that was not addressed to the actor."""
        client = cast("_Client", self.authenticate_token_endpoint_client())
        self.request.client = client
        form = facts_of(self).form
        if not client.check_grant_type(GrantType.TOKEN_EXCHANGE):
            raise UnauthorizedClientError("The client may not exchange tokens.")
        if form.get("subject_token_type") not in {ACCESS_TOKEN_TYPE, JWT_TYPE} or not form.get("subject_token"):
            raise InvalidRequestError("subject_token and a supported subject_token_type are required.")
        if form.get("requested_token_type", ACCESS_TOKEN_TYPE) not in {ACCESS_TOKEN_TYPE, JWT_TYPE}:
            raise InvalidRequestError("Only access tokens are issued here.")
        if "actor_token" in form:
            raise InvalidRequestError("The authenticated client is the actor; actor_token is not taken.")
        subject = facts_of(self).subject
        if subject is None or client.record.acts_at not in subject.audience:
            raise InvalidRequestError("The subject_token is not valid here.")
        self.validate_requested_scope()

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """The narrowed token with its actor; it does not outlive the subject token."""
        facts, actor = facts_of(self), cast("_Client", self.request.client).record
        subject = cast("Claims", facts.subject)
        audience = served(facts, actor)
        worth = frozenset(scope for inner in audience for scope in self.server.book.at(inner, subject.scopes))
        asked = facts.form.get("scope")
        scopes = worth & actor.scopes & (frozenset(asked.split()) if asked else actor.scopes)
        if not scopes:
            raise InvalidScopeError
        act: dict[str, Any] = {"sub": actor.subject, "client_id": actor.client_id}
        token, claims = self.server.press.stamp(
            facts.key,
            bearer=Bearer(
                subject=subject.subject,
                tenant=subject.tenant,
                plan=actor.plan,
                act=act if subject.act is None else {**act, "act": subject.act},
                customers=subject.customers,
                session=subject.session,
                auth_time=subject.auth_time,
                key_thumbprint=facts.key_thumbprint,
                origin=subject.origin or (subject.jti, subject.client_id),
            ),
            client_id=actor.client_id,
            audience=audience,
            scopes=scopes,
            not_after=subject.expires_at,
        )
        return (
            200,
            {**token_body(token, claims), "issued_token_type": ACCESS_TOKEN_TYPE},
            list(self.TOKEN_RESPONSE_HEADER),
        )


class Authority(AuthorizationServer):
    """Authlib's server with our grants; answers `OAuthReply`s."""

    def __init__(
        self, press: TokenPress, book: RoleBook, further: Sequence[tuple[type[BaseGrant], list[Any] | None]] = ()
    ) -> None:
        """`further`: grants that stand in rooms of their own, with their extensions."""
        super().__init__(scopes_supported=sorted(book.known()))
        self.press = press
        self.book = book
        for method in PORTAL_AUTH_METHODS:
            self.register_client_auth_method(method, _checked_before(method))
        self.register_grant(ClientCredentialsGrant)
        self.register_grant(TokenExchangeGrant)
        for grant, extensions in further:
            self.register_grant(grant, extensions)

    def grant(self, facts: Facts) -> OAuthReply:
        """Decide on one token request."""
        if not facts.form.get("grant_type"):
            return self.refusal(InvalidRequestError("grant_type is required."))
        return cast("OAuthReply", self.create_token_response(facts))

    def refusal(self, error: OAuth2Error) -> OAuthReply:
        """An OAuth error as answer."""
        status, body, headers = error(None)
        return self.handle_response(status, body, list(headers))

    def query_client(self, client_id: str) -> None:
        """Not asked: clients are looked up before."""
        del client_id

    def create_oauth2_request(self, request: Facts) -> _Request:
        """Authlib's view of the facts."""
        return _Request(request)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> OAuthReply:
        """Authlib's answer as ours."""
        said = dict(headers)
        challenge = said.get("WWW-Authenticate", "")
        if challenge.startswith("Basic ") and "realm=" not in challenge:  # RFC 7617 §2: no Basic without a realm
            said["WWW-Authenticate"] = challenge.replace("Basic ", 'Basic realm="throughline", ', 1)
        return OAuthReply(status=status, body=body, headers=said)


def invalid_client(description: str = "The client is unknown or its secret is wrong.") -> OAuth2Error:
    """One refusal for an unknown client and for a wrong secret: the answer does not tell which."""
    return InvalidClientError(status_code=401, description=description)


def invalid_grant() -> OAuth2Error:
    """A code or refresh token that does not count, whatever the reason."""
    return InvalidGrantError("The code or refresh token does not count.")


def invalid_request(description: str) -> OAuth2Error:
    """A request that breaks RFC 6749's form."""
    return InvalidRequestError(description)


class InvalidProofError(OAuth2Error):
    """RFC 9449 §5: the DPoP proof is missing or does not hold."""

    error = "invalid_dpop_proof"


def invalid_proof(description: str) -> OAuth2Error:
    """A token request whose proof of possession is missing or does not hold."""
    return InvalidProofError(description)


def _checked_before(method: str) -> Any:
    def found(query_client: Any, request: _Request) -> _Client | None:
        del query_client
        facts = request.facts
        return _Client(facts.client) if facts.client is not None and facts.auth_method == method else None

    return found


def token_body(token: str, claims: Claims) -> dict[str, Any]:
    """RFC 6749 §5.1."""
    return {
        "access_token": token,
        "token_type": claims.token_type,
        "expires_in": claims.expires_at - claims.issued_at,
        "scope": " ".join(sorted(claims.scopes)),
    }
