"""Query and path parameters that all system APIs share, and what a route needs from the tier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from shared.identity.principal import Principal
from shared.persistence.database import Database
from shared.serving.principal import current_principal
from system_apis.catalog import Catalog
from system_apis.crossref_store import CrossReferences
from system_apis.intake import Intake

_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$"
Caller = Annotated[Principal, Depends(current_principal)]
EntityId = Annotated[str, Path(pattern=_ID, max_length=120, description="Our id of the record.")]
ModifiedSince = Annotated[
    datetime | None,
    Query(description="Only records changed at or after this instant (UTC).", examples=["2026-10-01T00:00:00Z"]),
]
Cursor = Annotated[
    str | None,
    Query(max_length=2000, pattern=r"^[A-Za-z0-9_=.:-]+$", description="`next_cursor` of the page before."),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows per page.")]


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the routes of this tier work with."""

    database: Database
    catalog: Catalog
    references: CrossReferences
    intake: Intake


def current_rooms(request: Request) -> Rooms:
    """The tier's rooms, put on the app at start."""
    rooms: Any = request.app.state.rooms
    return rooms


InRooms = Annotated[Rooms, Depends(current_rooms)]
