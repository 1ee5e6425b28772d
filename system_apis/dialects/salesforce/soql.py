"""What is asked in SOQL: literals, select lists drawn from payload models, rows put right for a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from system_apis.fields import FieldMap

Json = dict[str, Any]


class Part(BaseModel):
    """Fields of a row, or of a parent row; without defaults, since a field that is not in the answer is drift.

    `entity` is the row's name in the connector's `fields.yaml`: its fields stand where the tenant keeps them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False)

    entity: ClassVar[str | None] = None


def soql_text(value: str) -> str:
    """The value as a SOQL string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def soql_texts(values: Sequence[str]) -> str:
    """The values as the right side of IN."""
    return f"({', '.join(map(soql_text, values))})"


def soql_instant(moment: datetime) -> str:
    """The instant as a SOQL literal, to the millisecond, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def columns(model: type[BaseModel], fields: FieldMap | None = None) -> str:
    """The SELECT list that fills a payload: its fields, its parents' fields as paths, its children as subqueries.

    Every name stands for the tenant's own place of that field.
    """
    listed: dict[str, None] = {}
    places = _places(model, fields)
    for name, child in _named(model):
        if child is None:
            listed[places.column(name) if places else name] = None
        else:
            listed[f"(SELECT {columns(child, fields)} FROM {name} ORDER BY Id)"] = None
    return ", ".join(listed)


def taken(model: type[BaseModel], row: Mapping[str, Any], fields: FieldMap) -> Json:
    """A row as it came, with everything at its standard place, children too. Raises VendorDrift, MappingMissing."""
    places = _places(model, fields)
    made: Json = dict(places.take(row)) if places else dict(row)
    for name, child in _named(model):
        result: Any = made.get(name)
        if child is not None and isinstance(result, dict):
            found = cast("Json", result)
            listed: list[Json] = found.get("records") or []
            made[name] = {**found, "records": [taken(child, one, fields) for one in listed]}
    return made


def _places(model: type[BaseModel], fields: FieldMap | None) -> Any:
    entity = getattr(model, "entity", None)
    return fields[entity] if fields is not None and entity else None


@cache
def _named(model: type[BaseModel], above: str = "") -> tuple[tuple[str, type[BaseModel] | None], ...]:
    """Paths of a payload's fields; a path to child rows comes with their payload."""
    named: list[tuple[str, type[BaseModel] | None]] = []
    for field in model.model_fields.values():
        name = above + (field.alias or "")
        inner = _model_in(field.annotation)
        if inner is None:
            named.append((name, None))
        elif "records" in inner.model_fields:
            named.append((name, _model_in(inner.model_fields["records"].annotation) or inner))
        else:
            named += _named(inner, f"{name}.")
    return tuple(named)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType, tuple}:
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
