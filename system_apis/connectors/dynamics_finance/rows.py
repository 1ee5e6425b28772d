"""Rows between their vendor's names and those of `fields.yaml`, with a tenant's own places; knows no wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.dynamics_finance.payloads import Payload
from system_apis.dialects.odata import literal
from system_apis.fields import FieldMap, load_fields

VENDOR: Final = "dynamics_finance"
NAMESPACE: Final = "Microsoft.Dynamics.DataEntities"
_FOLDER: Final = Path(__file__).parent
_SEVERITY: Final = re.compile(r"^(warning|error|info)\s*:\s*", re.IGNORECASE)
Row = TypeVar("Row", bound=Payload)
Values = Mapping[str, Any]


@cache
def _documented() -> FieldMap:
    """`fields.yaml` without a tenant's own places."""
    return load_fields(_FOLDER)


class Rows:
    """The entities of `fields.yaml` for one tenant."""

    def __init__(self, overrides: Path | None, set_names: Mapping[str, str]) -> None:
        """`set_names`: documented set → what this environment calls it."""
        standard = _documented()
        self._own = load_fields(_FOLDER, overrides) if overrides else standard
        self._standard = {
            entity: {name: place.path for name, place in fields.places.items()} for entity, fields in standard.items()
        }
        self._set_names = dict(set_names)

    def objects(self) -> tuple[str, ...]:
        """The documented sets that are used."""
        return self._own.objects()

    def set_of(self, entity: str) -> str:
        """The set that holds an entity here."""
        return self.called(self._own[entity].object)

    def called(self, name: str) -> str:
        """What this environment calls a documented set."""
        return self._set_names.get(name, name)

    def documented(self, entity: str) -> str:
        """The set's documented name."""
        return self._own[entity].object

    def column(self, entity: str, name: str) -> str:
        """Where a field of an entity stands for this tenant."""
        return self._own[entity].path(name)

    def columns(self, entity: str) -> str:
        """All fields of an entity, for `$select`."""
        return ",".join(self._own[entity].paths())

    def key(self, entity: str, values: Values) -> dict[str, Any]:
        """A key under the vendor's names."""
        return {self._standard[entity][name]: value for name, value in values.items()}

    def where(self, entity: str, equal: Values) -> str:
        """The condition that these fields have these values; a list stands for one of several."""
        parts: list[str] = []
        for name, value in equal.items():
            column = self.column(entity, name)
            values = cast("list[Any]", value) if isinstance(value, list) else [value]
            listed = " or ".join(f"{column} eq {literal(one)}" for one in values)
            parts.append(f"({listed})" if " or " in listed else listed)
        return " and ".join(parts)

    def read(self, entity: str, model: type[Row], row: Values) -> Row:
        """A row as it came, as its payload. Raises VendorDrift naming the vendor's field."""
        taken = self._own[entity].take(row)
        named: dict[str, Any] = {"etag": row.get("@odata.etag", "")}
        for name, path in self._standard[entity].items():
            if path in taken:
                named[name] = taken[path]
        try:
            return model.model_validate(named)
        except ValidationError as error:
            places = self._standard[entity]
            findings = [
                FieldFinding(places.get(str(e["loc"][0]), str(e["loc"][0])), e["msg"])
                for e in error.errors(include_url=False, include_input=False)
            ]
            listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
            sentence = f"{VENDOR} answered {self.documented(entity)} in an unexpected shape: {listed}"
            raise VendorDrift(sentence, findings=findings) from error

    def body(self, entity: str, values: Values) -> dict[str, Any]:
        """Values under the vendor's names, as the wire takes them."""
        standard = self._standard[entity]
        return self._own[entity].give({standard[name]: _outgoing(value) for name, value in values.items()})


def _outgoing(value: Any) -> Any:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, date) and not isinstance(value, datetime):
        return f"{value.isoformat()}T12:00:00Z"
    return value


def member(enumeration: str, name: str) -> str:
    """A member of an enumeration as conditions write it."""
    return f"{NAMESPACE}.{enumeration}'{name}'"


def infolog(text: str) -> str:
    """What an error text says to people: the lines after `Infolog:`, without severities and the framework's own."""
    told = text.partition("Infolog:")[2] or text
    lines = (_SEVERITY.sub("", line.strip()) for line in told.split(";"))
    kept = [line.strip().rstrip(".") for line in lines if line.strip() and "validateWrite failed" not in line]
    return "; ".join(kept) or text.strip()


def chunks(values: Iterable[str], size: int = 40) -> list[Sequence[str]]:
    """Distinct values in parts that fit into an address."""
    distinct = sorted(set(values))
    return [distinct[start : start + size] for start in range(0, len(distinct), size)]


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum."""
    return sum(amounts, Decimal(0))
