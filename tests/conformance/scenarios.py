"""What a vendor's test class tells the suite: its variants, and the scenarios of reads and writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from deploy.sandbox.kit.switches import DELETED_FIELDS
from system_apis.manifest import Manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from tests.conformance.served import Sandbox

WEBHOOK_SECRET = "conformance-webhook-secret"
Case = TypeVar("Case", bound=Callable[..., object])


class Connector(Protocol):
    """What the suite needs of a connector besides its ports."""

    @property
    def manifest(self) -> Manifest: ...

    async def ping(self) -> object: ...

    async def list_changes(self, since: Any) -> Sequence[ChangeHint]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Bench:
    """A served simulator with the connector opened on it, and whatever `prepare` put there."""

    sandbox: Sandbox
    connector: Any
    binding: Binding
    seeded: Any = None

    async def delete_field(self, called: str, field: str) -> None:
        """The simulator's administrator deletes a custom field of that object."""
        assert self.sandbox.simulator.configure is not None
        self.sandbox.simulator.configure({DELETED_FIELDS: {called: [field]}})

    async def undelete_fields(self) -> None:
        """Deleted fields are back, with what they held."""
        assert self.sandbox.simulator.configure is not None
        self.sandbox.simulator.configure({DELETED_FIELDS: {}})


@dataclass(frozen=True)
class Variant:
    """A way the vendor may be: connector settings and simulator switches for what its documents leave unconfirmed."""

    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    switches: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Moved:
    """A tenant's override: the canonical field `entity.name` stands at `path` with `values`; `read` gives that field.

    `prepare` puts a record into the simulator that has the value there and nowhere else; `read` must give `expected`.
    """

    entity: str
    name: str
    path: str
    prepare: Callable[[], Awaitable[object]]
    read: Callable[[Any], Awaitable[object]]
    expected: object
    values: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Removed:
    """A mapped field, `entity.name`, that `remove` takes from us as the vendor's administrator can.

    `uses`: reads and writes of the port that need it, by what a reader calls them. In this order they go well before;
    afterwards each must be refused with an error that names vendor and field, and go well again after `give_back`,
    where an administrator can do that.
    """

    entity: str
    name: str
    remove: Callable[[], Awaitable[object]]
    uses: Mapping[str, Callable[[], Awaitable[object]]]
    give_back: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True)
class Write:
    """A port write. `count` asks the simulator over its own wire how many records there are of what is written.

    `route` finds the vendor's writing calls (regular expression on `METHOD /path?query`); one clean write makes `steps`
    of them and the answer is cut at each in turn: only where a repeat begins anew. Where parts that stand are kept
    (`create_project`) leave 1, and cut every call in a test of your own, a fresh record each. A clean write, once or
    often, leaves `expected` records.
    """

    do: Callable[[], Awaitable[object]]
    count: Callable[[], Awaitable[int]]
    route: str
    steps: int = 1
    expected: int = 1


@dataclass(frozen=True)
class Trace:
    """What an act of a `Write` leaves at the vendor, where the suite knows the act itself."""

    count: Callable[[], Awaitable[int]]
    route: str
    steps: int = 1
    expected: int = 1


@dataclass(frozen=True)
class PagedRead:
    """A list of the port, read whole: `seed` makes the simulator hold so many rows and answers their distinct names,
    `read` gives the names the connector sees when every page is read (through cursors), `route` finds the page calls
    (as `METHOD /path`, without the query).
    """

    seed: Callable[[int], Awaitable[Sequence[str]]]
    read: Callable[[], Awaitable[Sequence[str]]]
    route: str
    rows: int
    pages: int = 4


@dataclass(frozen=True)
class Drift:
    """A read that must fail when the vendor's answer lacks `field` (as the vendor spells it)."""

    read: Callable[[], Awaitable[object]]
    route: str
    field: str


def rule(name: str) -> Callable[[Case], Case]:
    """Marks the test that proves a rule of the scorecard."""

    def mark(test: Case) -> Case:
        test.rule = name  # type: ignore[attr-defined] # functions take attributes
        return test

    return mark
