"""What the processes reach for: database, systems, journal, approvals, exceptions, events; furnished once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from process_apis.approvals.store import Approvals
from process_apis.exceptions.store import Exceptions
from process_apis.journal.store import Journal
from process_apis.systems.directory import Systems
from process_apis.tenants import Tenants
from shared.canonical.events import Event
from shared.errors.taxonomy import Misconfigured
from shared.persistence import Database, EventLog


@dataclass(frozen=True, slots=True)
class Rooms:
    """The furnished house; made once at start-up."""

    database: Database
    systems: Systems
    tenants: Tenants
    events: EventLog
    journal: Journal
    approvals: Approvals
    exceptions: Exceptions


class Subscriptions(Protocol):
    """Where a process says which facts it wants and what it does on its own from time to time."""

    def on(self, event_type: str, *, consumer: str, act: Callable[[Event], Awaitable[None]]) -> None:
        """Call `act` once per event of the type; it may be called again if it fails."""
        ...

    def every(self, seconds: float, name: str, act: Callable[[], Awaitable[None]]) -> None:
        """Call `act` again and again with that pause; an error is logged and the next call comes."""
        ...


_furnished: list[Rooms] = []


def furnish(house: Rooms) -> None:
    """Make the rooms reachable. Repeat: the latest count."""
    _furnished[:] = [house]


def rooms() -> Rooms:
    """The rooms. Raises Misconfigured before `furnish`."""
    if not _furnished:
        raise Misconfigured("the process tier's rooms are not furnished yet")
    return _furnished[0]
