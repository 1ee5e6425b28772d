"""What Kantata tells of its own objects: event schemas, a row as it comes, and the account's custom fields."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.errors.taxonomy import NotFound, ScopeMissing, VendorRejected
from system_apis.connectors.kantata.client import KantataWire
from system_apis.connectors.kantata.payloads import CUSTOM, Choice, CustomField, EventTypes
from system_apis.ports.schema import FieldFacts

#: collection → the word its event types begin with, and what brings its foreign keys out of a row
_OBJECTS = {
    "workspaces": ("workspace", ""),
    "stories": ("story", "workspace,parent"),
    "time_entries": ("time_entry", "story,role"),
    "expenses": ("expense", "workspace,user,active_submission"),
    "billing_milestones": ("billing_milestone", "workspace,story"),
    "invoices": ("invoice", "workspaces"),
    "users": ("user", "role"),
}
_HIDDEN = {
    "workspaces": {"archived": "include"},
    "stories": {"all_on_account": True},
    "time_entries": {"from_archived_workspaces": True},
    "expenses": {"from_archived_workspaces": True},
    "users": {"on_my_account": True},
}
_WITH_CUSTOMS = {"workspaces": "Workspace", "stories": "Story", "users": "User"}


async def described(wire: KantataWire, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """Fields of the collections, as far as the account tells them.

    The vendor has no metadata of its own for them. Event schemas come with the events add-on; a row shows its members;
    an account that has neither for a collection tells nothing of it.
    """
    known = [name for name in objects if name in _OBJECTS]
    schemas, rows, noted = await asyncio.gather(
        _schemas(wire),
        asyncio.gather(*(_row(wire, name) for name in known)),
        asyncio.gather(*(_customs(wire, name) for name in known)),
    )
    found: dict[str, list[FieldFacts]] = {}
    for name, row, customs in zip(known, rows, noted, strict=True):
        fields = {**row, **schemas.get(_OBJECTS[name][0], {})}
        if fields:
            found[name] = [*fields.values(), *customs.values()]
    return found


async def _schemas(wire: KantataWire) -> dict[str, dict[str, FieldFacts]]:
    try:
        types = await wire.ask("subscribed_events/event_types", EventTypes)
    except (ScopeMissing, NotFound, VendorRejected):  # an account without the add-on
        return {}
    fields: dict[str, dict[str, FieldFacts]] = {}
    for event, schema in types.subscribed_event_type_schemas.items():
        of = fields.setdefault(event.partition(":")[0], {})
        for name, one in schema.fields.items():
            of[name] = FieldFacts(name, one.type, one.description or "")
    return fields


async def _row(wire: KantataWire, name: str) -> dict[str, FieldFacts]:
    found = await wire.find(name, **_HIDDEN.get(name, {}), include=_OBJECTS[name][1] or None, per_page=1)
    return {key: FieldFacts(key, _kind(value)) for row in found.rows[:1] for key, value in row.items()}


async def _customs(wire: KantataWire, name: str) -> dict[str, FieldFacts]:
    if name not in _WITH_CUSTOMS:
        return {}
    found = await wire.find_all("custom_fields", subject_type=_WITH_CUSTOMS[name], include="choices")
    choices = found.side("custom_field_choices", Choice)
    facts: dict[str, FieldFacts] = {}
    for field in found.all(CustomField):
        labels = tuple(choices[number].label for number in field.choice_ids)
        path = f"{CUSTOM}.{field.name}"
        facts[path] = FieldFacts(path, field.value_type, field.name, values=labels)
    return facts


def _kind(value: object) -> str:
    """The word for a member whose type only its value tells."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, str):
        return "datetime" if _is_instant(value) else "string"
    return "" if value is None else type(value).__name__


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text
