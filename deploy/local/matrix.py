"""The main job on every combination of vendors, each in a house of its own, and a table of how it went."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deploy.local.choice import Choice
from deploy.local.comparison import compare
from deploy.local.excerpt import OF_DEALS, chosen_deals, write_excerpt
from deploy.local.failures import JobFailed
from deploy.local.firm import Firm, read_firm
from deploy.local.main_job.command import run_demo
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import StartFailed
from deploy.sandbox.catalog import vendors
from deploy.sandbox.kit.vendor import Role


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: what differs from what the firm expects, or why it did not get to the end."""

    choice: Choice
    seconds: float
    differences: tuple[str, ...] = ()
    failure: str = ""
    rows: int = 0
    calls: int = 0
    peak_mib: int = 0
    calls_each: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])

    @property
    def is_equal(self) -> bool:
        """Whether it came out as expected."""
        return not self.differences and not self.failure

    @property
    def said(self) -> str:
        """How it went, in a few words."""
        if self.is_equal:
            return "equal"
        return self.failure.splitlines()[0][:100] if self.failure else f"{len(self.differences)} differences"

    def document(self) -> dict[str, Any]:
        """The cell for programs."""
        return {
            **self.choice.document(),
            "equal": self.is_equal,
            "rows": self.rows,
            "seconds": round(self.seconds, 1),
            "vendor_calls": self.calls,
            "vendor_calls_each": {what: dict(each) for what, each in self.calls_each.items()},
            "peak_mib": self.peak_mib,
            "failure": self.failure,
            "differences": list(self.differences[:20]),
        }


def players(role: Role) -> list[str]:
    """Every vendor that can play the role; a broken one cannot."""
    return [name for name, one in vendors().items() if role in one.plays]


def combinations(crm: str | None, psa: str | None, erp: str | None) -> Iterator[Choice]:
    """Every combination of what is not fixed."""
    for chosen in product(
        [crm] if crm else players("crm"), [psa] if psa else players("psa"), [erp] if erp else players("erp")
    ):
        yield Choice.of(*chosen)


def run_matrix(
    firm: Firm, choices: Sequence[Choice], *, deals: int, tell: Callable[[int, int, Cell], None]
) -> list[Cell]:
    """Run them one after the other; a combination that fails stops none of the others."""
    root = Path(tempfile.mkdtemp(prefix="throughline-matrix-"))
    root.chmod(0o755)  # PostgreSQL does not run as root: another user must be able to come in
    try:
        outcome = write_excerpt(firm, chosen_deals(firm, deals), root / "firm")
        small = read_firm(root / "firm")
        cells: list[Cell] = []
        for number, choice in enumerate(choices, 1):
            cells.append(run_cell(small, outcome, choice, root / f"house-{number}"))
            tell(number, len(choices), cells[-1])
        return cells
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run_cell(firm: Firm, outcome: Path, choice: Choice, state: Path) -> Cell:
    """One combination in a house of its own, which is gone afterwards."""
    began = time.monotonic()
    places = Places(state)
    try:
        report = run_demo(firm, places, Ports.free(), Console(quiet=True), choice=choice, as_json=True)
        compared = [compare(places.report_dir / phase.name, outcome / phase.name, OF_DEALS) for phase in report.phases]
    except (JobFailed, StartFailed, httpx.HTTPError) as failed:
        return Cell(choice, time.monotonic() - began, failure=f"{type(failed).__name__}: {failed}")
    finally:
        shutil.rmtree(state, ignore_errors=True)
    calls = sum(count for phase in report.phases for of in phase.calls.values() for count in of.values())
    return Cell(
        choice,
        time.monotonic() - began,
        tuple(difference for one in compared for difference in one.differences),
        rows=sum(one.rows for one in compared),
        calls=calls,
        peak_mib=report.peak_total_mib,
        calls_each=report.calls_each,
    )


def show(cells: Sequence[Cell], console: Console) -> None:
    """The table for people."""
    table = Table("CRM", "PSA", "ERP", "outcome", box=None)
    for column in ("rows", "seconds", "calls", "MiB"):
        table.add_column(column, justify="right")
    for cell in cells:
        told = cell.choice.document()
        figures = (str(cell.rows), f"{cell.seconds:.0f}", str(cell.calls), str(cell.peak_mib))
        table.add_row(told["crm"], told["psa"], told["erp"], cell.said, *figures)
    console.print(table)
    for cell in cells:
        if not cell.is_equal:
            listed = "\n".join(cell.differences[:10])
            named = ", ".join(cell.choice.document().values())
            console.print(f"{named}:\n{cell.failure or listed}", markup=False, highlight=False)
    equal = sum(1 for cell in cells if cell.is_equal)
    console.print(f"{equal} of {len(cells)} combinations equal to the expected tables, to the cent.", highlight=False)
