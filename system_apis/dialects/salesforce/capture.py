"""Change data capture: what an event of the platform says, and the records it hints at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.ports.changes import ChangedEntity, ChangeHint

_OVERFLOW: Final = "GAP_OVERFLOW"
_NO_RECORD: Final = "0" * 15
_STAMPS: Final = frozenset({"LastModifiedDate", "LastModifiedById", "SystemModstamp"})


class ChangeHeader(BaseModel):
    """What changed, when, and by whom; of the fields only the names, and those for updates only."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: str = Field(alias="entityName")
    record_ids: tuple[str, ...] = Field(alias="recordIds")
    kind: str = Field(default="", alias="changeType")
    origin: str = Field(default="", alias="changeOrigin")
    committed_ms: int = Field(alias="commitTimestamp")
    changed: tuple[str, ...] = Field(default=(), alias="changedFields")

    @property
    def committed_at(self) -> datetime:
        """When the change was committed."""
        return datetime.fromtimestamp(self.committed_ms / 1000, UTC)

    @property
    def names_records(self) -> bool:
        """Whether it says which records changed; an overflow does not, nor does a change of a field's type."""
        return self.kind != _OVERFLOW and all(is_record(ref) for ref in self.record_ids)

    def is_from(self, client: str) -> bool:
        """Whether calls of that name caused it."""
        return f"client={client}" in self.origin.split(";")


class ChangeEvent(BaseModel):
    """An event with the fields it carries."""

    model_config = ConfigDict(frozen=True, extra="allow")

    header: ChangeHeader = Field(alias="ChangeEventHeader")

    def value(self, name: str) -> str:
        """A field of the record; blank when the event does not carry it."""
        return str((self.model_extra or {}).get(name) or "")


def is_record(ref: str) -> bool:
    """A record id, and neither a wildcard nor the empty id."""
    return ref.isalnum() and not ref.startswith(_NO_RECORD)


@dataclass(frozen=True, slots=True)
class Followed:
    """An object whose events are followed.

    `parent` is the lookup that names the record an event speaks of, where that is not the row itself; `where` leaves
    out rows that are not ours. Fields in `written` are set by ourselves: an update of ours of nothing else is no news.
    """

    sobject: str
    entity: ChangedEntity
    parent: str = ""
    where: str = ""
    written: frozenset[str] = frozenset()

    def is_our_own(self, header: ChangeHeader, client: str) -> bool:
        """An update that we made ourselves; one that automation of the org added a field to is news."""
        if not self.written or header.kind != "UPDATE" or not header.is_from(client):
            return False
        return bool(header.changed) and self.written | _STAMPS >= set(header.changed)

    def named(self, event: ChangeEvent) -> str:
        """The record that the event itself names; blank: it has to be asked for, row by row."""
        if self.where or not self.parent or len(event.header.record_ids) > 1:
            return ""
        return event.value(self.parent)

    @property
    def speaks_of_itself(self) -> bool:
        """Whether its rows are the records, all of them ours."""
        return not self.parent and not self.where


async def hints_of(
    wire: SalesforceWire, followed: Mapping[str, Followed], events: Sequence[ChangeEvent], client: str
) -> list[ChangeHint]:
    """The hints of events in their order, each once; parents that an event does not name are asked for.

    `client` is the name of our own calls. Events that name no record, and those of other objects, are left out.
    """
    told = [
        (one, event)
        for event in events
        if (one := followed.get(event.header.entity)) is not None
        and event.header.names_records
        and not one.is_our_own(event.header, client)
    ]
    parents = {one.sobject: await _asked(wire, one, told) for one in dict.fromkeys(one for one, _ in told)}
    hints: dict[str, ChangeHint] = {}
    for one, event in told:
        at = event.header.committed_at
        for ref in event.header.record_ids:
            about = ref if one.speaks_of_itself else one.named(event) or parents[one.sobject].get(ref, "")
            if is_record(about):
                key = hint_key(about, at)
                hints.setdefault(f"{one.entity}/{key}", ChangeHint(one.entity, about, key, at))
    return list(hints.values())


async def _asked(wire: SalesforceWire, one: Followed, told: Sequence[tuple[Followed, ChangeEvent]]) -> dict[str, str]:
    """Row → record it belongs to, of the rows that have to be asked for; deleted ones count where all rows are ours."""
    refs = {
        ref
        for another, event in told
        if another is one and not one.speaks_of_itself and not one.named(event)
        for ref in event.header.record_ids
    }
    return await wire.parents(one.sobject, one.parent or "Id", sorted(refs), one.where) if refs else {}
