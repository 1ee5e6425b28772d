"""OpenID Connect's own endpoints: discovery, and who the bearer of a token is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from experience_apis.identity.codes.id_tokens import person_claims
from experience_apis.identity.issuer import Issuer
from experience_apis.identity.people.records import People
from experience_apis.identity.routes import ServerMetadata
from shared.errors.taxonomy import NotFound
from shared.identity.principal import Principal
from shared.serving.principal import Caller

Word = Annotated[str, Field(max_length=200)]


class UserInfo(BaseModel):
    """OpenID Connect Core §5.3: what the token's scopes tell of the person."""

    model_config = ConfigDict(frozen=True)

    sub: Annotated[Word, Field(description="The person, as tokens and approvals call it.", examples=["pmo-paul"])]
    tenant: Annotated[Word, Field(description="The firm the person works in.", examples=["harbour"])]
    name: Annotated[Word | None, Field(description="With scope `profile`.", examples=["Paul Ott"])] = None
    preferred_username: Annotated[Word | None, Field(description="With scope `profile`.", examples=["paul"])] = None
    roles: Annotated[
        list[Word] | None, Field(description="With scope `profile`.", max_length=50, examples=[["pmo"]])
    ] = None
    locale: Annotated[Word | None, Field(description="With scope `profile`: en or de.", examples=["de"])] = None
    email: Annotated[Word | None, Field(description="With scope `email`.", examples=["paul@harbour.example"])] = None


def openid_routes(issuer: Issuer, people: People) -> APIRouter:
    """Discovery and user info."""
    router = APIRouter(tags=["oauth"])

    @router.get(
        "/.well-known/openid-configuration",
        operation_id="readOpenidConfiguration",
        summary="OpenID provider metadata",
        response_model=ServerMetadata,
    )
    async def read_openid_configuration() -> Response:
        """Where the endpoints are and what they support, for OpenID Connect clients."""
        return JSONResponse(issuer.metadata(), headers={"Cache-Control": "public, max-age=300"})

    @router.get(
        "/oauth/userinfo",
        operation_id="readUserInfo",
        summary="Who logged in",
        response_model=UserInfo,
        response_model_exclude_none=True,
    )
    async def read_user_info(caller: Caller) -> UserInfo:
        """The person the token speaks for, as far as its scopes tell; tokens of machines have nobody to tell of."""
        return await told_of(caller)

    @router.post(
        "/oauth/userinfo",
        operation_id="requestUserInfo",
        summary="Who the token speaks for, asked by POST",
        response_model=UserInfo,
        response_model_exclude_none=True,
    )
    async def read_user_info_by_post(caller: Caller) -> UserInfo:
        """The same by POST, as OpenID Connect Core §5.3 wants it; the token still comes in the header."""
        return await told_of(caller)

    async def told_of(caller: Principal) -> UserInfo:
        person = await people.of_subject(caller.tenant, caller.subject) if caller.session is not None else None
        if person is None:
            raise NotFound("The token speaks for no person who has logged in.")
        return UserInfo.model_validate(person_claims(person, caller.scopes))

    return router
