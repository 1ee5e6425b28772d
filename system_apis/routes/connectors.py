"""`/connectors/v1`: what is bound, what it can do, and how it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from shared.canonical.references import CanonicalModel, Name, Page, Text
from shared.errors.taxonomy import PlatformError
from system_apis.catalog import Bound
from system_apis.manifest import Budget
from system_apis.routes.parameters import Caller, InRooms, Rooms

router = APIRouter(prefix="/connectors/v1", tags=["Connectors"])
VendorName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,40}$", description="Name of the connector.")]


class ConnectorView(CanonicalModel):
    """A bound connector."""

    name: Name
    role: Literal["crm", "psa", "erp"]
    can: dict[str, tuple[str, ...]] = Field(description="What the vendor can do, by entity.")
    cannot: dict[str, str] = Field(description="What it cannot, and why.")
    budget: Budget
    takes_webhooks: bool
    hints: dict[str, int] = Field(description="Change hints by state: pending, read, failed.")
    changes_read_until: datetime | None = Field(description="Up to when polls have asked; None before the first.")


class ConnectorHealth(ConnectorView):
    """A bound connector, asked just now."""

    is_healthy: bool
    problem: Text | None = None


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
async def list_connectors(caller: Caller, rooms: InRooms) -> Page[ConnectorView]:
    """The tenant's connectors, one per role."""
    return Page(items=tuple([await _view(rooms, b) for b in rooms.catalog.of_tenant(caller.tenant)]))


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
