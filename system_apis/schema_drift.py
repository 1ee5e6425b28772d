"""Where a mapping no longer fits what the vendor says of its objects; pure, asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from system_apis.fields import EntityFields, FieldMap, FieldPlace
from system_apis.ports.schema import FieldFacts

Described = Mapping[str, Sequence[FieldFacts]]
Kinds = Mapping[str, Mapping[str, str]]
"""Object → field → the vendor's word for its type, as it was seen before."""


class DriftKind(StrEnum):
    """What does not fit."""

    OBJECT_MISSING = "object_missing"
    FIELD_MISSING = "field_missing"
    FIELD_RENAMED = "field_renamed"
    NEWLY_REQUIRED = "field_newly_required"
    READ_ONLY = "field_read_only"
    TYPE_CHANGED = "field_type_changed"
    VALUE_UNMAPPED = "value_unmapped"


BLOCKING: Final = frozenset(
    {
        DriftKind.OBJECT_MISSING,
        DriftKind.FIELD_MISSING,
        DriftKind.FIELD_RENAMED,
        DriftKind.NEWLY_REQUIRED,
        DriftKind.READ_ONLY,
    }
)
"""Kinds with which a record cannot be read or written until somebody mends it; others are only shown."""
_GONE: Final = frozenset({DriftKind.FIELD_MISSING, DriftKind.FIELD_RENAMED})


@dataclass(frozen=True, slots=True, order=True)
class DriftFinding:
    """One thing that does not fit: entity, canonical field (or the vendor's, where it is none of ours), and why."""

    entity: str
    field: str
    kind: DriftKind
    reason: str


def drift_findings(fields: FieldMap, told: Described, before: Kinds) -> tuple[DriftFinding, ...]:
    """Everything that stands between the mapping and the vendor's present schema, sorted."""
    found: set[DriftFinding] = set()
    for entity, places in fields.items():
        if places.object not in told:
            reason = f"{places.object} is not there, or cannot be seen with our credentials"
            found.add(DriftFinding(entity, places.object, DriftKind.OBJECT_MISSING, reason))
            continue
        facts = {one.name: one for one in told[places.object]}
        for name, place in places.places.items():
            found.update(_of_field(entity, name, place, places.object, facts, before.get(places.object, {})))
    found.update(_newly_required(fields, told))
    return tuple(sorted(found))


def kinds_of(told: Described) -> dict[str, dict[str, str]]:
    """What is kept of a schema in which nothing changed, to tell later what did."""
    return {name: {one.name: one.kind for one in fields} for name, fields in told.items()}


def kinds_to_keep(
    fields: FieldMap, told: Described, before: Kinds, found: Iterable[DriftFinding]
) -> dict[str, dict[str, str]]:
    """What is kept of a schema of which `found` is told, field by field.

    A field that is gone keeps its name and kind, and as long as it does, fields that are new stay new: one of them is
    perhaps what it was renamed to. A field whose type is told as changed keeps its kind of before.
    """
    kept = kinds_of(told)
    for one in found:
        places = fields[one.entity]
        if places.object not in kept or one.field not in places.places:
            continue
        path, was, now = places.path(one.field), before.get(places.object, {}), kept[places.object]
        if one.kind in _GONE and path in was:
            kept[places.object] = {name: kind for name, kind in now.items() if name in was} | {path: was[path]}
        elif one.kind is DriftKind.TYPE_CHANGED:
            now.update({name: was[name] for name in (path, path.split(".")[0]) if name in was and name in now})
    return kept


def _of_field(
    entity: str,
    name: str,
    place: FieldPlace,
    called: str,
    facts: Mapping[str, FieldFacts],
    before: Mapping[str, str],
) -> Iterator[DriftFinding]:
    fact = facts.get(place.path) or facts.get(place.path.split(".")[0])
    if fact is None:
        yield _gone(entity, name, place.path, called, facts, before)
        return
    if place.written and not fact.is_writable:
        yield DriftFinding(entity, name, DriftKind.READ_ONLY, f"{called}.{fact.name} can no longer be written")
    known = before.get(fact.name)
    if known and fact.kind and known != fact.kind:
        yield DriftFinding(
            entity, name, DriftKind.TYPE_CHANGED, f"{called}.{fact.name} was {known} and is {fact.kind} now"
        )
    unmapped = [value for value in fact.values if value not in place.values] if place.values and fact.values else []
    if unmapped:
        listed = ", ".join(unmapped[:5])
        yield DriftFinding(
            entity, name, DriftKind.VALUE_UNMAPPED, f"{called}.{fact.name} may be {listed}, which the value table lacks"
        )


def _gone(
    entity: str, name: str, path: str, called: str, facts: Mapping[str, FieldFacts], before: Mapping[str, str]
) -> DriftFinding:
    """A field that is not there any more; of the fields that are new since, the one it may have become."""
    fresh = [field for field in facts if before and field not in before]
    alike = get_close_matches(path, fresh, n=1, cutoff=0.5) or (fresh if len(fresh) == 1 else [])
    if path in before and alike:
        reason = f"{called}.{path} is gone and {alike[0]} is new; it was perhaps renamed"
        return DriftFinding(entity, name, DriftKind.FIELD_RENAMED, reason)
    return DriftFinding(entity, name, DriftKind.FIELD_MISSING, f"{called} has no field {path}")


def _newly_required(fields: FieldMap, told: Described) -> Iterator[DriftFinding]:
    given: dict[str, set[str]] = {}
    entity_of: dict[str, str] = {}
    for entity, places in fields.items():
        written = _written(places)
        given.setdefault(places.object, set()).update(written)
        if written and not places.amended:
            entity_of.setdefault(places.object, entity)
    for called, entity in entity_of.items():
        for fact in told.get(called, ()):
            if fact.is_required and fact.is_writable and fact.name not in given[called]:
                reason = f"{called}.{fact.name} must be given for a new record, and is not mapped"
                yield DriftFinding(entity, fact.name, DriftKind.NEWLY_REQUIRED, reason)


def _written(places: EntityFields) -> set[str]:
    paths = [place.path for place in places.places.values() if place.written]
    return {*paths, *(path.split(".")[0] for path in paths)}
