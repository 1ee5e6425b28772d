"""Which vendor field holds what: `fields.yaml` of a connector, and a tenant's own file over it.

Connectors are written against the standard paths of their `fields.yaml`. Where a tenant keeps a canonical field
elsewhere, rows are put right as they come in (`take`) and bodies as they go out (`give`), so mapping and payloads
know one spelling only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.documents import read_yaml
from shared.errors.taxonomy import FieldFinding, MappingMissing, Misconfigured, VendorDrift

Json = dict[str, Any]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _short(given: object) -> object:
    return {"path": given} if isinstance(given, str) else given


class FieldPlace(_Facts):
    """Where a canonical field stands: `path` with dots into parents, `values` vendor's value → ours.

    `custom` fields are not the vendor's own: whoever installs the connector makes them. `written` fields are those
    the connector sets. What it cannot do without is a field without default in `payloads.py`.
    """

    path: str = Field(min_length=1, max_length=300)
    values: dict[str, str] = {}
    custom: bool = False
    written: bool = False


class EntityPlace(_Facts):
    """The vendor's object that holds an entity, and its fields by canonical name.

    Rows inside a row are an entity with an object of their own (`deals.lines`). `amended`: others make its rows; what
    the connector writes are fields of a row that stands. Else every field the vendor demands must be `written`.
    """

    object: str = Field(min_length=1)
    amended: bool = False
    fields: dict[str, Annotated[FieldPlace, BeforeValidator(_short)]] = Field(min_length=1)


class Override(_Facts):
    """A tenant's own place of one canonical field."""

    path: str = Field(min_length=1, max_length=300)
    values: dict[str, str] = {}


class _Overrides(BaseModel):
    model_config = ConfigDict(frozen=True)

    entities: dict[str, dict[str, Annotated[Override, BeforeValidator(_short)]]]


class _Places(BaseModel):
    model_config = ConfigDict(frozen=True)

    entities: dict[str, EntityPlace]


class EntityFields:
    """The places of one entity for one tenant."""

    def __init__(self, system: str, entity: str, place: EntityPlace, overrides: Mapping[str, Override]) -> None:
        self.object = place.object
        self.amended = place.amended
        self.places = {
            name: field.model_copy(update={"path": own.path, "values": own.values or field.values})
            if (own := overrides.get(name))
            else field
            for name, field in place.fields.items()
        }
        self._system = system
        self._entity = entity
        self._moved = {name: (place.fields[name].path, self.places[name]) for name in overrides}
        self._columns = {place.fields[name].path: self.places[name].path for name in place.fields}

    def path(self, field: str) -> str:
        """Where a canonical field stands for this tenant."""
        return self.places[field].path

    def paths(self) -> tuple[str, ...]:
        """Every path that is to be read."""
        return tuple(dict.fromkeys(place.path for place in self.places.values()))

    def column(self, standard: str) -> str:
        """The tenant's path for a standard path; strangers stay as they are."""
        return self._columns.get(standard, standard)

    def columns(self, standard: Iterable[str]) -> tuple[str, ...]:
        """The tenant's paths for standard ones, in order."""
        return tuple(dict.fromkeys(map(self.column, standard)))

    def take(self, row: Mapping[str, Any]) -> Json:
        """A row as it came, with moved fields at their standard paths and the tenant's values made ours.

        Raises VendorDrift naming the path that is not in the row, MappingMissing for a value the table lacks.
        """
        taken: Json = dict(row)
        for name, (standard, place) in self._moved.items():
            value = self._dug(row, name, place.path)
            _plant(taken, standard, self._ours(name, place, value))
        return taken

    def give(self, values: Mapping[str, Any]) -> Json:
        """A body under standard paths as the tenant's system wants it. Raises MappingMissing."""
        if not self._moved:
            return dict(values)
        given: Json = _deep(values)
        lifted = [(name, place, _lift(given, standard)) for name, (standard, place) in self._moved.items()]
        for name, place, (found, value) in lifted:  # after all are lifted: two may have changed places
            if found:
                _plant(given, place.path, self._theirs(name, place, value))
        return given

    def _dug(self, row: Mapping[str, Any], name: str, path: str) -> Any:
        node: Any = row
        for part in path.split("."):
            if node is None:
                return None
            if not isinstance(node, Mapping) or part not in node:
                sentence = f"{self._system} answered {self._entity} without {path} ({name})."
                raise VendorDrift(sentence, findings=[FieldFinding(path, "is not in the answer")])
            node = cast("Mapping[str, Any]", node)[part]
        return node

    def _ours(self, name: str, place: FieldPlace, value: Any) -> Any:
        if not place.values or value is None or value == "":
            return value
        if str(value) not in place.values:
            raise self._unmapped(name, f"{place.path} has {value!r}, which the value table lacks")
        return place.values[str(value)]

    def _theirs(self, name: str, place: FieldPlace, value: Any) -> Any:
        if not place.values or value is None:
            return value
        theirs = [vendor for vendor, ours in place.values.items() if ours == str(value)]
        if not theirs:
            raise self._unmapped(name, f"no value of {place.path} means {value!r}")
        return theirs[0]

    def _unmapped(self, name: str, reason: str) -> MappingMissing:
        field = f"{self._entity}.{name}"
        return MappingMissing(f"{self._system}: {field}: {reason}.", findings=[FieldFinding(field, reason)])


class FieldMap:
    """All entities of a connector for one tenant."""

    def __init__(
        self, system: str, places: Mapping[str, EntityPlace], overrides: Mapping[str, Mapping[str, Override]]
    ) -> None:
        self._entities = {
            entity: EntityFields(system, entity, place, overrides.get(entity, {})) for entity, place in places.items()
        }

    def __getitem__(self, entity: str) -> EntityFields:
        """The places of an entity named in `fields.yaml`."""
        return self._entities[entity]

    def items(self) -> Iterable[tuple[str, EntityFields]]:
        """Every entity with its places."""
        return self._entities.items()

    def objects(self) -> tuple[str, ...]:
        """The vendor's objects that are used, each once."""
        return tuple(dict.fromkeys(fields.object for fields in self._entities.values()))


def load_fields(folder: Path, overrides: Path | None = None) -> FieldMap:
    """`fields.yaml` of a connector folder with a tenant's file over it. Raises Misconfigured: file, field, reason."""
    places = _read(folder / "fields.yaml", _Places, f"fields.yaml of connector {folder.name}").entities
    if overrides is None:
        return FieldMap(folder.name, places, {})
    own = _read(overrides, _Overrides, overrides.name).entities
    for entity, fields in own.items():
        if entity not in places:
            known = ", ".join(places)
            raise Misconfigured(f"{overrides.name}: {entity}: {folder.name} maps no such entity; it maps {known}")
        if strange := sorted(fields.keys() - places[entity].fields.keys()):
            known = ", ".join(sorted(places[entity].fields))
            raise Misconfigured(f"{overrides.name}: {entity}.{strange[0]}: no canonical field of it; they are {known}")
    made = FieldMap(folder.name, places, own)
    for entity, fields in own.items():
        _refuse_shared_places(overrides.name, entity, made[entity].places, fields)
    return made


def _refuse_shared_places(file: str, entity: str, places: Mapping[str, FieldPlace], moved: Iterable[str]) -> None:
    """Of two fields at one place a write keeps one; where neither is written they may share it."""
    for name in moved:
        for other, place in places.items():
            if other != name and place.path == places[name].path and (place.written or places[name].written):
                raise Misconfigured(f"{file}: {entity}.{name}: {place.path} is the place of {other} already")


_Read = _Places | _Overrides


def _read(path: Path, model: type[Any], called: str) -> Any:
    try:
        document: Any = read_yaml(path.read_text(encoding="utf-8"))
        return model.model_validate({"entities": document})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{called}: cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        findings = [
            FieldFinding(".".join(str(part) for part in e["loc"][1:]), e["msg"])
            for e in error.errors(include_url=False, include_input=False)
        ]
        listed = "; ".join(f"{f.field}: {f.reason}" for f in findings)
        raise Misconfigured(f"{called}: {listed}", findings=findings) from None


def _deep(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(k): _deep(v) for k, v in cast("Mapping[str, Any]", node).items()}
    return node


def _plant(node: Json, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        below = node.get(part)
        node[part] = dict(cast("Json", below)) if isinstance(below, Mapping) else {}
        node = node[part]
    node[last] = value


def _lift(node: Json, path: str) -> tuple[bool, Any]:
    *parents, last = path.split(".")
    for part in parents:
        below = node.get(part)
        if not isinstance(below, dict):
            return False, None
        node = cast("Json", below)
    return (True, node.pop(last)) if last in node else (False, None)
