"""`/webhooks/v1`: where a client wants to be told of facts, and what became of telling it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from experience_apis.desk.asking import IdCursor, Limit, PlaceCursor
from experience_apis.desk.models import ID_PATTERN, ShapedPage
from experience_apis.webhooks import screens
from experience_apis.webhooks.models import (
    DeliveryCard,
    DeliveryView,
    EndpointCard,
    EndpointChange,
    EndpointOrder,
    Owed,
    RecoveryOrder,
    RotationOrder,
    SigningSecrets,
    WebhookTypes,
)
from experience_apis.webhooks.records import DeliveryState, EndpointState, Owner
from experience_apis.webhooks.room import WebhookRoom
from experience_apis.webhooks.rounds import test_message
from experience_apis.webhooks.rules import TYPES, may_hear
from experience_apis.wording.catalog import AskedWording
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotPermitted
from shared.identity.principal import Principal
from shared.serving.principal import current_principal

router = APIRouter(prefix="/webhooks/v1", tags=["webhooks"])
_MOST_RECOVERED: Final = 1000
_LONGEST_BACK: Final = timedelta(days=30)
EndpointId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN, max_length=120, description="Id of the endpoint.", examples=["wep_5f2c91aa0c1d4e6f8a7b3c2d"]
    ),
]
DeliveryId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        max_length=120,
        description="Id of the delivery.",
        examples=["wdl_5f2c91aa0c1d4e6f8a7b3c2d9e1f0a2b"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,9}"$',
        max_length=12,
        description="ETag of the endpoint as it was read: changed only if it is still that.",
        examples=['"1"'],
    ),
]


async def room_of(request: Request) -> WebhookRoom:
    """The room of this application (`app.state.webhooks`)."""
    room: WebhookRoom = request.app.state.webhooks
    return room


async def owner_of(principal: Annotated[Principal, Depends(current_principal)]) -> Owner:
    """The caller as owner of endpoints."""
    return Owner(
        tenant=principal.tenant,
        subject=principal.subject,
        client_id=principal.client_id,
        scopes=principal.scopes,
        customers=principal.customers,
    )


Room = Annotated[WebhookRoom, Depends(room_of)]
Owning = Annotated[Owner, Depends(owner_of)]


@router.get("/types", operation_id="readWebhookTypes", summary="What can be told")
async def list_types(owner: Owning, words: AskedWording) -> WebhookTypes:
    """Kinds of facts the caller may hear of."""
    kinds = [one for one in TYPES.values() if may_hear(one.name, owner.scopes)]
    return WebhookTypes(types=tuple(map(screens.type_card, kinds)), message=words.count("webhook_types", len(kinds)))


@router.get("/endpoints", operation_id="listWebhookEndpoints", summary="One's endpoints")
async def list_endpoints(
    owner: Owning, room: Room, words: AskedWording, cursor: IdCursor = None, limit: Limit = 50
) -> ShapedPage[EndpointCard]:
    """Endpoints of the caller, by id."""
    found, following = await room.endpoints.list_page(owner, after=cursor, limit=limit)
    items = tuple(screens.endpoint_card(one, words) for one in found)
    return ShapedPage(items=items, next_cursor=following, message=words.count("webhook_endpoints", len(items)))


@router.post("/endpoints", operation_id="createWebhookEndpoint", summary="Add an endpoint", status_code=201)
async def create_endpoint(
    owner: Owning, room: Room, words: AskedWording, order: EndpointOrder, response: Response
) -> EndpointCard:
    """From now on the facts are posted there, signed; read its secret to verify them."""
    _refuse_unheard(owner, order)
    await room.refuse_bad_address(order.url)
    made = await room.endpoints.add(
        owner, url=order.url, description=order.description, event_types=sorted(set(order.event_types))
    )
    response.headers["ETag"] = f'"{made.version}"'
    return screens.endpoint_card(made, words)


@router.get("/endpoints/{endpoint_id}", operation_id="readWebhookEndpoint", summary="One endpoint")
async def read_endpoint(
    owner: Owning, room: Room, words: AskedWording, endpoint_id: EndpointId, response: Response
) -> EndpointCard:
    """Where it is, what it is told of, how it does."""
    found = await room.endpoints.get(owner, endpoint_id)
    response.headers["ETag"] = f'"{found.version}"'
    return screens.endpoint_card(found, words)


@router.put("/endpoints/{endpoint_id}", operation_id="amendWebhookEndpoint", summary="Change an endpoint")
async def change_endpoint(
    owner: Owning,
    room: Room,
    words: AskedWording,
    endpoint_id: EndpointId,
    order: EndpointChange,
    response: Response,
    if_match: IfMatch = None,
) -> EndpointCard:
    """The endpoint as wanted; `active` takes up again what was paused or disabled."""
    _refuse_unheard(owner, order)
    await room.refuse_bad_address(order.url)
    changed = await room.endpoints.change(
        owner,
        endpoint_id,
        url=order.url,
        description=order.description,
        event_types=sorted(set(order.event_types)),
        state=EndpointState(order.state),
        version=int(if_match.strip('"')) if if_match else None,
    )
    room.rounds.wake()
    response.headers["ETag"] = f'"{changed.version}"'
    return screens.endpoint_card(changed, words)


@router.delete(
    "/endpoints/{endpoint_id}", operation_id="deleteWebhookEndpoint", summary="Remove an endpoint", status_code=204
)
async def delete_endpoint(owner: Owning, room: Room, endpoint_id: EndpointId) -> None:
    """Nothing is told there any more; its secrets and deliveries are forgotten."""
    await room.endpoints.remove(owner, endpoint_id)


@router.get("/endpoints/{endpoint_id}/secrets", operation_id="readWebhookSecrets", summary="Secrets that sign")
async def list_secrets(owner: Owning, room: Room, words: AskedWording, endpoint_id: EndpointId) -> SigningSecrets:
    """The current secret, and predecessors that still sign beside it."""
    found = await room.endpoints.secrets(owner, endpoint_id)
    return SigningSecrets(
        secrets=tuple(map(screens.secret_card, found)), message=words.count("webhook_secrets", len(found))
    )


@router.post(
    "/endpoints/{endpoint_id}/secret-rotations",
    operation_id="rotateWebhookSecret",
    summary="Take a new secret into use",
    status_code=201,
)
async def rotate_secret(owner: Owning, room: Room, endpoint_id: EndpointId, order: RotationOrder) -> Owed:
    """Messages carry a signature of each until the overlap ends; read the new secret at `secrets`."""
    found = await room.endpoints.rotate(owner, endpoint_id, timedelta(hours=order.overlap_hours))
    return Owed(owed=len(found), state="signing")


@router.post(
    "/endpoints/{endpoint_id}/tests", operation_id="testWebhookEndpoint", summary="Send a test", status_code=202
)
async def test_endpoint(owner: Owning, room: Room, endpoint_id: EndpointId) -> Owed:
    """A `webhook.test` message, signed like any other; see its delivery for what came of it."""
    endpoint = await room.endpoints.get(owner, endpoint_id)
    if endpoint.state is not EndpointState.ACTIVE:
        raise InvalidRequest("The endpoint is not active.", findings=[FieldFinding("path.endpoint_id", "not active")])
    message = test_message(owner.tenant, endpoint_id, f"msg_{uuid.uuid4().hex}")
    delivery = await room.deliveries.owe(endpoint_id, message)
    room.rounds.wake()
    return Owed(delivery_ids=(delivery,), owed=1)


@router.get("/endpoints/{endpoint_id}/deliveries", operation_id="listWebhookDeliveries", summary="What was told")
async def list_deliveries(
    owner: Owning,
    room: Room,
    words: AskedWording,
    endpoint_id: EndpointId,
    state: Annotated[
        DeliveryState | None, Query(description="Only deliveries that stand so.", examples=["failed"])
    ] = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[DeliveryCard]:
    """Deliveries to the endpoint, newest first; kept for 30 days."""
    await room.endpoints.get(owner, endpoint_id)
    found, following = await room.deliveries.list_page(
        owner, endpoint_id, state=state, before=int(cursor) if cursor else None, limit=limit
    )
    items = tuple(map(screens.delivery_card, found))
    return ShapedPage(items=items, next_cursor=following, message=words.count("webhook_deliveries", len(items)))


@router.get(
    "/endpoints/{endpoint_id}/deliveries/{delivery_id}", operation_id="readWebhookDelivery", summary="One delivery"
)
async def read_delivery(owner: Owning, room: Room, endpoint_id: EndpointId, delivery_id: DeliveryId) -> DeliveryView:
    """With every attempt and how the receiver answered."""
    return screens.delivery_view(*await room.deliveries.get(owner, endpoint_id, delivery_id))


@router.post(
    "/endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliveries",
    operation_id="redeliverWebhook",
    summary="Tell it again",
    status_code=202,
)
async def redeliver(owner: Owning, room: Room, endpoint_id: EndpointId, delivery_id: DeliveryId) -> Owed:
    """The same message with the same `webhook-id`, in a delivery of its own."""
    again = await room.deliveries.again(owner, endpoint_id, delivery_id)
    room.rounds.wake()
    return Owed(delivery_ids=(again,), owed=1)


@router.post(
    "/endpoints/{endpoint_id}/recoveries",
    operation_id="startWebhookRecovery",
    summary="Tell what was missed",
    status_code=202,
)
async def recover(owner: Owning, room: Room, endpoint_id: EndpointId, order: RecoveryOrder) -> Owed:
    """Every fact of that time that the endpoint may hear of and has not taken; up to 1000 at a time."""
    now = datetime.now(UTC)
    since, until = order.since, order.until or now
    if until <= since:
        raise InvalidRequest("Nothing lies between.", findings=[FieldFinding("body.until", "must be later than since")])
    if since < now - _LONGEST_BACK:
        raise InvalidRequest("Too long ago.", findings=[FieldFinding("body.since", "facts are kept for 30 days")])
    await room.endpoints.get(owner, endpoint_id)
    owed = await room.deliveries.recover(owner, endpoint_id, since, until, _MOST_RECOVERED)
    room.rounds.wake()
    return Owed(owed=owed)


def _refuse_unheard(owner: Owner, order: EndpointOrder) -> None:
    unheard = sorted({kind for kind in order.event_types if not may_hear(kind, owner.scopes)})
    if unheard:
        raise NotPermitted(
            f"The caller may not hear of {', '.join(unheard)}.",
            findings=[FieldFinding("body.event_types", f"{kind} needs one of its scopes") for kind in unheard],
        )
