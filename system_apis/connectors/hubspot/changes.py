"""What changed, in order: searches that begin behind the last place seen, so that none meets the end of its window.

The vendor shows ten thousand results of a search at most, sorts by one property, and gives all records of a batch one
stamp. So every search begins anew at a stamp, and within one stamp at an id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.errors.taxonomy import VendorDrift
from shared.outbound import drift, foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.hubspot.client import HubspotClient
from system_apis.connectors.hubspot.payloads import SYSTEM, Payload

Filter = dict[str, Any]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**63 - 1
_WIDEST: Final = 200
_OWN, _CHILD = 0, 1
_MOST_SEARCHES: Final = 100_000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order of change: instant, then records before children, then id."""

    at: datetime
    rank: int
    ref: int


@dataclass(frozen=True, slots=True)
class Family:
    """An object whose records count as changed when those of `child` do; names as the portal's paths take them."""

    kind: str
    child: str | None = None
    conditions: tuple[Filter, ...] = ()


def place_of(payload: Payload, children: Sequence[Payload] = ()) -> Place:
    """When the record, or the last of its children, changed."""
    own = Place(payload.modified_at, _OWN, int(payload.id))
    return max([own, *(Place(child.modified_at, _CHILD, int(child.id)) for child in children)])


def start(since: datetime | None, cursor: str | None) -> Place | None:
    """Where a list begins or is read on. Raises InvalidRequest."""
    if cursor is None:
        return Place(since.astimezone(UTC), -1, 0) if since else None
    state = unpack_cursor(cursor)
    try:
        return Place(datetime.fromisoformat(str(state["at"])), int(state["rank"]), int(state["ref"]))
    except (KeyError, ValueError, TypeError) as error:
        raise foreign_cursor() from error


def cursor_at(place: Place) -> str:
    """The cursor that reads on behind a place."""
    return pack_cursor({"at": place.at.isoformat(), "rank": place.rank, "ref": place.ref})


async def events(
    client: HubspotClient, family: Family, after: Place | None, limit: int
) -> tuple[list[tuple[Place, str]], Place | None]:
    """Up to `limit` changes behind a place, each with the record it counts for, and how far was seen (None: the end).

    One record may have several; it is to be told at its latest.
    """
    own, seen = await _window(client, family, _OWN, after, limit)
    found = [(place, str(place.ref)) for place in own]
    ends = [seen] if seen else []
    if family.child:
        children, seen = await _window(client, family, _CHILD, after, min(_WIDEST, limit * 4))
        ends += [seen] if seen else []
        parents = await parents_of(client, family, [str(place.ref) for place in children])
        found += [(place, parents[str(place.ref)]) for place in children if str(place.ref) in parents]
    horizon = min(ends) if ends else None
    listed = sorted(event for event in found if horizon is None or event[0] <= horizon)
    if len(listed) > limit:
        listed = listed[:limit]
        horizon = listed[-1][0]
    return listed, horizon


async def latest(client: HubspotClient, family: Family, since: datetime | None) -> Mapping[str, datetime]:
    """Every record that changed at or after the instant, with the instant of its latest change."""
    found: dict[str, datetime] = {}
    for rank in (_OWN, _CHILD) if family.child else (_OWN,):
        places = await _all(client, family, rank, start(since, None))
        refs = {str(place.ref): str(place.ref) for place in places}
        if rank == _CHILD:
            refs = await parents_of(client, family, list(refs))
        for place in places:
            if ref := refs.get(str(place.ref)):
                found[ref] = max(found.get(ref, place.at), place.at)
    return found


async def parents_of(client: HubspotClient, family: Family, children: Sequence[str]) -> dict[str, str]:
    """The record each child belongs to; of several the one that is oldest."""
    if not children or family.child is None:
        return {}
    linked = await client.links(family.child, family.kind, children)
    return {child: str(min(link.to_id for link in links)) for child, links in linked.items() if links}


async def _all(client: HubspotClient, family: Family, rank: int, after: Place | None) -> list[Place]:
    found: list[Place] = []
    for _ in range(_MOST_SEARCHES):
        places, horizon = await _window(client, family, rank, after, _WIDEST)
        found += places
        if horizon is None:
            return found
        if after is not None and horizon <= after:
            break
        after = horizon
    raise VendorDrift(f"{client.system} gives the same changes again and again.")


async def _window(
    client: HubspotClient, family: Family, rank: int, after: Place | None, limit: int
) -> tuple[list[Place], Place | None]:
    """The next changes behind a place, whole instants only, and up to where there is surely no other (None: the end).

    Where one instant alone fills the search, its records are read by id.
    """
    kind = family.child if rank == _CHILD and family.child else family.kind
    conditions = family.conditions if rank == _OWN else ()
    groups = [[*conditions, *behind] for behind in _behind(after, rank)]
    places, has_more = await _searched(client, kind, groups, "hs_lastmodifieddate", rank, limit)
    if not has_more or not places:
        return places, None
    last = places[-1].at
    if complete := [place for place in places if place.at < last]:
        return complete, Place(complete[-1].at, rank, _LAST)
    floor = after.ref if after and (after.at, after.rank) == (last, rank) else 0
    at_once = [[*conditions, _filter("hs_lastmodifieddate", "EQ", _millis(last)), _filter("hs_object_id", "GT", floor)]]
    places, has_more = await _searched(client, kind, at_once, "hs_object_id", rank, limit)
    return places, places[-1] if has_more and places else Place(last, rank, _LAST)


async def _searched(
    client: HubspotClient, kind: str, groups: Sequence[Sequence[Filter]], sort: str, rank: int, limit: int
) -> tuple[list[Place], bool]:
    rows, has_more = await client.search(kind, groups, sort, SYSTEM, limit)
    read = drift(client.system, list[Payload], rows)
    return sorted(Place(row.modified_at, rank, int(row.id)) for row in read), has_more


def _behind(after: Place | None, rank: int) -> list[list[Filter]]:
    if after is None:
        return [[]]
    at = _millis(after.at)
    if rank > after.rank:
        return [[_filter("hs_lastmodifieddate", "GTE", at)]]
    later = [_filter("hs_lastmodifieddate", "GT", at)]
    if rank < after.rank or after.ref == _LAST:
        return [later]
    return [later, [_filter("hs_lastmodifieddate", "EQ", at), _filter("hs_object_id", "GT", after.ref)]]


def _filter(name: str, operator: str, value: int) -> Filter:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
