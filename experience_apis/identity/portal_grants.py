"""The grants of portals on Authlib's server: codes with PKCE, and refresh tokens used once; they only decide."""
# Authlib ships no types; the strict checker would call every inherited name unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

from typing import Any, cast

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as AuthlibAuthorizationCodeGrant
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant as AuthlibRefreshTokenGrant
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin

from experience_apis.identity.authority import (
    PORTAL_AUTH_METHODS,
    Authority,
    Facts,
    client_of,
    facts_of,
    served,
    token_body,
)
from experience_apis.identity.codes.authorization import held_scopes
from experience_apis.identity.codes.id_tokens import id_token
from experience_apis.identity.codes.redemption import Redemption, new_refresh_token
from experience_apis.identity.codes.wishes import S256
from experience_apis.identity.records import GrantType
from experience_apis.identity.tokens import Bearer

Reply = tuple[int, dict[str, Any], list[tuple[str, str]]]


class _Code(AuthorizationCodeMixin):
    def __init__(self, redemption: Redemption) -> None:
        self.redemption = redemption
        self.code_challenge = redemption.grant.challenge
        self.code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        return self.redemption.grant.redirect_uri

    def get_scope(self) -> str:
        return " ".join(sorted(self.redemption.grant.scopes))


class _Refresh(TokenMixin):
    def __init__(self, redemption: Redemption) -> None:
        self.redemption = redemption

    def check_client(self, client: ClientMixin) -> bool:
        return client.get_client_id() == self.redemption.grant.client_id

    def get_scope(self) -> str:
        return " ".join(sorted(self.redemption.grant.scopes))


class CodeGrant(AuthlibAuthorizationCodeGrant):
    """RFC 6749 §4.1.3 with RFC 7636: a code, its address and its verifier become tokens, once."""

    TOKEN_ENDPOINT_AUTH_METHODS = PORTAL_AUTH_METHODS
    EXTENSIONS = (S256(required=True),)
    server: Authority

    @classmethod
    def check_authorization_endpoint(cls, request: Any) -> bool:
        """Authorization requests are read elsewhere (`codes.wishes`)."""
        del request
        return False

    def query_authorization_code(self, code: str, client: ClientMixin) -> _Code | None:
        """What was found before: a code of this client that still counts."""
        del code, client
        redemption = facts_of(self).redemption
        return None if redemption is None else _Code(redemption)

    def create_token_response(self) -> Reply:
        """Access token, refresh token where the client may have one, ID token where it was asked for."""
        redemption = cast("_Code", self.request.authorization_code).redemption
        return _issued(self, redemption, redemption.grant.scopes, nonce=redemption.grant.nonce)


class RefreshGrant(AuthlibRefreshTokenGrant):
    """RFC 6749 §6: a refresh token becomes an access token and the next refresh token."""

    TOKEN_ENDPOINT_AUTH_METHODS = PORTAL_AUTH_METHODS
    server: Authority

    def authenticate_refresh_token(self, refresh_token: str) -> _Refresh | None:
        """What was found before: a refresh token that still counts."""
        del refresh_token
        redemption = facts_of(self).redemption
        return None if redemption is None else _Refresh(redemption)

    def create_token_response(self) -> Reply:
        """Never more than was granted, and no more than person and client hold by now."""
        redemption = cast("_Refresh", self.request.refresh_token).redemption
        asked = facts_of(self).form.get("scope")
        scopes = redemption.grant.scopes & (frozenset(asked.split()) if asked else redemption.grant.scopes)
        return _issued(self, redemption, scopes, nonce=None)


PORTAL_GRANTS = ((CodeGrant, list(CodeGrant.EXTENSIONS)), (RefreshGrant, None))


def _issued(
    grant: CodeGrant | RefreshGrant, redemption: Redemption, scopes: frozenset[str], *, nonce: str | None
) -> Reply:
    facts, client, given = facts_of(grant), client_of(grant), redemption.grant
    held = held_scopes(scopes, given.person, client, grant.server.book)
    if not held:
        raise InvalidScopeError
    person = given.person
    token, claims = grant.server.press.stamp(
        facts.key,
        bearer=Bearer(
            subject=person.subject,
            tenant=person.tenant,
            plan=client.plan,
            customers=_of_both(person.customers, client.customers),
            session=given.session_id,
            auth_time=int(given.auth_time.timestamp()),
            key_thumbprint=_bound_to(facts, redemption),
        ),
        client_id=client.client_id,
        audience=served(facts, client),
        scopes=held,
        not_after=int(given.ends_at.timestamp()),
    )
    body = token_body(token, claims)
    redemption.claims = claims
    if client.grant_types & {GrantType.REFRESH_TOKEN}:
        redemption.refresh = body["refresh_token"] = new_refresh_token()
    if "openid" in held:
        issuer = grant.server.press.issuer
        body["id_token"] = id_token(facts.key, issuer=issuer, grant=given, scopes=held, access_token=token, nonce=nonce)
    return 200, body, list(grant.TOKEN_RESPONSE_HEADER)


def _of_both(person: frozenset[str] | None, client: frozenset[str] | None) -> tuple[str, ...] | None:
    """The customers that both may see; None bounds nothing, and nobody in common leaves no record at all."""
    bounds = [one for one in (person, client) if one is not None]
    return tuple(sorted(frozenset.intersection(*bounds))) if bounds else None


def _bound_to(facts: Facts, redemption: Redemption) -> str | None:
    """The key the token is bound to; a grant that began with a key goes on with no other."""
    shown, expected = facts.key_thumbprint, redemption.grant.key_thumbprint
    if expected is not None and shown != expected:
        raise InvalidGrantError("The grant is bound to another key.")
    redemption.key_thumbprint = shown
    return shown
