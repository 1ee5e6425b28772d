"""`/clients/v1`: OAuth clients of a tenant - register, approve, rotate, end; forms in, the desk decides."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from experience_apis.desk.asking import IdCursor, Limit
from experience_apis.desk.clients import (
    Asker,
    AuthMethod,
    Client,
    ClientDesk,
    ClientState,
    ClientWish,
    ClientWithSecret,
)
from shared.canonical.references import Identifier
from shared.identity.principal import Principal
from shared.serving.parameters import Instant
from shared.serving.principal import current_principal

router = APIRouter(prefix="/clients/v1", tags=["clients"])
Id = Annotated[
    str, Field(max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["harbour-reports-5f2c91aa"])
]
ClientId = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=120,
        description="Id of the client.",
        examples=["harbour-reports-5f2c91aa"],
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
ScopeName = Annotated[str, Field(max_length=80, pattern=r"^[a-z_]+(\.[a-z_]+){1,3}$", examples=["deals.read"])]
Scopes = Annotated[
    list[ScopeName], Field(max_length=50, description="What it may do, scope by scope.", examples=[["deals.read"]])
]
PlanName = Annotated[
    str,
    Field(max_length=60, pattern=r"^[a-z][a-z0-9_-]*$", description="Plan: how much may be asked.", examples=["trial"]),
]
Address = Annotated[
    str, Field(max_length=500, pattern=r"^https?://[^\s]+$", examples=["https://acme.example/callback"])
]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=257,
        description="Same key, same request: the same client again, but never its secret a second time.",
        examples=["7f3c1c52-6f0e-4ac9-9c39-5c9a4f3f2a10"],
        include_in_schema=True,
    ),
]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class ClientOrder(BaseModel):
    """A client somebody asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[Text, Field(max_length=120, description="What people will read.", examples=["Harbour reports"])]
    contact: Annotated[
        str,
        Field(
            min_length=3,
            max_length=200,
            pattern=r"^\S+@\S+$",
            description="Whom to write to.",
            examples=["ada@acme.example"],
        ),
    ]
    purpose: Annotated[Text, Field(description="What it is for.", examples=["Nightly report of open deals"])]
    plan: PlanName = "trial"
    scopes: Annotated[Scopes, Field(min_length=1)]
    auth_method: Annotated[
        AuthMethod, Field(description="How the client proves who it is.", examples=["client_secret"])
    ] = AuthMethod.SECRET
    jwks: Annotated[
        dict[str, Any] | None,
        Field(max_length=4, description="Its public keys, for private_key_jwt (RFC 7517).", examples=[None]),
    ] = None
    jwks_uri: Annotated[
        Address | None, Field(description="Or where they are published.", examples=["https://acme.example/jwks.json"])
    ] = None
    redirect_uris: Annotated[
        list[Address],
        Field(max_length=10, description="Where people come back to after login.", examples=[[]]),
    ] = Field(default_factory=list[str])
    requires_dpop: Annotated[
        bool, Field(description="Whether its tokens are bound to its key (RFC 9449).", examples=[False])
    ] = False

    def wish(self) -> ClientWish:
        """As the desk takes it."""
        return ClientWish(
            name=self.name,
            contact=self.contact,
            purpose=self.purpose,
            plan=self.plan,
            scopes=frozenset(self.scopes),
            auth_method=self.auth_method,
            jwks=self.jwks,
            jwks_uri=self.jwks_uri,
            redirect_uris=tuple(self.redirect_uris),
            requires_dpop=self.requires_dpop,
        )


class ApprovalOrder(BaseModel):
    """What an administrator grants; never more than was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: PlanName
    scopes: Annotated[Scopes, Field(min_length=1)]
    expires_at: Annotated[
        Instant | None,
        Field(description="When the client ends by itself (UTC); null: never.", examples=["2018-03-16T00:00:00Z"]),
    ] = None
    customers: Annotated[
        list[Identifier] | None,
        Field(
            min_length=1,
            max_length=100,
            description="Customers whose records it may see; null: those of the whole firm.",
            examples=[["cus_5hd2vtl2oe6c"]],
        ),
    ] = None


class ReasonOrder(BaseModel):
    """Why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[Text, Field(description="Shown to whoever registered it.", examples=["No contract yet"])]


class RotationOrder(BaseModel):
    """How long the old secret stays good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap_hours: Annotated[
        int,
        Field(ge=0, le=168, description="0: the old one leaked; it and all tokens end at once.", examples=[24]),
    ] = 24


class SecretView(_Told):
    """A secret as far as it may be shown."""

    secret_id: Annotated[
        str, Field(max_length=64, description="Names the secret without telling it.", examples=["0f6d1c"])
    ]
    created_at: Annotated[datetime, Field(description="When it was made (UTC).", examples=["2017-03-16T09:12:30Z"])]
    expires_at: Annotated[
        datetime | None,
        Field(description="When its overlap ends (UTC); null: it stays.", examples=["2017-03-17T09:12:30Z"]),
    ] = None


class ClientView(_Told):
    """A client; never its secret."""

    client_id: Annotated[Id, Field(description="What it calls itself at the token endpoint.")]
    name: Annotated[str, Field(max_length=200, description="What people read.", examples=["Harbour reports"])]
    state: Annotated[ClientState, Field(description="Where it stands.", examples=["requested"])]
    contact: Annotated[str, Field(max_length=200, description="Whom to write to.", examples=["ada@acme.example"])]
    purpose: Annotated[str, Field(max_length=500, description="What it is for.", examples=["Nightly report"])]
    plan: PlanName
    plan_wished: Annotated[PlanName, Field(description="The plan asked for.")]
    scopes: Annotated[Scopes, Field(description="Scopes granted.")]
    scopes_wished: Annotated[Scopes, Field(description="Scopes asked for.")]
    auth_method: Annotated[AuthMethod, Field(description="How it proves who it is.", examples=["client_secret"])]
    jwks_uri: Annotated[Address | None, Field(description="Where its keys are published.")] = None
    redirect_uris: Annotated[list[Address], Field(max_length=10, description="Where people come back to after login.")]
    requires_dpop: Annotated[bool, Field(description="Whether its tokens are bound to its key.", examples=[False])]
    registered_by: Annotated[str | None, Field(max_length=300, description="Who registered it.", examples=["ada"])] = (
        None
    )
    created_at: Annotated[
        datetime, Field(description="When it was registered (UTC).", examples=["2017-03-16T09:12:30Z"])
    ]
    decided_by: Annotated[str | None, Field(max_length=300, description="Who decided last.", examples=["amy"])] = None
    decided_at: Annotated[
        datetime | None, Field(description="When it was decided (UTC); null before.", examples=["2017-03-16T10:00:00Z"])
    ] = None
    reason: Annotated[
        str | None, Field(max_length=500, description="Why it was rejected or ended.", examples=["No contract yet"])
    ] = None
    expires_at: Annotated[
        datetime | None,
        Field(description="When it ends by itself (UTC); null: never.", examples=["2018-03-16T00:00:00Z"]),
    ] = None
    customers: Annotated[
        list[Identifier] | None,
        Field(
            max_length=100,
            description="Customers whose records it may see; null: those of the whole firm.",
            examples=[["cus_5hd2vtl2oe6c"]],
        ),
    ] = None
    secrets: Annotated[list[SecretView], Field(max_length=20, description="Secrets that still count.")]
    is_from_file: Annotated[bool, Field(description="Whether the clients file keeps it.", examples=[False])]

    @classmethod
    def of(cls, client: Client) -> Self:
        """The client as it is shown."""
        return cls.model_validate(_shown(client))


class ClientOnce(ClientView):
    """A client with the secret made just now: shown this once; null on a repeat, and for clients with keys."""

    client_secret: Annotated[
        str | None, Field(max_length=200, description="Keep it: it is not shown again.", examples=["tlcs_…"])
    ] = None

    @classmethod
    def made(cls, made: ClientWithSecret) -> Self:
        """The client and its secret."""
        return cls.model_validate({**_shown(made.client), "client_secret": made.secret})


class ClientList(_Told):
    """One page of clients, by id."""

    items: Annotated[list[ClientView], Field(max_length=200, description="Clients of this page, by id.")]
    next_cursor: Annotated[str | None, Field(max_length=200, description="Ask on after this.", examples=[None])] = None


def _shown(client: Client) -> dict[str, Any]:
    names = ClientView.model_fields.keys() - {"secrets", "scopes", "scopes_wished", "redirect_uris", "customers"}
    return {
        **{name: getattr(client, name) for name in names},
        "scopes": sorted(client.scopes),
        "scopes_wished": sorted(client.scopes_wished),
        "redirect_uris": list(client.redirect_uris),
        "customers": None if client.customers is None else sorted(client.customers),
        "secrets": [
            {"secret_id": one.secret_id, "created_at": one.created_at, "expires_at": one.expires_at}
            for one in client.secrets
        ],
    }


def _desk(request: Request) -> ClientDesk:
    return request.app.state.client_desk


def _asker(principal: Annotated[Principal, Depends(current_principal)]) -> Asker:
    return Asker(principal.tenant, principal.subject, may_see_all=principal.may("clients.approve"))


Desk = Annotated[ClientDesk, Depends(_desk)]
Who = Annotated[Asker, Depends(_asker)]


@router.get("/clients", operation_id="listClients", summary="One's own clients, or the tenant's")
async def list_clients(
    desk: Desk,
    who: Who,
    state: Annotated[ClientState | None, Query(description="Only clients in this state.")] = None,
    cursor: IdCursor = None,
    limit: Limit = 50,
) -> ClientList:
    """Clients by id; administrators see those of the whole tenant."""
    page = await desk.list_clients(who, state=state, after=cursor, limit=limit)
    return ClientList(items=[ClientView.of(client) for client in page.items], next_cursor=page.next_cursor)


@router.post("/clients", operation_id="registerClient", summary="Ask for a client", status_code=201)
async def register_client(order: ClientOrder, desk: Desk, who: Who, key: Key, response: Response) -> ClientOnce:
    """The client waits for an administrator's approval; its secret is shown in this answer only."""
    made = await desk.create_client(who, order.wish(), idempotency_key=key)
    response.headers["location"] = f"/clients/v1/clients/{made.client.client_id}"
    response.headers["cache-control"] = "no-store"
    return ClientOnce.made(made)


@router.get("/clients/{client_id}", operation_id="readClient", summary="One client")
async def read_client(client_id: ClientId, desk: Desk, who: Who) -> ClientView:
    """What is known of it; never its secret."""
    return ClientView.of(await desk.get_client(who, client_id))


@router.post("/clients/{client_id}/approval", operation_id="approveClient", summary="Let a client in")
async def approve_client(client_id: ClientId, order: ApprovalOrder, desk: Desk, who: Who) -> ClientView:
    """Whoever registered it may not approve it. Repeat: no effect."""
    client = await desk.approve_client(
        who,
        client_id,
        plan=order.plan,
        scopes=frozenset(order.scopes),
        expires_at=order.expires_at,
        customers=None if order.customers is None else frozenset(order.customers),
    )
    return ClientView.of(client)


@router.post("/clients/{client_id}/rejection", operation_id="rejectClient", summary="Turn a client down")
async def reject_client(client_id: ClientId, order: ReasonOrder, desk: Desk, who: Who) -> ClientView:
    """Repeat: no effect."""
    return ClientView.of(await desk.reject_client(who, client_id, reason=order.reason))


@router.post(
    "/clients/{client_id}/secrets", operation_id="rotateClientSecret", summary="Make a new secret", status_code=201
)
async def rotate_secret(
    client_id: ClientId, order: RotationOrder, desk: Desk, who: Who, key: Key, response: Response
) -> ClientOnce:
    """The old secret stays good for the overlap; the new one is shown in this answer only."""
    made = await desk.rotate_secret(who, client_id, overlap_hours=order.overlap_hours, idempotency_key=key)
    response.headers["cache-control"] = "no-store"
    return ClientOnce.made(made)


@router.post("/clients/{client_id}/end", operation_id="disableClient", summary="End a client")
async def disable_client(client_id: ClientId, order: ReasonOrder, desk: Desk, who: Who) -> ClientView:
    """No new tokens from now on; within ten seconds no tier takes those it holds. Repeat: no effect."""
    return ClientView.of(await desk.disable_client(who, client_id, reason=order.reason))
