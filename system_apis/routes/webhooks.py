"""`/intake/v1`: deliveries of vendors (authenticated by their own signature) and polls on request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field

from shared.canonical.references import CanonicalModel, Name
from shared.errors.taxonomy import NotAuthenticated, NotFound
from system_apis.ports.changes import WebhookDelivery
from system_apis.routes.parameters import Caller, InRooms

router = APIRouter(prefix="/intake/v1", tags=["Intake"])
ConnectorName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,40}$", description="Connector the delivery is for.")]


class Accepted(CanonicalModel):
    """What was kept of a delivery; repeats count as nothing new."""

    hints: int = Field(ge=0, description="Change hints found in the delivery.")
    new: int = Field(ge=0, description="Those not seen before.")


class PollResult(CanonicalModel):
    """What one connector had to tell."""

    connector: Name
    new: int = Field(ge=0)


class PollResults(CanonicalModel):
    """What all polled connectors had to tell."""

    results: tuple[PollResult, ...]


@router.post(
    "/webhooks/{connector}", summary="Deliver a vendor's event", operation_id="deliverWebhook", status_code=202
)
async def deliver(request: Request, rooms: InRooms, connector: ConnectorName) -> Accepted:
    """Verified by the vendor's signature and replay window; kept, then answered at once and read later.

    The tenant is the one whose secret verifies the signature.
    """
    bound = [b for b in rooms.catalog.all() if b.vendor == connector and b.intake]
    if not bound:
        raise NotFound(f"No connector {connector} takes webhooks.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = WebhookDelivery(headers, await request.body(), datetime.now(UTC))
    refusal: NotAuthenticated | None = None
    for candidate in bound:
        assert candidate.intake is not None  # noqa: S101  (filtered above; tells the type checker)
        try:
            hints = candidate.intake.read(delivery)
        except NotAuthenticated as error:
            refusal = error
            continue
        return Accepted(hints=len(hints), new=await rooms.intake.accept(candidate, hints))
    raise refusal or NotAuthenticated("No signature matches.")


@router.post("/polls", summary="Poll the connected systems now", operation_id="pollNow")
async def poll_now(caller: Caller, rooms: InRooms) -> PollResults:
    """Ask every connector of the tenant what changed since its watermark."""
    connections = {id(b.connector): b for b in rooms.catalog.of_tenant(caller.tenant)}.values()
    return PollResults(
        results=tuple([PollResult(connector=b.vendor, new=await rooms.intake.poll(b)) for b in connections])
    )
