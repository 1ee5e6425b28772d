"""Subscribed events of the account: kept for nine days, told page by page; as an add-on, to administrators only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from deploy.sandbox.kantata.errors import bad_request, forbidden, not_found
from deploy.sandbox.kantata.filters import truth, window
from deploy.sandbox.kantata.rendering import instant, rendered
from deploy.sandbox.kantata.schema import COLLECTIONS
from deploy.sandbox.kantata.state import Happening, Store

EVENT_DAYS = 9
_DAY = 86_400
_ACTS = ("created", "updated", "deleted")
_FURTHER = {"story": ("status_selected",), "timesheet": ("time_entry_added",)}
_PAYLOADS = frozenset({"current_payload", "payload_changes", "previous_payload"})
_KINDS: Mapping[str, str] = {"created_at": "datetime", "updated_at": "datetime"}


class _Window(NamedTuple):
    first: int
    last: int


class Events:
    """What GET /subscribed_events and its event types answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, asked: Mapping[str, str], rest: list[str]) -> dict[str, Any]:
        """The document of one request."""
        if not self._store.switches.has_events:
            raise forbidden()
        if rest == ["event_types"]:
            return _types()
        if rest:
            raise not_found()
        found = self._found(asked)
        first, size, number = window(asked)
        page = found[first : first + size]
        if self._store.switches.events_are_disordered and len(page) > 1:
            page = [*reversed(page), page[0]]  # late ones first, and one of them told again
        wanted = set(_PAYLOADS) & set(asked.get("optional_fields", "").split(","))
        with_subject = "subject" in asked.get("include", "").split(",")
        shown = [self._shown(event, wanted, with_subject=with_subject) for event in page]
        meta = {"count": len(found), "page_count": -(-len(found) // size), "page_number": number, "page_size": size}
        return {
            "count": len(found),
            "meta": meta,
            "results": [{"key": "subscribed_events", "id": one["id"]} for one in shown],
            "subscribed_events": {one["id"]: one for one in shown},
        }

    def _found(self, asked: Mapping[str, str]) -> list[Happening]:
        events, span = self._store.events, self._span(asked)
        tests: Mapping[str, Callable[[Happening, set[str]], bool]] = {
            "event_types": lambda event, wanted: event.event_type in wanted,
            "subject_id": lambda event, wanted: str(event.subject_id) in wanted,
            "only": lambda event, wanted: str(event.id) in wanted,
        }
        found = events[span.first : span.last]
        if asked.get("subject_id") and not asked.get("subject_type"):
            raise bad_request("subject_type is required with subject_id")
        for name, test in tests.items():
            if wanted := set(filter(None, asked.get(name, "").split(","))):
                found = [event for event in found if test(event, wanted)]
        if subject := asked.get("subject_type"):
            found = [event for event in found if COLLECTIONS[event.collection].subject == subject]
        found = _latest(asked, found)
        if asked.get("order", "created_at:desc") != "created_at:asc":
            found.reverse()
        return found

    def _span(self, asked: Mapping[str, str]) -> _Window:
        """Where in the list of all events those asked for can be; what is older than nine days is gone."""
        events = self._store.events
        gone = bisect_left(events, self._store.now() - EVENT_DAYS * _DAY, key=lambda event: event.at)
        del events[:gone]
        after, before = _moment(asked, "created_after"), _moment(asked, "created_before")
        first = 0 if after is None else bisect_right(events, after, key=lambda event: event.at)
        last = len(events) if before is None else bisect_left(events, before, key=lambda event: event.at)
        return _Window(first, last)

    def _shown(self, event: Happening, wanted: set[str], *, with_subject: bool) -> dict[str, Any]:
        collection = COLLECTIONS[event.collection]
        row = self._store.table(event.collection).get(event.subject_id)
        shown: dict[str, Any] = {
            "id": str(event.id),
            "event_type": event.event_type,
            "subject_type": collection.subject,
            "subject_id": str(event.subject_id),
            "subject_changed_at": instant(event.at),
            "user_id": str(self._store.administrator["id"]),
            "account_id": "1",
            "created_at": instant(event.at),
            "updated_at": instant(event.at),
        }
        if with_subject:
            shown["subject_ref"] = {"key": event.collection, "id": str(event.subject_id)} if row else None
        for key in wanted:
            shown[key] = rendered(self._store, collection, row, ()) if row and key == "current_payload" else {}
        return shown


def _latest(asked: Mapping[str, str], found: list[Happening]) -> list[Happening]:
    by_subject, by_type = truth(asked.get("most_recent", "")), truth(asked.get("most_recent_by_event_type", ""))
    if by_subject and by_type:
        raise bad_request("most_recent and most_recent_by_event_type cannot be used together")
    if not (by_subject or by_type):
        return found
    latest = {(event.collection, event.subject_id, event.event_type if by_type else ""): event for event in found}
    kept = {event.id for event in latest.values()}
    return [event for event in found if event.id in kept]


def _moment(asked: Mapping[str, str], name: str) -> float | None:
    if not (value := asked.get(name)):
        return None
    try:
        return datetime.fromisoformat(value.replace(" ", "+")).timestamp()
    except ValueError:
        raise bad_request(f"{name} must be ISO 8601") from None


def _types() -> dict[str, Any]:
    """Every event type with the members of its payload: the only place where the vendor tells what a record holds."""
    schemas: dict[str, Any] = {}
    for collection in COLLECTIONS.values():
        if not collection.event:
            continue
        keys = dict.fromkeys(
            ("id", *collection.shown, *collection.ids, *(a.key for a in collection.associations.values()))
        )
        fields = {key: {"name": key, "type": _kind(key), "description": key.replace("_", " ")} for key in keys}
        for act in (*_ACTS, *_FURTHER.get(collection.event, ())):
            kind = f"{collection.event}:{act}"
            schemas[kind] = {"name": kind, "description": f"A {collection.event} was {act}.", "fields": fields}
    return {"subscribed_event_types": sorted(schemas), "subscribed_event_type_schemas": schemas}


def _kind(key: str) -> str:
    if key.endswith("_ids"):
        return "array"
    if key.endswith(("_in_cents", "_in_minutes")):
        return "integer"
    return _KINDS.get(key, "string")
