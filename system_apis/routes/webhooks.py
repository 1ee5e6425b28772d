"""`/intake/v1`: deliveries of vendors (authenticated by their own signature) and polls on request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from shared.canonical.references import CanonicalModel, Name, Page, Ref, Text
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated, NotFound
from shared.outbound import pack_cursor, unpack_cursor
from system_apis.intake import PollReport
from system_apis.ports.changes import WebhookDelivery
from system_apis.routes.parameters import Caller, Cursor, InRooms, Limit

router = APIRouter(prefix="/intake/v1", tags=["Intake"])
_NAME = r"^[a-z][a-z0-9_]{1,40}$"
ConnectorName = Annotated[
    str, Path(pattern=_NAME, description="Connector the delivery is for.", examples=["salesforce"])
]
OfConnector = Annotated[
    str | None, Query(pattern=_NAME, description="Only those of this connector.", examples=["salesforce"])
]
HintNumber = Annotated[
    int, Field(ge=1, le=2**53 - 1, description="Number the hint was given on arrival.", examples=[412])
]


class Accepted(CanonicalModel):
    """What was kept of a delivery; repeats count as nothing new."""

    hints: int = Field(ge=0, le=1_000_000, description="Change hints found in the delivery.", examples=[2])
    new: int = Field(ge=0, le=1_000_000, description="Those not seen before.", examples=[1])


class Trouble(CanonicalModel):
    """Why a connector could not be asked."""

    code: str = Field(
        max_length=80, description="Kind of trouble; stable, for programs.", examples=["vendor_unavailable"]
    )
    message: Text = Field(description="The trouble in one sentence.", examples=["A connected system is unavailable."])


class PollResult(CanonicalModel):
    """What one connector had to tell, or why it could not."""

    connector: Name = Field(description="The connector that was asked.", examples=["netsuite"])
    new: int = Field(ge=0, le=1_000_000_000, description="Changes it told that were not known.", examples=[4])
    problem: Trouble | None = Field(default=None, description="Why it could not be asked; null when it could.")


class PollResults(CanonicalModel):
    """What all polled connectors had to tell."""

    results: tuple[PollResult, ...] = Field(max_length=100, description="One per connector of the tenant.")


class FailedHint(CanonicalModel):
    """A change that could not be read and is no longer tried."""

    id: HintNumber
    connector: Name = Field(description="The connector that told of the change.", examples=["salesforce"])
    entity: str = Field(max_length=80, description="Kind of record that changed.", examples=["opportunity"])
    ref: Ref
    reason: Text = Field(
        description="Code and sentence of the last attempt.",
        examples=["vendor_drift: salesforce answered without Opportunity.Amount."],
    )
    attempts: int = Field(ge=0, le=1_000_000, description="How often it was read in vain.", examples=[10])
    received_at: datetime = Field(description="When the hint arrived (UTC).", examples=["2017-03-16T09:12:30Z"])
    failed_at: datetime = Field(description="When it was given up (UTC).", examples=["2017-03-16T10:02:11Z"])


class Retry(CanonicalModel):
    """Which failed hints are to be read again; without any choice, all of the tenant."""

    connector: Annotated[str, Field(pattern=_NAME)] | None = Field(
        default=None, description="Only hints of this connector.", examples=["salesforce"]
    )
    ids: tuple[HintNumber, ...] | None = Field(
        default=None, max_length=1000, description="Only these hints.", examples=[[412]]
    )


class Retried(CanonicalModel):
    """How many hints will be read again."""

    hints: int = Field(ge=0, le=1_000_000, description="Hints that wait for another reading.", examples=[1])


@router.post(
    "/webhooks/{connector}",
    summary="Deliver a vendor's event",
    operation_id="deliverWebhook",
    status_code=202,
    responses={401: {"description": "The delivery is not signed as agreed."}},
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


@router.post("/polls", summary="Poll the connected systems now", operation_id="pollSystems")
async def poll_now(caller: Caller, rooms: InRooms) -> PollResults:
    """Ask every connector of the tenant what changed since its watermark; one that is away keeps none of the others."""
    return PollResults(results=tuple(map(_told, await rooms.intake.poll_all(caller.tenant))))


def _told(report: PollReport) -> PollResult:
    trouble = report.trouble
    problem = Trouble(code=trouble.code, message=trouble.message[:1000]) if trouble else None
    return PollResult(connector=report.bound.vendor, new=report.new, problem=problem)


@router.get("/failed-hints", summary="List changes that could not be read", operation_id="listFailedHints")
async def list_failed_hints(
    caller: Caller, rooms: InRooms, connector: OfConnector = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[FailedHint]:
    """Hints that were given up after many attempts, oldest first, with the last reason."""
    found = await rooms.intake.list_failed(caller.tenant, connector, after=_place(cursor), limit=limit + 1)
    items = tuple(
        FailedHint(
            id=hint.id,
            connector=hint.system,
            entity=hint.entity,
            ref=hint.ref,
            reason=hint.reason,
            attempts=hint.attempts,
            received_at=hint.received_at,
            failed_at=hint.failed_at,
        )
        for hint in found[:limit]
    )
    return Page(items=items, next_cursor=pack_cursor({"after": items[-1].id}) if len(found) > limit else None)


@router.post("/failed-hints/retries", summary="Read failed changes again", operation_id="retryFailedHints")
async def retry_failed_hints(caller: Caller, rooms: InRooms, body: Retry) -> Retried:
    """Have hints that were given up read once more. Repeat: those still waiting are not counted again."""
    return Retried(hints=await rooms.intake.retry_failed(caller.tenant, body.connector, body.ids))


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    after = unpack_cursor(cursor).get("after")
    if type(after) is not int or not 0 <= after < 2**63:
        raise InvalidRequest(findings=[FieldFinding("cursor", "must be the next_cursor of an earlier answer")])
    return after
