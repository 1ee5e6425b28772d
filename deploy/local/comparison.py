"""Compares report tables with a firm's expected tables, cell by cell; amounts compare as numbers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

KEYS: dict[str, tuple[str, ...]] = {
    "projects.csv": ("opportunity_id",),
    "invoices.csv": ("opportunity_id", "month"),
    "time_states.csv": ("state",),
    "totals.csv": ("currency",),
}
_SHOWN = 10

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a phase's tables differ from what was expected."""

    rows: int
    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def summary(self) -> str:
        """At most ten differences and the count, as lines."""
        more = len(self.differences) - _SHOWN
        lines = [*self.differences[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]
        return "\n".join([*lines, f"{len(self.differences)} differences in {self.rows} expected rows"])


def compare(report: Path, expected: Path, names: Sequence[str] = tuple(KEYS)) -> Comparison:
    """Compare two folders that hold these tables; one that `expected` lacks is a difference of its own."""
    rows, differences = 0, list[str]()
    for name in names:
        key = KEYS[name]
        if not (expected / name).is_file():
            differences.append(f"{name}: the firm has no expected table of that name")
            continue
        wanted = _read(expected / name)
        rows += len(wanted)
        got = _read(report / name) if (report / name).exists() else []
        differences.extend(f"{name}: {text}" for text in differing(got, wanted, key))
    return Comparison(rows, tuple(differences))


def differing(got: Sequence[Row], wanted: Sequence[Row], key: Sequence[str]) -> list[str]:
    """One sentence per missing, unexpected, doubled row and per differing cell."""
    found: list[str] = []
    tables: list[dict[str, Row]] = []
    for rows, whose in ((got, "in the report"), (wanted, "expected")):
        table: dict[str, Row] = {}
        for row in rows:
            name = " ".join(row[column] for column in key)
            if name in table:
                found.append(f"{name}: stands twice {whose}")
            table[name] = row
        tables.append(table)
    reported, expected = tables
    found += [f"{name}: missing" for name in sorted(expected.keys() - reported.keys())]
    found += [f"{name}: not expected" for name in sorted(reported.keys() - expected.keys())]
    for name in sorted(expected.keys() & reported.keys()):
        for column, value in expected[name].items():
            given = reported[name].get(column, "")
            if _value(given) != _value(value):
                found.append(f"{name}: {column} is {given!r}, expected {value!r}")
    return found


def _value(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text.strip()


def _read(file: Path) -> list[Row]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
