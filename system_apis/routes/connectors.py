"""`/connectors/v1`: what is bound, what it can do, and how it is."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from shared.canonical.fields import LegalEntityCode
from shared.canonical.references import CanonicalModel, Name, Page, Text
from shared.errors.taxonomy import PlatformError
from shared.outbound import OFFICE, BudgetUse
from shared.serving.paging import page_of
from system_apis.catalog import CONNECTORS, Bound
from system_apis.manifest import Budget
from system_apis.routes.parameters import AtMost, Caller, Cursor, InRooms, Limit, Rooms
from system_apis.schema_drift import DriftKind
from system_apis.scorecard import load_scorecard

router = APIRouter(prefix="/connectors/v1", tags=["Connectors"])
VendorName = Annotated[
    str, Path(pattern=r"^[a-z][a-z0-9_]{1,40}$", description="The connector, by its name.", examples=["netsuite"])
]
Act = Annotated[str, Field(max_length=80)]
Why = Annotated[str, Field(max_length=1000)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class ConnectorState(StrEnum):
    """How a connection is, as far as it was used lately."""

    OK = "ok"
    FAILING = "failing"
    UNKNOWN = "unknown"


class BudgetInUse(CanonicalModel):
    """How much of what we may ask is in use at this moment."""

    in_flight: Count = Field(description="Requests under way.", examples=[2])
    in_window: Count = Field(description="Requests sent within the budget's window.", examples=[311])
    is_shared: bool = Field(
        description="Whether all replicas are counted together; false: this replica alone.", examples=[True]
    )


class Freshness(CanonicalModel):
    """How old what we know from this system may be."""

    polled_at: datetime | None = Field(
        description="When it last told its changes without trouble (UTC); null before the first time.",
        examples=["2017-05-02T07:00:30Z"],
    )
    changes_read_until: datetime | None = Field(
        description="Latest change it told of by then (UTC); null before the first.", examples=["2017-05-02T07:00:00Z"]
    )
    seconds: Count | None = Field(description="Seconds since it was last asked; null: never was.", examples=[12])


class Conformance(CanonicalModel):
    """What the conformance suite has shown of the connector."""

    rules: Count = Field(description="Rules of the suite.", examples=[17])
    done: Count = Field(description="Rules shown, on the simulator or on a real account.", examples=[15])
    verified: Count = Field(description="Rules shown on a real account.", examples=[0])
    exempt: dict[str, Why] = Field(
        max_length=100,
        description="Rules that do not apply, and why.",
        examples=[{"feed": "the vendor keeps no feed that can be read on from a position"}],
    )


class SchemaDrift(CanonicalModel):
    """A place where the mapping no longer fits the vendor's schema."""

    entity: Name = Field(description="Canonical entity whose mapping it is.", examples=["opportunity"])
    field: Name = Field(description="Canonical field, or the vendor's where none is mapped to it.", examples=["region"])
    kind: DriftKind = Field(description="What does not fit.", examples=["field_renamed"])
    reason: Text = Field(
        description="What was found, in the vendor's words.", examples=["Opportunity has no field Region__c"]
    )
    found_at: datetime = Field(description="When it was first seen (UTC).", examples=["2017-05-02T06:00:05Z"])


class ConnectorView(CanonicalModel):
    """A bound connector."""

    name: Name = Field(description="How paths and events call the connector.", examples=["netsuite"])
    role: Literal["crm", "psa", "erp"] = Field(description="Which kind of system it plays.", examples=["erp"])
    legal_entities: tuple[LegalEntityCode, ...] | None = Field(
        max_length=1000,
        description="Legal entities whose ERP it is; null: all that have no other.",
        examples=[["HC-DE"]],
    )
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
    state: ConnectorState = Field(
        description="How its last poll went: ok, failing, or unknown before the first.", examples=["ok"]
    )
    budget: Budget = Field(description="What we may ask of the vendor.")
    budget_used: BudgetInUse = Field(description="How much of that is in use.")
    takes_webhooks: bool = Field(description="Whether the vendor tells us of changes by itself.", examples=[False])
    keeps_feed: bool = Field(
        description="Whether changes are read on from a position of the vendor's own feed.", examples=[False]
    )
    hints: dict[str, Count] = Field(
        max_length=10,
        description="Change hints by state: pending, read, failed.",
        examples=[{"pending": 0, "read": 412, "failed": 0}],
    )
    freshness: Freshness = Field(description="How old what we know from it may be.")
    changes_read_until: datetime | None = Field(
        description="Up to when polls have asked (UTC); null before the first.", examples=["2017-05-02T07:00:00Z"]
    )
    conformance: Conformance = Field(description="What the conformance suite has shown of it.")
    drift: tuple[SchemaDrift, ...] = Field(
        max_length=500, description="Where the mapping does not fit the vendor's schema, oldest first."
    )
    schema_checked_at: datetime | None = Field(
        description="When mapping and schema were last compared (UTC); null before the first time.",
        examples=["2017-05-02T06:00:05Z"],
    )


class ConnectorHealth(ConnectorView):
    """A bound connector, asked just now."""

    is_healthy: bool = Field(description="Whether the vendor answered just now.", examples=[True])
    problem: Text | None = Field(
        default=None,
        description="Why it did not, in one sentence.",
        examples=["A connected system refuses our credentials."],
    )


_scorecard = cache(load_scorecard)  # a release's own file: it does not change while the tier runs


def _in_force(declared: Budget, used: BudgetUse) -> Budget:
    """The budget the connection keeps to: the tenant's own, where it set one."""
    if used.of is None:
        return declared
    return Budget(requests=used.of.requests, per_seconds=used.of.per_seconds, at_once=used.of.at_once)


async def _view(rooms: Rooms, bound: Bound, *, at_most: float = math.inf) -> ConnectorView:
    manifest = bound.connector.manifest
    used = await OFFICE.use_of(bound.tenant, bound.vendor, manifest.budget)
    standing, checked_at = await rooms.schemas.standing(bound, at_most=at_most)
    freshness = await _freshness(rooms, bound)
    card = _scorecard(CONNECTORS / bound.vendor)
    return ConnectorView(
        name=bound.vendor,
        role=bound.role,
        legal_entities=bound.legal_entities or None,
        can=manifest.can,
        cannot=manifest.cannot,
        state=_state(rooms, bound, freshness),
        budget=_in_force(manifest.budget, used),
        budget_used=BudgetInUse(in_flight=used.in_flight, in_window=used.in_window, is_shared=used.is_shared),
        takes_webhooks=bound.intake is not None,
        keeps_feed=hasattr(bound.connector, "read_feed"),
        hints=await rooms.intake.counts(bound),
        freshness=freshness,
        changes_read_until=freshness.changes_read_until,
        conformance=Conformance(rules=len(card.rules), done=card.done, verified=card.verified, exempt=card.exempt),
        drift=tuple(
            SchemaDrift(
                entity=one.finding.entity,
                field=one.finding.field,
                kind=one.finding.kind,
                reason=one.finding.reason[:1000],
                found_at=one.found_at,
            )
            for one in standing
        ),
        schema_checked_at=checked_at,
    )


async def _freshness(rooms: Rooms, bound: Bound) -> Freshness:
    polled_at = await rooms.intake.polled_at(bound)
    seconds = None if polled_at is None else max(0, int((datetime.now(UTC) - polled_at).total_seconds()))
    return Freshness(polled_at=polled_at, changes_read_until=await rooms.intake.watermark(bound), seconds=seconds)


def _state(rooms: Rooms, bound: Bound, freshness: Freshness) -> ConnectorState:
    if rooms.intake.trouble(bound) is not None:
        return ConnectorState.FAILING
    return ConnectorState.UNKNOWN if freshness.polled_at is None else ConnectorState.OK


def _key(view: ConnectorView) -> str:
    return f"{view.name}/{view.role}"


@router.get("/connectors", summary="List connectors", operation_id="listConnectors")
async def list_connectors(
    caller: Caller, rooms: InRooms, age: AtMost, cursor: Cursor = None, limit: Limit = 100
) -> Page[ConnectorView]:
    """The tenant's connectors by name, one per role it plays: what each can do, how it is, how fresh, how it fits.

    Drift that was found longer ago than `Cache-Control` allows is looked at again before it is told.
    """
    bound = rooms.catalog.of_tenant(caller.tenant)
    views = await asyncio.gather(*(_view(rooms, each, at_most=age) for each in bound))
    return page_of(views, _key, cursor, limit)


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
