"""What a portal wishes for a person: reads and checks authorization requests on Authlib's code grant; no waiting."""
# Authlib ships no types; the strict checker would call every inherited name unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge

from experience_apis.identity.records import GrantType, OAuthClient

PERSON_SCOPES = frozenset({"openid", "profile", "email"})
"""Scopes of OpenID Connect: who the person is. Any client that people log in through may ask for them."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_PLAIN = re.compile(r"[\x20-\x7e]*").fullmatch
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_VALUE_AT_MOST = 2000
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
# Authlib refuses plain addresses; whether ours may be plain is judged once, by the settings.
_NOMINAL_ADDRESS = "https://issuer.invalid/oauth/authorize"


@dataclass(frozen=True, slots=True)
class Wish:
    """An authorization request that may be put to the person."""

    client: OAuthClient
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    state: str | None = None
    nonce: str | None = None
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str = ""
    key_thumbprint: str | None = None


class WishRefused(Exception):
    """The request cannot be served; `redirect_uri` is set once the client and its address are beyond doubt."""

    def __init__(self, error: str, reason: str, redirect_uri: str | None = None, state: str | None = None) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
        self.redirect_uri = redirect_uri
        self.state = state


def single(parameters: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """The parameters by name.

    Raises: WishRefused when one is there twice, too long, or not plain ASCII.
    """
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in found:
            raise WishRefused("invalid_request", "A parameter is given more than once.")
        if len(value) > _VALUE_AT_MOST or not _PLAIN(value):
            raise WishRefused("invalid_request", "A parameter is too long or not plain ASCII.")
        found[name] = value
    return found


def read_wish(parameters: Mapping[str, str], client: OAuthClient | None, known_scopes: frozenset[str]) -> Wish:
    """The wish of an authorization request.

    Raises: WishRefused.
    """
    if client is None:
        raise WishRefused("invalid_client", "There is no such client.")
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None or redirect_uri not in client.redirect_uris:
        raise WishRefused("invalid_request", "The redirect_uri is not one that the client has registered.")
    state = parameters.get("state")
    try:
        _refuse_what_is_not_spoken(parameters)
        reader = _Reader(client, known_scopes)
        grant = reader.get_consent_grant(parameters)
        return Wish(
            client=client,
            redirect_uri=redirect_uri,
            scopes=frozenset(str(grant.request.scope).split()),
            challenge=parameters["code_challenge"],
            state=state,
            nonce=parameters.get("nonce"),
            prompts=_prompts(parameters),
            max_age=_max_age(parameters),
            login_hint=parameters.get("login_hint", ""),
            key_thumbprint=parameters.get("dpop_jkt"),
        )
    except OAuth2Error as error:
        raise WishRefused(str(error.error), str(error.description or error.error), redirect_uri, state) from None
    except WishRefused as refusal:
        raise WishRefused(refusal.error, refusal.reason, redirect_uri, state) from None


def _refuse_what_is_not_spoken(parameters: Mapping[str, str]) -> None:
    if "request" in parameters:
        raise WishRefused("request_not_supported", "Request objects are not taken.")
    if "request_uri" in parameters:
        raise WishRefused("request_uri_not_supported", "Request objects are not taken.")
    if parameters.get("response_type", "code") != "code":
        raise WishRefused("unsupported_response_type", "Only response_type=code is served.")
    if parameters.get("response_mode", "query") != "query":
        raise WishRefused("invalid_request", "Only response_mode=query is served.")
    if "dpop_jkt" in parameters and not _THUMBPRINT(parameters["dpop_jkt"]):
        raise WishRefused("invalid_request", "dpop_jkt is not a thumbprint.")


def _prompts(parameters: Mapping[str, str]) -> frozenset[str]:
    prompts = frozenset(parameters.get("prompt", "").split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise WishRefused("invalid_request", "prompt is not one that is served.")
    return prompts


def _max_age(parameters: Mapping[str, str]) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - thirty years will do
        raise WishRefused("invalid_request", "max_age is a number of seconds.")
    return int(text)


class _Portal(ClientMixin):
    def __init__(self, record: OAuthClient) -> None:
        self.record = record

    def get_client_id(self) -> str:
        return self.record.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.record.redirect_uris

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and GrantType.AUTHORIZATION_CODE in self.record.grant_types

    def get_allowed_scope(self, scope: str | None) -> str | None:
        asked = frozenset(scope.split()) if scope else self.record.scopes
        return " ".join(sorted(asked & (self.record.scopes | PERSON_SCOPES))) or None


class _Payload(OAuth2Payload):
    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    @property
    def data(self) -> Mapping[str, str]:
        return self._parameters

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._parameters.items()}


class S256(CodeChallenge):
    """PKCE without its weak half: a challenge is compulsory, and only S256 counts."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib reads a list
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request without challenge or with the method left out, which would mean `plain`."""
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256" or not _CHALLENGE(data.get("code_challenge", "")):
            raise InvalidRequestError("PKCE is required: code_challenge with code_challenge_method=S256.")
        super().validate_code_challenge(grant, redirect_uri)


class _Reader(AuthorizationServer):
    def __init__(self, client: OAuthClient, known_scopes: frozenset[str]) -> None:
        super().__init__(scopes_supported=sorted(known_scopes | PERSON_SCOPES))
        self._client = _Portal(client)
        self.register_grant(AuthorizationCodeGrant, [S256(required=True)])

    def query_client(self, client_id: str) -> _Portal | None:
        return self._client if client_id == self._client.get_client_id() else None

    def create_oauth2_request(self, request: Mapping[str, str]) -> OAuth2Request:
        made = OAuth2Request("GET", _NOMINAL_ADDRESS)
        made.payload = _Payload(request)
        return made
