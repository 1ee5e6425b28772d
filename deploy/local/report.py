"""The report of the main job: tables in the firm's own format, one JSON document, and text for people."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.local.comparison import Comparison, compare
from shared.canonical.money import rounded

Row = Mapping[str, str]
COLUMNS: dict[str, tuple[str, ...]] = {
    "projects.csv": ("opportunity_id", "outcome", "findings", "approvals"),
    "invoices.csv": (
        *("opportunity_id", "month", "legal_entity", "currency", "net", "tax", "gross", "paid"),
        *("time_entries", "milestones"),
    ),
    "time_states.csv": ("state", "entries", "hours"),
    "totals.csv": ("currency", "invoices", "net", "tax", "gross", "paid"),
}
_ARTICLE = {"deal": "a", "invoice": "an"}
_SUMMED = ("net", "tax", "gross", "paid")


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """One phase as it was read back, how long its steps took, and how it compares with what was expected."""

    name: str
    tables: Mapping[str, Sequence[Row]]
    seconds: Mapping[str, float]
    comparison: Comparison | None = None
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])

    def write(self, folder: Path) -> None:
        """Write the tables."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, columns in COLUMNS.items():
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(self.tables[name])

    def compared(self, folder: Path, expected: Path | None) -> PhaseReport:
        """With the comparison of the written tables, where the firm says what it expects."""
        if expected is None or not expected.is_dir():
            return self
        return replace(self, comparison=compare(folder, expected))

    @property
    def exceptions(self) -> list[Row]:
        """The deals that wait for somebody."""
        return [row for row in self.tables["projects.csv"] if row["outcome"] == "exception"]

    def document(self) -> dict[str, Any]:
        """The phase in the JSON report."""
        deals = self.tables["projects.csv"]
        return {
            "deals": len(deals),
            "activated": sum(1 for row in deals if row["outcome"] == "activated"),
            "exceptions": [
                {"opportunity_id": row["opportunity_id"], "findings": row["findings"].split(";")}
                for row in self.exceptions
            ],
            "invoices": len(self.tables["invoices.csv"]),
            "totals": [dict(row) for row in self.tables["totals.csv"]],
            "time_states": [dict(row) for row in self.tables["time_states.csv"]],
            "seconds": {step: round(taken, 2) for step, taken in self.seconds.items()},
            "vendor_calls": {step: dict(calls) for step, calls in self.calls.items()},
            "comparison": None
            if self.comparison is None
            else {"expected_rows": self.comparison.rows, "differences": list(self.comparison.differences)},
        }


@dataclass(slots=True)
class DemoReport:
    """The whole run."""

    firm: str
    urls: Mapping[str, str]
    folder: Path
    systems: Mapping[str, str] = field(default_factory=dict[str, str])
    phases: list[PhaseReport] = field(default_factory=list[PhaseReport])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    peak_total_mib: int = 0
    peak_mib: dict[str, int] = field(default_factory=dict[str, int])
    cpu_seconds: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def is_as_expected(self) -> bool | None:
        """Whether no phase differs from what the firm expects; None where it expects nothing."""
        return as_expected(self.phases)

    @property
    def calls_each(self) -> dict[str, dict[str, float]]:
        """What one thing cost in calls to each vendor, over the whole run; listening to changes is in it.

        A deal: from won to active. An invoice: reading its work, posting it, telling PSA and CRM.
        """
        last = self.phases[-1].document() if self.phases else {}
        counts = {"deal": ("deals", last.get("activated", 0)), "invoice": ("billing", last.get("invoices", 0))}
        return {
            what: {
                name: round(sum(phase.calls.get(step, {}).get(name, 0) for phase in self.phases) / count, 1)
                for name in sorted({name for phase in self.phases for name in phase.calls.get(step, {})})
            }
            for what, (step, count) in counts.items()
            if count
        }

    @property
    def document(self) -> dict[str, Any]:
        """The JSON report."""
        return {
            "firm": self.firm,
            "systems": dict(self.systems),
            "as_expected": self.is_as_expected,
            "phases": {phase.name: phase.document() for phase in self.phases},
            "seconds": {step: round(taken, 2) for step, taken in self.seconds.items()},
            "peak_memory_mib": {"together": self.peak_total_mib, **self.peak_mib},
            "cpu_seconds": self.cpu_seconds,
            "vendor_calls_each": self.calls_each,
            "urls": dict(self.urls),
            "tables": str(self.folder),
        }

    def write(self, file: Path) -> None:
        """Write the JSON report."""
        file.write_text(json.dumps(self.document, indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console, file: Path) -> None:
        """The report for people."""
        if self.systems:
            console.print(
                "Systems: " + ", ".join(f"{role.upper()} {name}" for role, name in self.systems.items()),
                highlight=False,
            )
        for phase in self.phases:
            _show_phase(phase, console)
        steps = ", ".join(f"{step} {taken:.1f} s" for step, taken in self.seconds.items())
        console.rule("How long, how much")
        console.print(f"Times: {steps}", highlight=False)
        each = (f"{_ARTICLE[what]} {what}: {_named(calls)}" for what, calls in self.calls_each.items())
        if told := "; ".join(each):
            console.print(f"Calls to vendors for {told}", highlight=False)
        members = ", ".join(f"{name} {size}" for name, size in self.peak_mib.items())
        console.print(f"Peak memory: {self.peak_total_mib} MiB together ({members})", highlight=False)
        spent = ", ".join(f"{name} {taken:.0f} s" for name, taken in self.cpu_seconds.items())
        console.print(f"Processor time: {sum(self.cpu_seconds.values()):.0f} s ({spent})", highlight=False)
        console.print("Addresses while it ran: " + ", ".join(f"{k} {v}" for k, v in self.urls.items()), highlight=False)
        console.print(f"Tables: {self.folder}\nReport: {file}", highlight=False)


def as_expected(phases: Sequence[PhaseReport]) -> bool | None:
    """Whether no phase differs from what was expected of it; None where nothing was."""
    compared = [phase.comparison for phase in phases if phase.comparison is not None]
    return all(comparison.is_equal for comparison in compared) if compared else None


def written(amount: Decimal, currency: str) -> str:
    """The amount with the currency's digits, `100.10` or `100`; with all it has, where it is finer than that."""
    shown = rounded(amount, currency)
    return format(shown if shown == amount else amount, "f")


def totals(invoices: Sequence[Row]) -> list[dict[str, str]]:
    """Sums per currency of an invoice table."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in invoices:
        of_currency = sums.setdefault(row["currency"], dict.fromkeys(("invoices", *_SUMMED), Decimal(0)))
        of_currency["invoices"] += 1
        for column in _SUMMED:
            of_currency[column] += Decimal(row[column])
    return [
        {
            "currency": currency,
            "invoices": str(values["invoices"]),
            **{column: written(values[column], currency) for column in _SUMMED},
        }
        for currency, values in sorted(sums.items())
    ]


def _show_phase(phase: PhaseReport, console: Console) -> None:
    document = phase.document()
    console.rule(phase.name.replace("_", " ").capitalize())
    deals = f"{document['deals']} deals won: {document['activated']} activated, {len(phase.exceptions)} exceptions"
    console.print(f"{deals}; {document['invoices']} invoices", highlight=False)
    sums = Table("currency", box=None)
    for column in COLUMNS["totals.csv"][1:]:
        sums.add_column(column, justify="right")
    for row in phase.tables["totals.csv"]:
        sums.add_row(row["currency"], *(f"{Decimal(row[column]):,f}" for column in COLUMNS["totals.csv"][1:]))
    console.print(sums)
    hours = "; ".join(f"{row['state']} {row['hours']} h ({row['entries']})" for row in phase.tables["time_states.csv"])
    console.print(f"Time of activated deals: {hours}", highlight=False)
    _show_exceptions(phase, console)
    if phase.calls:
        console.print(f"Calls to vendors: {_calls(phase)}", highlight=False)
    console.print(
        "Took: " + ", ".join(f"{step} {taken:.1f} s" for step, taken in phase.seconds.items()), highlight=False
    )
    if phase.comparison is None:
        console.print("No expected tables to compare with.")
    elif phase.comparison.is_equal:
        console.print(f"Equal to the expected tables, to the cent ({phase.comparison.rows} rows).", style="green")
    else:
        console.print("DIFFERS from the expected tables:", style="red")
        console.print(phase.comparison.summary(), markup=False, highlight=False)


def _named(calls: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:g}" for name, count in calls.items())


def _calls(phase: PhaseReport) -> str:
    """What each vendor was asked in each step; steps that asked nothing are left out."""
    told = {
        step: ", ".join(f"{name} {count}" for name, count in calls.items() if count)
        for step, calls in phase.calls.items()
    }
    return "; ".join(f"{step}: {counts}" for step, counts in told.items() if counts)


def _show_exceptions(phase: PhaseReport, console: Console) -> None:
    reasons: dict[str, list[str]] = {}
    for row in phase.exceptions:
        reasons.setdefault(row["findings"], []).append(row["opportunity_id"])
    shown = 4
    for findings, deals in sorted(reasons.items(), key=lambda reason: -len(reason[1])):
        more = f" and {len(deals) - shown} more" if len(deals) > shown else ""
        listed = f"{', '.join(deals[:shown])}{more}"
        console.print(f"  waits: {findings.replace(';', ' + ')} ({len(deals)}): {listed}", highlight=False)
