"""`/connectors/v1`: what is bound, what it can do, and how it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from shared.canonical.references import CanonicalModel, Name, Page, Text
from shared.errors.taxonomy import PlatformError
from shared.serving.paging import page_of
from system_apis.catalog import Bound
from system_apis.manifest import Budget
from system_apis.routes.parameters import Caller, Cursor, InRooms, Limit, Rooms

router = APIRouter(prefix="/connectors/v1", tags=["Connectors"])
VendorName = Annotated[
    str, Path(pattern=r"^[a-z][a-z0-9_]{1,40}$", description="The connector, by its name.", examples=["netsuite"])
]
Act = Annotated[str, Field(max_length=80)]
Why = Annotated[str, Field(max_length=1000)]
HintCount = Annotated[int, Field(ge=0, le=2**53 - 1)]


class ConnectorView(CanonicalModel):
    """A bound connector."""

    name: Name = Field(description="How paths and events call the connector.", examples=["netsuite"])
    role: Literal["crm", "psa", "erp"] = Field(description="Which kind of system it plays.", examples=["erp"])
    can: dict[str, Annotated[tuple[Act, ...], Field(max_length=50)]] = Field(
        max_length=100,
        description="What the vendor can do, by entity.",
        examples=[{"invoices": ["create", "get", "list_since"]}],
    )
    cannot: dict[str, Why] = Field(
        max_length=100,
        description="What it cannot, and why.",
        examples=[{"invoices.amend": "a posted invoice is corrected by a credit memo"}],
    )
    budget: Budget = Field(description="What we may ask of the vendor.")
    takes_webhooks: bool = Field(description="Whether the vendor tells us of changes by itself.", examples=[False])
    hints: dict[str, HintCount] = Field(
        max_length=10,
        description="Change hints by state: pending, read, failed.",
        examples=[{"pending": 0, "read": 412, "failed": 0}],
    )
    changes_read_until: datetime | None = Field(
        description="Up to when polls have asked (UTC); null before the first.", examples=["2017-05-02T07:00:00Z"]
    )


class ConnectorHealth(ConnectorView):
    """A bound connector, asked just now."""

    is_healthy: bool = Field(description="Whether the vendor answered just now.", examples=[True])
    problem: Text | None = Field(
        default=None,
        description="Why it did not, in one sentence.",
        examples=["A connected system refuses our credentials."],
    )


async def _view(rooms: Rooms, bound: Bound) -> ConnectorView:
    manifest = bound.connector.manifest
    return ConnectorView(
        name=bound.vendor,
        role=bound.role,
        can=manifest.can,
        cannot=manifest.cannot,
        budget=manifest.budget,
        takes_webhooks=bound.intake is not None,
        hints=await rooms.intake.counts(bound),
        changes_read_until=await rooms.intake.watermark(bound),
    )


@router.get("/connectors", summary="List connectors", operation_id="listConnectors")
async def list_connectors(
    caller: Caller, rooms: InRooms, cursor: Cursor = None, limit: Limit = 100
) -> Page[ConnectorView]:
    """The tenant's connectors, one per role, by name."""
    bound = rooms.catalog.of_tenant(caller.tenant)
    return page_of([await _view(rooms, each) for each in bound], lambda view: view.name, cursor, limit)


@router.get("/connectors/{name}", summary="Check a connector", operation_id="getConnector")
async def get_connector(caller: Caller, rooms: InRooms, name: VendorName) -> ConnectorHealth:
    """One connector, with a call to the vendor to see whether it answers."""
    bound = rooms.catalog.named(caller.tenant, name)
    view = await _view(rooms, bound)
    try:
        await bound.connector.ping()
    except PlatformError as error:
        return ConnectorHealth(**view.model_dump(), is_healthy=False, problem=error.message[:1000])
    return ConnectorHealth(**view.model_dump(), is_healthy=True)
