"""Custom fields of the account: values of rows by the fields' names, and the ids to write them under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from shared.errors.taxonomy import FieldFinding, MappingMissing
from system_apis.connectors.kantata.client import Found, KantataWire
from system_apis.connectors.kantata.payloads import CUSTOM, Choice, CustomField, FieldValue
from system_apis.fields import EntityFields, Json

Model = TypeVar("Model")
_BULK = 100


def _named(places: EntityFields) -> list[str]:
    return [path.removeprefix(f"{CUSTOM}.") for path in places.paths() if path.startswith(f"{CUSTOM}.")]


def included(places: EntityFields, *includes: str) -> str:
    """What is to be asked for beside the rows of an entity."""
    return ",".join((*includes, "custom_field_values") if _named(places) else includes)


def taken(found: Found, places: EntityFields, model: type[Model]) -> list[Model]:
    """The rows of a list, with every field where `fields.yaml` has it. Raises VendorDrift, MappingMissing."""
    names = _named(places)
    values: Mapping[str, FieldValue] = found.side("custom_field_values", FieldValue) if names else {}
    return found.read([places.take(_with_customs(row, names, values)) for row in found.rows], model)


def _with_customs(row: Json, names: Sequence[str], values: Mapping[str, FieldValue]) -> Json:
    if not names or "custom_field_value_ids" not in row:
        return row
    held = {(value := values[str(number)]).custom_field_name: value.told for number in row["custom_field_value_ids"]}
    return {**row, CUSTOM: {name: held.get(name) for name in names}}


async def demand(wire: KantataWire, subject: str, found: Found, places: EntityFields) -> None:
    """The account still has the custom fields of these rows. Raises MappingMissing.

    A field that is gone took its values along: where no row has one, the account is asked.
    """
    if found.rows and (names := set(_named(places))):
        held = found.side("custom_field_values", FieldValue).values()
        if untold := names - {value.custom_field_name for value in held}:
            await CustomFields(wire).known(subject, untold)


def parted(body: Json) -> tuple[Json, Json]:
    """The members of a body that the vendor takes as they are, and the custom fields by name."""
    return {name: value for name, value in body.items() if name != CUSTOM}, body.get(CUSTOM, {})


class CustomFields:
    """Writes custom fields by name; the vendor replaces a value by the next one."""

    def __init__(self, wire: KantataWire) -> None:
        self._wire = wire

    async def note(self, subject: str, values: Mapping[str, Json]) -> None:
        """Set these fields of these records (the vendor's id → name → value). Raises MappingMissing for a stranger."""
        names = {name for fields in values.values() for name in fields}
        if not names:
            return
        known = await self.known(subject, names)
        bodies = [
            {
                "subject_type": subject,
                "subject_id": number,
                "custom_field_id": known[name][0].id,
                "value": _written(*known[name], value),
            }
            for number, fields in values.items()
            for name, value in fields.items()
            if value is not None
        ]
        for first in range(0, len(bodies), _BULK):
            some = bodies[first : first + _BULK]
            await self._wire.create("custom_field_values", "custom_field_values", some, repeatable=True)

    async def known(self, subject: str, names: Iterable[str]) -> dict[str, tuple[CustomField, dict[str, str]]]:
        """The custom fields of such records by name, each with its choices. Raises MappingMissing for a stranger."""
        found = await self._wire.find_all("custom_fields", subject_type=subject, include="choices")
        choices = found.side("custom_field_choices", Choice)
        fields = {
            field.name: (field, {choices[number].label: number for number in field.choice_ids})
            for field in found.all(CustomField)
        }
        if strange := sorted(set(names) - fields.keys()):
            finding = FieldFinding(f"{CUSTOM}.{strange[0]}", "is no custom field of the account")
            raise MappingMissing(f"{self._wire.vendor} has no custom field {strange[0]!r}.", findings=[finding])
        return fields


def _written(field: CustomField, choices: Mapping[str, str], value: Any) -> Any:
    if not choices:
        return value
    if str(value) not in choices:
        finding = FieldFinding(f"{CUSTOM}.{field.name}", f"has no choice {value!r}")
        raise MappingMissing(f"Custom field {field.name!r} has no choice {value!r}.", findings=[finding])
    return [int(choices[str(value)])]
