"""What the site shows: registry, published documents, plans and changelog, read anew when their files change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Thread
from time import monotonic

from yaml import YAMLError

from experience_apis.developer.specs import Operation, Spec, read_spec
from shared.errors.taxonomy import NotFound
from shared.gateway.document import DocumentRefused, PlanBook, load_documents, read_facts
from shared.gateway.document import Operation as Declared
from shared.gateway.plans import Plan
from shared.gateway.policies.lifecycle.handler import state_at
from shared.gateway.registry import ApiEntry, VersionEntry, load_registry
from shared.gateway.switchboard import path_shape
from shared.serving.differences.changelog import ApiChangelog, read_changelog
from shared.serving.differences.reading import DocumentUnreadable
from shared.telemetry import get_logger

_EVENTS = "events"
_NOT_ASKED_FOR = frozenset({"internal", "anonymous", "webhooks"})
_LOOK_EVERY_SECONDS = 2.0
_TIERS = ("experience", "process", "system")
_STATES = ("active", "preview", "deprecated", "retired")
Stamp = tuple[tuple[str, int], ...]
"""Names and times of the files that were read."""
_UNREADABLE = (DocumentRefused, DocumentUnreadable, OSError, YAMLError, LookupError)
_log = get_logger("experience.developer")


@dataclass(frozen=True)
class Edition:
    """One version of one API, with its document where there is one."""

    api: ApiEntry
    version: str
    entry: VersionEntry
    spec: Spec | None
    changes: ApiChangelog | None = None

    @property
    def key(self) -> str:
        """`experience-partner.v1`, the name of its files."""
        return f"{self.api.tier}-{self.api.name}.{self.version}"

    @property
    def address(self) -> str:
        """Its page."""
        return f"/developer/apis/{self.api.tier}/{self.api.name}/{self.version}"

    @property
    def state(self) -> str:
        """How far it is today: a deprecated version whose sunset has passed is retired."""
        return state_at(self.entry, datetime.now(UTC)).value

    @property
    def operations(self) -> Sequence[Operation]:
        """Its operations in the document's order."""
        return tuple(self.spec.operations.values()) if self.spec else ()

    @property
    def can_be_tried(self) -> bool:
        """Whether a caller outside may reach it; the inner tiers stand behind it."""
        return self.api.tier == "experience"

    def operation(self, operation_id: str) -> Operation:
        """One operation.

        Raises: NotFound.
        """
        found = self.spec.operations.get(operation_id) if self.spec else None
        if found is None:
            raise NotFound(f"{self.api.title} {self.version} has no operation of this name.")
        return found


@dataclass(frozen=True)
class Shelf:
    """Everything the site shows, at one moment."""

    editions: Mapping[tuple[str, str, str], Edition]
    plans: Mapping[str, Plan]
    events: Spec
    event_changes: ApiChangelog | None
    declared: Mapping[tuple[str, str, str], Declared] = field(repr=False)

    def edition(self, tier: str, api: str, version: str) -> Edition:
        """One version of an API.

        Raises: NotFound.
        """
        found = self.editions.get((tier, api, version))
        if found is None:
            raise NotFound("There is no such API or version.")
        return found

    def versions_of(self, api: ApiEntry) -> tuple[Edition, ...]:
        """All versions of an API, newest first."""
        found = [one for one in self.editions.values() if one.api is api]
        return tuple(sorted(found, key=lambda one: int(one.version[1:]), reverse=True))

    @cached_property
    def leading(self) -> tuple[Edition, ...]:
        """Of every API the version to start with: the newest active one, else the newest."""
        chosen: list[Edition] = []
        for api in {id(one.api): one.api for one in self.editions.values()}.values():
            versions = self.versions_of(api)
            chosen.append(next((one for one in versions if one.state == "active"), versions[0]))
        return tuple(sorted(chosen, key=lambda one: (_TIERS.index(one.api.tier), one.api.title.casefold())))

    @cached_property
    def asked_plans(self) -> Mapping[str, Plan]:
        """The plans a developer can ask for."""
        return {name: plan for name, plan in self.plans.items() if name not in _NOT_ASKED_FOR}

    @property
    def ending(self) -> tuple[Edition, ...]:
        """Versions that are deprecated or retired, soonest end first."""
        last = datetime.max.replace(tzinfo=UTC)
        found = [one for one in self.editions.values() if one.state in {"deprecated", "retired"}]
        return tuple(sorted(found, key=lambda one: one.entry.sunset_at or last))

    @cached_property
    def audiences(self) -> tuple[str, ...]:
        """Every audience an API is made for."""
        return tuple(sorted({one.api.audience for one in self.editions.values()}))


def matching(shelf: Shelf, *, words: str = "", tier: str = "", audience: str = "", state: str = "") -> list[Edition]:
    """The APIs that fit a search; with a state, the version of that state."""
    found: list[Edition] = []
    for leading in shelf.leading:
        edition = leading
        if state and state != leading.state:
            others = [one for one in shelf.versions_of(leading.api) if one.state == state]
            if not others:
                continue
            edition = others[0]
        fits = (not tier or edition.api.tier == tier) and (not audience or edition.api.audience == audience)
        if fits and all(word in search_text(edition) for word in words.lower().split()):
            found.append(edition)
    return found


def search_text(edition: Edition) -> str:
    """What a search looks at: names, sentences, operations and paths."""
    told = [edition.api.title, edition.api.name, edition.api.description, edition.api.audience, edition.api.tier]
    told += [f"{one.summary} {one.path} {one.id}" for one in edition.operations]
    return " ".join(told).lower()


def tiers() -> tuple[str, ...]:
    """The tiers, outermost first."""
    return _TIERS


def states() -> tuple[str, ...]:
    """The states of a version."""
    return _STATES


class Library:
    """Holds the shelf and notices when its files change; nobody waits for the reading but the very first."""

    def __init__(self, gateway_dir: Path, openapi_dir: Path) -> None:
        self._gateway = gateway_dir
        self._openapi = openapi_dir
        self._stamp: Stamp = ()
        self._looked = monotonic()
        self._shelf: Shelf | None = None
        self._reader: Thread | None = None

    def shelf(self) -> Shelf:
        """What is to be shown now; at most a few seconds old."""
        if self._shelf is None:
            self.look()
        elif monotonic() - self._looked >= _LOOK_EVERY_SECONDS:
            self._looked = monotonic()
            if self._reader is None or not self._reader.is_alive():
                self._reader = Thread(target=self.look, name="developer shelf", daemon=True)
                self._reader.start()
        assert self._shelf is not None  # noqa: S101 - read above, or the reading has raised
        return self._shelf

    def read_ahead(self) -> None:
        """Read before somebody asks; what cannot be read is told to whoever asks."""
        with suppress(*_UNREADABLE):
            self.look()

    def look(self) -> None:
        """Read what has changed. A change that cannot be read is logged, and what stood before goes on standing.

        Raises: DocumentRefused when nothing stood before.
        """
        stamp = self._files()
        if self._shelf is not None and stamp == self._stamp:
            return
        try:
            self._shelf = read_shelf(self._gateway, self._openapi, stamp)
        except _UNREADABLE as error:
            if self._shelf is None:
                raise
            _log.warning("developer site keeps what it has", reason=str(error))
        self._stamp = stamp

    def _files(self) -> Stamp:
        facts = (*sorted(self._gateway.glob("*.yaml")), *sorted(self._gateway.glob("*/*.yaml")))
        documents = (*self._openapi.glob("*.yaml"), *self._openapi.glob("releases/releases.yaml"))
        return tuple((path.name, path.stat().st_mtime_ns) for path in (*facts, *sorted(documents)) if path.exists())


@lru_cache(maxsize=4)
def read_shelf(gateway_dir: Path, openapi_dir: Path, stamp: Stamp) -> Shelf:
    """Registry, plans and documents from their files; read once per process while `stamp` stays the same."""
    del stamp
    released = openapi_dir / "releases" / "releases.yaml"
    stamped = released.stat().st_mtime_ns if released.exists() else 0
    changelogs = {(one.name, one.version): one for one in _changelog(openapi_dir, stamped)}
    events = openapi_dir / f"{_EVENTS}.v1.yaml"
    editions: dict[tuple[str, str, str], Edition] = {}
    for api in load_registry(gateway_dir).apis:
        if not api.published:
            continue
        for version, entry in api.versions.items():
            path = openapi_dir / f"{api.tier}-{api.name}.{version}.yaml"
            editions[api.tier, api.name, version] = Edition(
                api=api,
                version=version,
                entry=entry,
                spec=_spec(path, path.stat().st_mtime_ns) if path.exists() else None,
                changes=changelogs.get((f"{api.tier}-{api.name}", version)),
            )
    return Shelf(
        editions=editions,
        plans=read_facts(gateway_dir / "plans.yaml", PlanBook).plans,
        events=_spec(events, events.stat().st_mtime_ns),
        event_changes=changelogs.get((_EVENTS, "v1")),
        declared={
            (tier, one.method, path_shape(one.path)): one
            for tier in _TIERS
            for one in load_documents(gateway_dir, tier).operations()
        },
    )


@lru_cache(maxsize=128)
def _spec(path: Path, _changed_at: int) -> Spec:
    return read_spec(path)


@lru_cache(maxsize=4)
def _changelog(openapi_dir: Path, _changed_at: int) -> tuple[ApiChangelog, ...]:
    return read_changelog(openapi_dir)
