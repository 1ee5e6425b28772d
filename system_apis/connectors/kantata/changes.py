"""What changed in the account: hints for the poll, and pages of a walk that tell no unchanged record again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, TypeVar

from shared.canonical.references import Entity, Page
from system_apis.connectors.kantata.client import Fed, KantataWire
from system_apis.connectors.kantata.mapping import instant
from system_apis.connectors.kantata.payloads import Changed
from system_apis.ports.changes import ChangedEntity, ChangeHint

_HINTS = 200
_NEWEST = "updated_at:desc"
_REMEMBERED = 100_000
_SECOND = timedelta(seconds=1)
Entry = TypeVar("Entry", bound=Entity)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The version each record was told in by a page, and the name of the page before."""

    before: str | None
    versions: Mapping[str, str]

    @property
    def size(self) -> int:
        """An empty page takes room too."""
        return len(self.versions) + 1


class Told:
    """What the pages of each walk told, so that a later page of the walk leaves an unchanged record out.

    A page is kept under a name that only its own next cursor carries. Pages that led to the cursor asked with were
    received, and count; an answer that was lost on its way did not, and its records are told again. So are those of
    pages forgotten since, or told by another process: a record may come twice, and none is lost.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        """`remembered` records are kept at most; the oldest pages go first."""
        self._room = remembered
        self._leaves: dict[str, _Leaf] = {}

    def page(self, items: Sequence[Entry], fed: Fed) -> Page[Entry]:
        """Oldest change first; what changed from beside stands where that change does."""
        before = fed.position.told
        leaves = list(self._led_to(before))
        fresh = [item for item in items if _last_told(item.id, leaves) != item.source.version]
        fresh.sort(key=lambda item: str(item.source.modified_at))
        if fed.onward is None:
            return Page(items=tuple(fresh), next_cursor=None)
        name = token_hex(8)
        self._keep(name, _Leaf(before, {item.id: item.source.version for item in fresh}))
        return Page(items=tuple(fresh), next_cursor=replace(fed.onward, told=name).packed())

    def _led_to(self, name: str | None) -> Iterator[_Leaf]:
        """The page that gave out the cursor, the one before it, and so on."""
        while name is not None and (leaf := self._leaves.get(name)):
            yield leaf
            name = leaf.before

    def _keep(self, name: str, leaf: _Leaf) -> None:
        self._leaves[name] = leaf
        self._room -= leaf.size
        while self._room < 0:
            self._room += self._leaves.pop(next(iter(self._leaves))).size


def _last_told(number: str, leaves: Sequence[_Leaf]) -> str | None:
    """The version the record was last told in: one that went back to an earlier version has changed."""
    return next((leaf.versions[number] for leaf in leaves if number in leaf.versions), None)


_Asked = tuple[ChangedEntity, str, Mapping[str, Any]]
_VALUES: _Asked = ("milestone", "custom_field_values", {"subject_type": "Story", "order": _NEWEST})
_KINDS: tuple[_Asked, ...] = (
    ("time", "time_entries", {"from_archived_workspaces": True, "order": _NEWEST}),
    ("time", "timesheet_submissions", {}),  # the vendor orders them by their dates only
    ("expense", "expenses", {"from_archived_workspaces": True, "order": _NEWEST}),
    ("expense", "expense_report_submissions", {}),
    ("milestone", "stories", {"all_on_account": True, "story_type": "milestone", "order": _NEWEST}),
    _VALUES,
)


async def list_hints(wire: KantataWire, since: datetime | None) -> Sequence[ChangeHint]:
    """The newest changes of each kind of work."""
    return await _listed(wire, _KINDS, since)


async def hints_of_values(wire: KantataWire, since: datetime | None) -> Sequence[ChangeHint]:
    """The newest changes of custom fields of stories: no event tells of them."""
    return await _listed(wire, [_VALUES], since)


async def _listed(wire: KantataWire, kinds: Sequence[_Asked], since: datetime | None) -> list[ChangeHint]:
    after = since - _SECOND if since else None  # stamps are whole seconds, and `updated_after` may leave its own out

    async def asked(entity: ChangedEntity, name: str, params: Mapping[str, Any]) -> list[ChangeHint]:
        found = await wire.find(name, **params, updated_after=after, per_page=_HINTS)
        return [
            ChangeHint(entity, one.id, f"{name}:{one.id}:{instant(one.updated_at)}", one.updated_at.astimezone(UTC))
            for one in found.all(Changed)
        ]

    hints = [hint for group in await asyncio.gather(*(asked(*kind) for kind in kinds)) for hint in group]
    return sorted(hints, key=lambda hint: (hint.occurred_at or datetime.min.replace(tzinfo=UTC), hint.key))
