"""One portal: its objects, records, links, pipelines, owners and events, and the switches that change its ways."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.sandbox.hubspot.associations import Associations
from deploy.sandbox.hubspot.errors import invalid, not_found
from deploy.sandbox.hubspot.events import Events, is_address
from deploy.sandbox.hubspot.kinds import Kind, standard_kinds
from deploy.sandbox.hubspot.limits import Limits
from deploy.sandbox.hubspot.pipelines import Pipelines
from deploy.sandbox.hubspot.records import Record, Table
from deploy.sandbox.kit.switches import UnknownSwitch, flag, taken

PORTAL_ID = 62515
_FIRST_TYPE = 30_000_001
_OWNERS = (("11", "ada@harbour.example", "Ada", "Byron"), ("12", "grace@harbour.example", "Grace", "Hopper"))
_FLAGS = frozenset({"association_touches", "archives_again", "custom_objects"})
_WHOLES = frozenset({"batch_limit", "index_lag_ms", "association_page", "search_window", "page_size"})
_CHOICES = {
    "unknown_properties": ("ignored", "refused"),
    "clears_with": ("empty", "null"),
    "type_member": ("subscriptionType", "eventType"),
}


class Clock:
    """The portal's clock: the real one, moved ahead where a test will not wait."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.ahead


@dataclass(slots=True)
class Ways:
    """Behaviour that can be switched; the first value is the documented one, or the likelier of two."""

    association_touches: bool = False
    unknown_properties: str = "ignored"
    clears_with: str = "empty"
    batch_limit: int = 100
    archives_again: bool = True
    custom_objects: bool = True
    index_lag_ms: int = 0
    page_size: int = 200
    association_page: int = 100
    search_window: int = 10_000
    locked: frozenset[str] = frozenset()


class Portal:
    """State of the simulator; `switch` changes how it behaves, `reset` brings back the new portal."""

    def __init__(self, post: Callable[[list[Any]], None], clock: Clock) -> None:
        self._post = post
        self.clock = clock
        self.events = Events(post, clock.now, PORTAL_ID)
        self._stamp = 0
        self.reset()

    def reset(self) -> None:
        """Everything back to how a new portal is."""
        self.clock.ahead = 0
        self.ways = Ways()
        self.limits = Limits()
        self.associations = Associations()
        self.pipelines = Pipelines(self.clock.now())
        self.tables = {name: Table(kind) for name, kind in standard_kinds().items()}
        self.owners = {
            one: {"id": one, "email": email, "firstName": first, "lastName": last}
            for one, email, first, last in _OWNERS
        }
        self.events.reset()
        self._types = _FIRST_TYPE

    def switch(self, name: str, value: Any) -> None:
        """Change behaviour. Raises UnknownSwitch, ValueError or TypeError for a value it does not take."""
        if name in _FLAGS:
            setattr(self.ways, name, flag(name, value))
        elif name in _WHOLES:
            setattr(self.ways, name, taken(name, value, int))
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}, not {value!r}")
            setattr(self.events if name == "type_member" else self.ways, name, str(value))
        elif name in {"ten_seconds", "searches", "daily"}:
            setattr(self.limits, name, (taken(name, value, int) or None) if value is not None else None)
        else:
            self._switch_rooms(name, value)

    def _switch_rooms(self, name: str, value: Any) -> None:
        if name == "one_parent":
            self.associations.one_parent = flag(name, value)
        elif name == "locked":
            self.ways.locked = frozenset(map(str, value))
        elif name == "subscribed":
            self.events.subscribed = frozenset(map(str, value))
        elif name == "target_url":
            if not is_address(str(value)):
                raise ValueError(f"{name} is an address, not {value!r}")
            self.events.target_url = str(value)
        elif name == "advance_ms":
            self.clock.ahead += taken(name, value, int)
        else:
            raise UnknownSwitch(name)

    def counts(self) -> dict[str, int]:
        """Living records per object."""
        return {name: len(table.rows) for name, table in self.tables.items()}

    def stamp(self) -> int:
        """The instant of a request; every one has its own."""
        self._stamp = max(self._stamp + 1, self.clock.now())
        return self._stamp

    def table(self, named: str) -> Table:
        """The records of an object by its name, its type id, or its fully qualified name. Raises HubspotError."""
        for name, table in self.tables.items():
            kind = table.kind
            known = (kind.type_id, kind.fully_qualified) if kind.is_custom else (kind.type_id, name, kind.singular)
            if named.lower() in known:
                return table
        raise invalid(f"Unable to infer object type from: {named}")

    def add_kind(self, kind: Kind) -> Table:
        """A custom object."""
        if any(one.kind.name == kind.name for one in self.tables.values()):
            raise invalid(f"Object type {kind.name} already exists")
        table = self.tables[kind.name] = Table(kind)
        for prop in kind.properties.values():
            if prop.is_unique:
                table.make_unique(prop.name)
        return table

    def new_type_id(self) -> str:
        """The number of the next custom object."""
        self._types += 1
        return f"2-{self._types - 1}"

    def record(self, table: Table, named: str, id_property: str = "") -> Record:
        """A living record by its id or a unique property. Raises HubspotError."""
        if id_property and id_property != "hs_object_id":
            if id_property not in table.unique:
                raise invalid(f"Property {id_property} is not a unique property of {table.kind.name}")
            found = table.by_unique(id_property, named)
        else:
            found = int(named) if named.isdigit() else None
        record = table.rows.get(found) if found is not None else None
        if record is None:
            raise not_found()
        return record
