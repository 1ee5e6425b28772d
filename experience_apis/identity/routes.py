"""HTTP face of the issuer: forms in, RFC 6749 JSON out; no decision is made here."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from experience_apis.identity.authority import OAuthReply
from experience_apis.identity.issuer import Issuer, OAuthCall
from shared.serving.revocations import FEED_PATH, RevocationPage

FORM = "application/x-www-form-urlencoded"
Word = Annotated[str, Field(max_length=200)]


class TokenAnswer(BaseModel):
    """RFC 6749 §5.1, RFC 8693 §2.2 and OpenID Connect Core §3.1.3.3."""

    access_token: Annotated[
        str,
        Field(
            max_length=8192,
            description="RFC 9068 access token (a JWT of type at+jwt).",
            examples=["eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJmaW9uYSJ9.c2lnbmF0dXJl"],
        ),
    ]
    token_type: Annotated[
        str,
        Field(
            pattern="^(Bearer|DPoP)$",
            description="How to send the token; DPoP: only with a proof of its key.",
            examples=["Bearer"],
        ),
    ]
    expires_in: Annotated[int, Field(ge=0, le=86_400, description="Seconds the token counts from now.", examples=[900])]
    scope: Annotated[
        str,
        Field(max_length=4000, description="What was granted, space-separated.", examples=["billing.read deals.read"]),
    ]
    refresh_token: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Of portals only: used once, for the next access token and refresh token.",
            examples=["tr_S2V0dGxlIG9uIGEgdHVlc2RheQ"],
        ),
    ] = None
    id_token: Annotated[
        str | None,
        Field(
            max_length=8192,
            description="With scope `openid`: who logged in, when, and for which client (a JWT).",
            examples=["eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwbW8tcGF1bCJ9.c2lnbmF0dXJl"],
        ),
    ] = None
    issued_token_type: Annotated[
        Word | None,
        Field(description="Of an exchanged token only.", examples=["urn:ietf:params:oauth:token-type:access_token"]),
    ] = None


class OAuthRefusal(BaseModel):
    """RFC 6749 §5.2."""

    error: Annotated[Word, Field(description="Kind of refusal, as the RFC names them.", examples=["invalid_client"])]
    error_description: Annotated[
        str | None,
        Field(max_length=1000, description="Why, for people.", examples=["The client did not authenticate."]),
    ] = None


class Introspection(BaseModel):
    """RFC 7662 §2.2; only `active` is there for a token that does not count."""

    model_config = ConfigDict(extra="allow")

    active: Annotated[bool, Field(description="Whether the token counts at this moment.", examples=[True])]


class JsonWebKeySet(BaseModel):
    """RFC 7517: the public keys that tokens are verified with."""

    keys: Annotated[
        list[Annotated[dict[str, Any], Field(max_length=20)]],
        Field(
            max_length=20,
            description="Keys that sign now, signed lately, or will sign soon; `kid` tells which signed a token.",
            examples=[
                [
                    {
                        "kty": "EC",
                        "crv": "P-256",
                        "kid": "k-2017-03",
                        "use": "sig",
                        "alg": "ES256",
                        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                    }
                ]
            ],
        ),
    ]


class ServerMetadata(BaseModel):
    """RFC 8414."""

    model_config = ConfigDict(extra="allow")

    issuer: Annotated[
        str,
        Field(max_length=500, description="Who issues; `iss` of every token.", examples=["http://127.0.0.1:8103"]),
    ]
    token_endpoint: Annotated[
        str,
        Field(
            max_length=500, description="Where tokens are asked for.", examples=["http://127.0.0.1:8103/oauth/token"]
        ),
    ]
    jwks_uri: Annotated[
        str,
        Field(
            max_length=500,
            description="Where the public keys are.",
            examples=["http://127.0.0.1:8103/.well-known/jwks.json"],
        ),
    ]


class Revoked(BaseModel):
    """RFC 7009: an empty object, whatever the token was."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})


_KIND_OF_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind
_SHOWN = {
    "grant_type": "client_credentials",
    "scope": "billing.read deals.read",
    "audience": "throughline-experience",
    "subject_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJmaW9uYSJ9.c2lnbmF0dXJl",
    "subject_token_type": _KIND_OF_TOKEN,
    "requested_token_type": _KIND_OF_TOKEN,
    "token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJmaW9uYSJ9.c2lnbmF0dXJl",
    "token_type_hint": "access_token",
    "client_id": "partner-portal",
    "client_secret": "a-secret-of-the-client",
    "client_assertion": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJwYXJ0bmVyLXBvcnRhbCJ9.c2lnbmF0dXJl",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "code": "a-code-of-the-redirect",
    "redirect_uri": "https://portal.example/callback",
    "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "refresh_token": "a-refresh-token",
}


def _form_body(description: str, required: list[str], properties: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: {
            "type": "string",
            "minLength": int(name in required),
            "maxLength": 8192,
            "description": text,
            "examples": [_SHOWN[name]],
        }
        for name, text in properties.items()
    }
    schema = {"type": "object", "required": required, "properties": fields}
    sample = {name: _SHOWN[name] for name in (*required, "client_id", "client_secret")}
    media = {"schema": schema, "examples": {"sample": {"summary": "From the sample firm", "value": sample}}}
    return {
        "x-errors": "RFC 6749",
        "requestBody": {"required": True, "description": description, "content": {FORM: media}},
    }


_CREDENTIALS = {
    "client_id": "Client id, unless the client authenticates by HTTP Basic.",
    "client_secret": "Client secret, unless the client authenticates by HTTP Basic.",
    "client_assertion": "Signed assertion of a client with keys (RFC 7523), instead of a secret.",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer with an assertion.",
}
_TOKEN_FORM = _form_body(
    "Grant and client authentication.",
    ["grant_type"],
    {
        "grant_type": "client_credentials; authorization_code or refresh_token for portals; "
        "urn:ietf:params:oauth:grant-type:token-exchange for tiers.",
        "scope": "Space-separated scopes; all that the client holds if left out.",
        "audience": "Tier the token is for; the client's first if left out.",
        "code": "Authorization code: as it came with the browser; counts once, for a minute.",
        "redirect_uri": "Authorization code: the address it was sent to.",
        "code_verifier": "Authorization code: the secret behind the code_challenge (PKCE, S256).",
        "refresh_token": "Refresh: the latest one; it is replaced, and an older one ends the whole grant.",
        "subject_token": "Token exchange: the caller's access token.",
        "subject_token_type": "Token exchange: urn:ietf:params:oauth:token-type:access_token.",
        "requested_token_type": "Token exchange: urn:ietf:params:oauth:token-type:access_token.",
        **_CREDENTIALS,
    },
)
_ONE_TOKEN_FORM = _form_body(
    "The token and client authentication.",
    ["token"],
    {
        "token": "The access or refresh token; with a refresh token its whole grant is meant.",
        "token_type_hint": "access_token or refresh_token; ignored.",
        **_CREDENTIALS,
    },
)
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": OAuthRefusal, "description": text}
    for status, text in {
        400: "The request is not one the server grants (RFC 6749 §5.2).",
        401: "The client did not authenticate.",
        429: "Too many failed attempts; see Retry-After.",
    }.items()
}


def issuer_routes(issuer: Issuer) -> APIRouter:
    """The OAuth and well-known endpoints of this issuer; none of them takes a bearer token."""
    router = APIRouter(tags=["oauth"])

    @router.post(
        "/oauth/token",
        operation_id="issueToken",
        summary="Get an access token",
        response_model=TokenAnswer,
        responses=_REFUSALS,
        openapi_extra=_TOKEN_FORM,
    )
    async def issue_token(request: Request) -> Response:
        """Client credentials for API clients, codes and refresh tokens for portals, token exchange for tiers."""
        return _answer(await issuer.token(await _call(request)))

    @router.post(
        "/oauth/introspect",
        operation_id="introspectToken",
        summary="Ask whether a token counts",
        response_model=Introspection,
        responses=_REFUSALS,
        openapi_extra=_ONE_TOKEN_FORM,
    )
    async def introspect_token(request: Request) -> Response:
        """Answers `active: false` for anything the asking client may not know of."""
        return _answer(await issuer.introspect(await _call(request)))

    @router.post(
        "/oauth/revoke",
        operation_id="revokeToken",
        summary="Withdraw a token",
        response_model=Revoked,
        responses=_REFUSALS,
        openapi_extra=_ONE_TOKEN_FORM,
    )
    async def revoke_token(request: Request) -> Response:
        """The token is no longer exchanged and introspects as inactive; unknown tokens are answered alike."""
        return _answer(await issuer.revoke(await _call(request)))

    @router.get(
        FEED_PATH,
        operation_id="readRevocations",
        summary="What no longer counts",
        response_model=RevocationPage,
    )
    async def read_revocations(
        cursor: Annotated[
            str,
            Query(
                pattern=r"^[0-9]{1,18}$",
                max_length=18,
                description="`next_cursor` of the page before; 0 to start.",
                examples=["1042"],
            ),
        ] = "0",
        limit: Annotated[int, Query(ge=1, le=1000, description="Entries per page.", examples=[500])] = 500,
    ) -> RevocationPage:
        """Withdrawn tokens, clients, people, sessions and keys in order; tiers follow it every few seconds."""
        return await issuer.withdrawn(cursor, limit)

    @router.get(
        "/.well-known/jwks.json", operation_id="readKeys", summary="Public signing keys", response_model=JsonWebKeySet
    )
    async def read_keys() -> Response:
        """Keys that sign now, signed lately, or will sign soon."""
        return JSONResponse(await issuer.jwks(), headers={"Cache-Control": "public, max-age=300"})

    @router.get(
        "/.well-known/oauth-authorization-server",
        operation_id="readAuthorizationServer",
        summary="Authorization server metadata",
        response_model=ServerMetadata,
    )
    async def read_authorization_server() -> Response:
        """Where the endpoints are and what they support."""
        return JSONResponse(issuer.metadata(), headers={"Cache-Control": "public, max-age=300"})

    return router


async def _call(request: Request) -> OAuthCall:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = (await request.body()).decode("utf-8", "replace") if content_type == FORM else ""
    return OAuthCall(
        # what comes without a value counts as left out (RFC 6749 §3.2)
        form=parse_qsl(text, max_num_fields=50) if text.count("&") < 50 else (),  # noqa: PLR2004 - as many fields as parse_qsl is let to read
        authorization=request.headers.get("authorization"),
        address=request.client.host if request.client else "unknown",
        proofs=request.headers.getlist("dpop"),
    )


def _answer(reply: OAuthReply) -> Response:
    headers = {name: value for name, value in reply.headers.items() if name.lower() != "content-type"}
    return JSONResponse(reply.body, status_code=reply.status, headers=headers)
