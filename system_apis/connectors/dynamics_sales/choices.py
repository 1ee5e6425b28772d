"""Option sets in our words and back: the standard value tables of `fields.yaml`, a tenant's own ones beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors.taxonomy import FieldFinding, MappingMissing
from system_apis.connectors.dynamics_sales.payloads import FORMATTED
from system_apis.fields import EntityFields, FieldMap, FieldPlace, load_fields

Json = dict[str, Any]


class Choices:
    """Rows and bodies between the environment's values and ours; moved fields are the field map's own business."""

    def __init__(self, system: str, folder: Path, fields: FieldMap) -> None:
        self._system = system
        self._fields = fields
        self._standard = load_fields(folder)

    def read(self, entity: str, row: Mapping[str, Any], *, shown_by_label: tuple[str, ...] = ()) -> Json:
        """A row as it came, in standard places and our words. Raises VendorDrift, MappingMissing.

        `shown_by_label`: canonical fields whose text for people counts, unless a tenant's table says what values mean.
        """
        fields = self._fields[entity]
        labelled: Json = dict(row)
        for name in shown_by_label:
            place = fields.places[name]
            if not place.values and (text := row.get(f"{place.path}@{FORMATTED}")) is not None:
                labelled[place.path] = text
        taken = fields.take(labelled)
        for name, place in self._unmoved(entity, fields).items():
            value = taken.get(place.path)
            if value is not None:
                taken[place.path] = self._ours(entity, name, place, value)
        return taken

    def write(self, entity: str, values: Mapping[str, Any]) -> Json:
        """A body in our words as the environment wants it. Raises MappingMissing."""
        fields = self._fields[entity]
        body: Json = dict(values)
        for place in self._unmoved(entity, fields).values():
            if body.get(place.path) is not None:
                body[place.path] = next(theirs for theirs, ours in place.values.items() if ours == body[place.path])
        given = fields.give(body)
        for place in fields.places.values():
            value = given.get(place.path)
            if place.values and isinstance(value, str) and value.isdigit():
                given[place.path] = int(value)
        return given

    def _unmoved(self, entity: str, fields: EntityFields) -> dict[str, FieldPlace]:
        standard = self._standard[entity].places
        return {name: place for name, place in fields.places.items() if place.values and place == standard[name]}

    def _ours(self, entity: str, name: str, place: FieldPlace, value: Any) -> str:
        if str(value) not in place.values:
            field, reason = f"{entity}.{name}", f"{place.path} has {value!r}, which the value table lacks"
            raise MappingMissing(f"{self._system}: {field}: {reason}.", findings=[FieldFinding(field, reason)])
        return place.values[str(value)]
