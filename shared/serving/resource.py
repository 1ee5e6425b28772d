"""Protected-resource metadata (RFC 9728): who issues the tokens a tier takes, which scopes, how to prove a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from shared.errors.taxonomy import NotFound
from shared.gateway.document import GatewayDocuments
from shared.gateway.policies.jwt.challenge import METADATA_PATH

_Url = Annotated[str, Field(max_length=500)]


class ProtectedResource(BaseModel):
    """RFC 9728 §2."""

    resource: Annotated[
        _Url, Field(description="The API, or the whole tier.", examples=["http://127.0.0.1:8103/pmo/v1"])
    ]
    resource_name: Annotated[str, Field(max_length=200, description="For people.", examples=["PMO board"])]
    authorization_servers: Annotated[
        list[_Url],
        Field(max_length=20, description="Whose tokens are taken.", examples=[["http://127.0.0.1:8103"]]),
    ]
    scopes_supported: Annotated[
        list[Annotated[str, Field(max_length=80)]],
        Field(max_length=200, description="Scopes its operations ask for.", examples=[["deals.read"]]),
    ]
    bearer_methods_supported: Annotated[
        list[Annotated[str, Field(max_length=20)]],
        Field(max_length=3, description="How a token is shown.", examples=[["header"]]),
    ]
    dpop_signing_alg_values_supported: Annotated[
        list[Annotated[str, Field(max_length=20)]],
        Field(max_length=10, description="Algorithms of DPoP proofs; empty: none are taken.", examples=[["ES256"]]),
    ]
    dpop_bound_access_tokens_required: Annotated[
        bool, Field(description="Whether every token must be bound; each client decides for itself.", examples=[False])
    ] = False


def resource_router(documents: Callable[[], GatewayDocuments], *, address: str, issuers: Sequence[str]) -> APIRouter:
    """The metadata of the tier and of each of its APIs; no token is needed to learn where to get one.

    `documents` are asked for each time, so that a reload shows at once.
    """
    router = APIRouter(tags=["operations"])
    read = documents()
    answers = _answers(read, address, list(issuers))

    def current() -> dict[str, ProtectedResource]:
        nonlocal read, answers
        if (latest := documents()) is not read:
            read, answers = latest, _answers(latest, address, list(issuers))
        return answers

    @router.get(METADATA_PATH, summary="Who issues tokens for this tier", operation_id="readProtectedResource")
    async def read_protected_resource(response: Response) -> ProtectedResource:
        """RFC 9728 for the whole tier; challenges (`WWW-Authenticate`) name this address."""
        response.headers["cache-control"] = "public, max-age=300"
        return current()[""]

    @router.get(
        METADATA_PATH + "/{api}/{version}",
        summary="Who issues tokens for this API",
        operation_id="readProtectedApi",
    )
    async def read_protected_api(
        response: Response,
        api: Annotated[str, Path(max_length=80, description="First part of the API's path.", examples=["pmo"])],
        version: Annotated[str, Path(max_length=20, description="Its major version.", examples=["v1"])],
    ) -> ProtectedResource:
        """RFC 9728 for one version of an API, with the scopes its operations ask for."""
        found = current().get(f"/{api}/{version}")
        if found is None:
            raise NotFound("There is no such API.")
        response.headers["cache-control"] = "public, max-age=300"
        return found

    return router


def _answers(documents: GatewayDocuments, address: str, issuers: list[str]) -> dict[str, ProtectedResource]:
    scopes: dict[str, set[str]] = {"": set()}
    names = {"": f"Throughline {documents.tier} APIs"}
    for api in documents.apis:
        for facts in api.versions.values():
            held = scopes.setdefault(facts.base, set())
            names.setdefault(facts.base, api.title)
            for operation in facts.operations.values():
                held |= {*operation.scopes, *operation.one_of}
            scopes[""] |= held
    jwt = documents.policies.jwt
    algorithms = list(jwt.dpop.algorithms) if jwt and jwt.dpop else []
    return {
        base: ProtectedResource(
            resource=f"{address}{base}",
            resource_name=names[base],
            authorization_servers=issuers,
            scopes_supported=sorted(held),
            bearer_methods_supported=["header"],
            dpop_signing_alg_values_supported=list(algorithms),
        )
        for base, held in scopes.items()
    }
