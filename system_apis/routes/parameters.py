"""Query and path parameters that all system APIs share, and what a route needs from the tier."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query, Request
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from shared.identity.principal import Principal
from shared.persistence.database import Database
from shared.serving.parameters import Cursor, EntityId
from shared.serving.principal import current_principal
from system_apis.catalog import Catalog
from system_apis.crossref_store import CrossReferences
from system_apis.intake import Intake
from system_apis.reference_cache import ReferenceCache
from system_apis.schema_watch import SchemaWatch

__all__ = ("AtMost", "Caller", "Cursor", "EntityId", "InRooms", "Limit", "ModifiedSince", "Rooms", "current_rooms")
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_INSTANT: Final = re.compile(r"^\d{4}-\d{2}-\d{2}[Tt ]")


def _written_out(value: Any) -> Any:
    """A bare number would be read as seconds and a day as midnight somewhere: neither says which instant is meant."""
    if isinstance(value, str) and not _INSTANT.match(value):
        message = "must be an instant with its offset, such as 2026-10-01T00:00:00Z"
        raise ValueError(message)
    return value


def _within_reach(value: datetime) -> datetime:
    """Instants no system has records of mean the same as the nearest one it may have; some cannot even name them."""
    if value.year < _EARLIEST.year:
        return _EARLIEST
    return _LATEST if value.year >= _LATEST.year else value.astimezone(UTC)


Caller = Annotated[Principal, Depends(current_principal)]
Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)]
ModifiedSince = Annotated[
    Instant | None,
    Query(
        description="Only records changed at or after this instant; its offset must be given.",
        examples=["2026-10-01T00:00:00Z"],
    ),
]
_MAX_AGE: Final = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)", re.IGNORECASE)
_NO_CACHE: Final = re.compile(r"(?:^|,)\s*no-(?:cache|store)\s*(?:,|$)", re.IGNORECASE)


def _at_most(
    cache_control: Annotated[
        str | None,
        Header(
            alias="Cache-Control",
            max_length=255,
            description="How old what was read before may be: `no-cache` has it read afresh, `max-age` names seconds.",
            examples=["no-cache"],
        ),
    ] = None,
) -> float:
    """Seconds (RFC 9111, 5.2.1); directives that say nothing about age are let pass, as the RFC wants it."""
    if cache_control and _NO_CACHE.search(cache_control):
        return 0.0
    found = _MAX_AGE.search(cache_control or "")
    return float(found[1]) if found else math.inf


AtMost = Annotated[float, Depends(_at_most)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most rows of a page.", examples=[100])]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes of this tier work with."""

    database: Database
    catalog: Catalog
    references: CrossReferences
    intake: Intake
    reference: ReferenceCache
    schemas: SchemaWatch


def current_rooms(request: Request) -> Rooms:
    """The tier's rooms, put on the app at start."""
    rooms: Any = request.app.state.rooms
    return rooms


InRooms = Annotated[Rooms, Depends(current_rooms)]
