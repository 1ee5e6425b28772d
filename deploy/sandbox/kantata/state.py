"""What the simulated account holds: rows, their indexes and references, the events they cause; no HTTP may enter."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from deploy.sandbox.kantata.errors import invalid, missing, not_found
from deploy.sandbox.kantata.schema import COLLECTIONS, Collection

Row = dict[str, Any]
_MOST_EVENTS = 400_000
TEMPLATES: dict[str, list[Row]] = {
    "Implementation": [
        {"title": "Kick-off", "story_type": "milestone", "days": 0},
        {"title": "Design", "story_type": "deliverable", "days": 14},
        {"title": "Build", "story_type": "deliverable", "days": 60},
        {"title": "Go-live", "story_type": "milestone", "days": 75},
    ],
    "Advisory": [
        {"title": "Kick-off", "story_type": "milestone", "days": 0},
        {"title": "Report", "story_type": "deliverable", "days": 30},
    ],
}


@dataclass(slots=True)
class Switches:
    """Behaviour the vendor does not document; each way must be survivable for a client.

    `has_events`: the account bought the events add-on. `clock_ahead`: seconds its clock is ahead of the world's.
    """

    approval_touches_entries: bool = True
    invoicing_touches_entries: bool = True
    value_touches_subject: bool = True
    reference_touches_subject: bool = False
    updated_after_is_inclusive: bool = False
    strict_filters: bool = False
    requests_per_second: int = 0
    has_events: bool = True
    events_are_disordered: bool = False
    clock_ahead: int = 0


class Happening(NamedTuple):
    """A subscribed event, kept small."""

    id: int
    event_type: str
    collection: str
    subject_id: int
    at: int


class Table:
    """Rows of one collection by id, in order of creation, order of change, and by indexed foreign key."""

    def __init__(self, collection: Collection) -> None:
        """Empty."""
        self.collection = collection
        self.rows: dict[int, Row] = {}
        self.by_change: dict[int, None] = {}
        self.index: dict[str, dict[Any, dict[int, None]]] = {key: {} for key in collection.indexed}

    def add(self, row: Row) -> None:
        """Take a new row."""
        self.rows[row["id"]] = row
        self.by_change[row["id"]] = None
        for key, index in self.index.items():
            index.setdefault(row.get(key), {})[row["id"]] = None

    def remove(self, row: Row) -> None:
        """Let a row go."""
        del self.rows[row["id"]]
        del self.by_change[row["id"]]
        for key, index in self.index.items():
            index.get(row.get(key), {}).pop(row["id"], None)

    def touch(self, row: Row, now: int) -> None:
        """The row changed: it is the newest now."""
        row["updated_at"] = now
        self.by_change.pop(row["id"], None)
        self.by_change[row["id"]] = None


class Store:
    """One account."""

    def __init__(self, *, token: str, limited_token: str, clock: Callable[[], float] = time.time) -> None:
        """`token` acts as an administrator, `limited_token` as a collaborator without financial access."""
        self._clock = clock
        self._seed_tokens = {token: "administrator", limited_token: "collaborator"}
        self.seed_switches = Switches()
        self.reset()

    def reset(self) -> None:
        """Empty the account; tokens and numbers start again."""
        self.switches = replace(self.seed_switches)
        self.tables = {name: Table(collection) for name, collection in COLLECTIONS.items()}
        self.tokens = dict(self._seed_tokens)
        self.codes: dict[str, float] = {}
        self.version = getattr(self, "version", 0) + 1
        self.events: list[Happening] = []
        self._numbers = 1000
        self._happened = 0
        self.reference_ids: dict[tuple[str, int], dict[str, int]] = {}
        self.referring: dict[tuple[str, str], dict[str, dict[int, None]]] = {}
        self.values_of: dict[tuple[str, int], dict[int, int]] = {}
        for title, items in TEMPLATES.items():
            fields = {"shared": True, "is_budgeted": False, "currency": "USD", "item_count": len(items)}
            days = max(item["days"] for item in items)
            self.create("project_templates", {"title": title, "duration": days, **fields, "_items": items})
        self.administrator = self.create(
            "users",
            {
                "full_name": "Sandbox Administrator",
                "email_address": "administrator@sandbox.example",
                "account_permission": "administrator",
                "disabled": False,
                "account_id": 1,
            },
        )

    def now(self) -> int:
        """Seconds since the epoch: the resolution of the vendor's timestamps."""
        return int(self._clock()) + self.switches.clock_ahead

    def moment(self) -> float:
        """The unrounded clock."""
        return self._clock() + self.switches.clock_ahead

    def revoke(self) -> None:
        """Every token is refused from now on: the vendor's tokens never expire, but they can be revoked."""
        self.tokens.clear()

    def issue(self) -> str:
        """A new administrator's token."""
        token = secrets.token_hex(24)
        self.tokens[token] = "administrator"
        return token

    def code(self, seconds: float) -> str:
        """An authorization code, good for so long."""
        code = secrets.token_hex(16)
        self.codes[code] = self.moment() + seconds
        return code

    def table(self, name: str) -> dict[int, Row]:
        """Rows of a collection by id."""
        return self.tables[name].rows

    def create(self, name: str, fields: Row, reference: Any = None) -> Row:
        """A new row, with its external reference when one is given."""
        if reference is not None:
            self.check_reference(reference)
        table = self.tables[name]
        self._numbers += 1
        now = self.now()
        row: Row = {"id": self._numbers, "created_at": now, "updated_at": now, **fields}
        table.add(row)
        self.version += 1
        if reference is not None:
            self.refer(name, row, reference)
        self.tell(name, row, "created")
        return row

    def amend(self, name: str, row: Row, changes: Row, *, touch: bool = True) -> None:
        """Change a row; `touch` moves its updated_at."""
        row.update(changes)
        if touch:
            self.tables[name].touch(row, self.now())
        self.version += 1
        self.tell(name, row, "updated")

    def delete(self, name: str, row: Row) -> None:
        """Remove a row and its references."""
        self.tables[name].remove(row)
        for reference_id in list(self.reference_ids.pop((name, row["id"]), {}).values()):
            self._unrefer(self.table("external_references")[reference_id])
        self.version += 1
        self.tell(name, row, "deleted")

    def get(self, name: str, number: Any, field: str = "") -> Row:
        """The row of that id; `field` turns a missing one from 404 into 422 on that field."""
        row = self.table(name).get(as_id(number, field or "id"))
        if row is None:
            raise invalid(field, f"{field} is invalid") if field else not_found()
        return row

    def tell(self, name: str, row: Row, what: str) -> None:
        """Keep an event for those who ask for it."""
        if event := COLLECTIONS[name].event:
            self._happened += 1
            if len(self.events) >= _MOST_EVENTS:
                del self.events[: _MOST_EVENTS // 4]
            self.events.append(Happening(self._happened, f"{event}:{what}", name, row["id"], self.now()))

    @staticmethod
    def check_reference(reference: Any) -> None:
        """Raises the vendor's 422 for a reference without its three names."""
        if not isinstance(reference, dict):
            raise invalid("external_reference", "external_reference is invalid")
        lacking = [k for k in ("service_name", "service_model", "service_model_ref") if not reference.get(k)]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if lacking:
            raise missing(*lacking)

    def refer(self, name: str, row: Row, reference: Row) -> Row:
        """Create or overwrite the one reference an object may have per service."""
        held = self.reference_ids.setdefault((name, row["id"]), {})
        service = str(reference["service_name"])
        fields = {k: v for k, v in reference.items() if k not in {"subject_id", "subject_type"}}
        fields["service_model_ref"] = str(fields["service_model_ref"])
        existing = self.table("external_references").get(held.get(service, 0))
        if existing is not None:
            self._forget(existing, name)
            self.amend("external_references", existing, fields)
        else:
            existing = self.create(
                "external_references",
                {
                    "status": "successful",
                    "locked": False,
                    **fields,
                    "subject_type": COLLECTIONS[name].subject,
                    "subject_id": row["id"],
                    "_collection": name,
                },
            )
            held[service] = existing["id"]
        found = self.referring.setdefault((name, service), {})
        found.setdefault(existing["service_model_ref"], {})[row["id"]] = None
        if self.switches.reference_touches_subject:
            self.tables[name].touch(row, self.now())
        return existing

    def references(self, name: str, row_id: int) -> Iterable[Row]:
        """The external references of an object."""
        references = self.table("external_references")
        return [references[number] for number in self.reference_ids.get((name, row_id), {}).values()]

    def _forget(self, reference: Row, name: str) -> None:
        found = self.referring.get((name, reference["service_name"]), {})
        found.get(reference["service_model_ref"], {}).pop(reference["subject_id"], None)

    def _unrefer(self, reference: Row) -> None:
        self._forget(reference, reference["_collection"])
        self.reference_ids.get((reference["_collection"], reference["subject_id"]), {}).pop(
            reference["service_name"], None
        )
        self.tables["external_references"].remove(reference)


def as_id(value: Any, field: str) -> int:
    """An id as the vendor takes it: a number or its text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(field, f"{field} is invalid") from None
