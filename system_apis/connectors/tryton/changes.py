"""What changed in Tryton: pages by (last change, id), and hints; `last_modified_at` is when a transaction began."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.tryton.client import LARGEST_PAGE, Json, TrytonClient, parsed
from system_apis.connectors.tryton.payloads import Stamped
from system_apis.connectors.tryton.records import STAMP, Records
from system_apis.ports.changes import ChangedEntity, ChangeHint

OVERLAP = timedelta(minutes=2)
_ORDER = ((STAMP, "ASC"), ("id", "ASC"))


@dataclass(frozen=True, slots=True)
class Place:
    """How far a list was read."""

    at: datetime
    number: int

    @classmethod
    def of(cls, cursor: str) -> Place:
        """The place a cursor of ours holds. Raises InvalidRequest for any other."""
        state = unpack_cursor(cursor)
        try:
            at, number = datetime.fromisoformat(str(state["at"])), int(state["id"])
        except (KeyError, ValueError) as error:
            raise foreign_cursor() from error
        if at.tzinfo is None:
            raise foreign_cursor()
        return cls(at, number)

    @property
    def cursor(self) -> str:
        """The place as a cursor."""
        return pack_cursor({"at": self.at.isoformat(), "id": self.number})


def since(moment: datetime | None) -> list[Any]:
    """The condition for changes at or after an instant."""
    return [[STAMP, ">=", moment]] if moment else []


async def changed_page(
    client: TrytonClient,
    records: Records,
    domain: Sequence[Any],
    modified_since: datetime | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Json], str | None]:
    """Rows by (last change, id) after the cursor, and the cursor of the next page."""
    wanted = [*domain, *since(modified_since)]
    if cursor:
        place = Place.of(cursor)
        wanted.append(["OR", [STAMP, ">", place.at], [[STAMP, "=", place.at], ["id", ">", place.number]]])
    most = min(limit, LARGEST_PAGE)
    rows = await client.find(records.model, wanted, records.columns, order=_ORDER, limit=most)
    if len(rows) < most:
        return rows, None
    last = parsed(Stamped, rows[-1:])[0]
    return rows, Place(last.last_modified_at, last.id).cursor


async def hints_of(
    client: TrytonClient, entity: ChangedEntity, model: str, domain: Sequence[Any], start: datetime | None
) -> list[ChangeHint]:
    """A hint per record changed at or after the instant."""
    rows = await client.find_all(model, [*domain, *since(start)], [STAMP])
    return [
        ChangeHint(entity, str(one.id), f"{entity}:{one.id}@{one.last_modified_at.isoformat()}", one.last_modified_at)
        for one in parsed(Stamped, rows)
    ]


async def newest(
    client: TrytonClient, entity: ChangedEntity, ref: str, model: str, domain: Sequence[Any], start: datetime | None
) -> list[ChangeHint]:
    """One hint for all records of a kind, by the youngest change; work and reference data are read as lists."""
    order = ((STAMP, "DESC"), ("id", "DESC"))
    rows = await client.find(model, [*domain, *since(start)], [STAMP], order=order, limit=1)
    return [
        ChangeHint(entity, ref, f"{ref}:{one.id}@{one.last_modified_at.isoformat()}", one.last_modified_at)
        for one in parsed(Stamped, rows)
    ]


async def in_order(*groups: Any) -> list[ChangeHint]:
    """Hints of several questions asked at once, oldest first, each once."""
    told: list[list[ChangeHint]] = await asyncio.gather(*groups)
    hints = {hint.key: hint for group in told for hint in group}
    return sorted(hints.values(), key=lambda hint: (hint.occurred_at.timestamp() if hint.occurred_at else 0, hint.key))
