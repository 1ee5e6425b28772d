"""Measures the main job on a firm: deals, entries and invoices per second, and what the processes take."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from deploy.local import postgres
from deploy.local.failures import JobFailed
from deploy.local.firm import Firm
from deploy.local.main_job.effort import EffortWatch
from deploy.local.main_job.job import AFTER_FIXES, FIRST_RUN, MainJob
from deploy.local.main_job.progress import Display
from deploy.local.main_job.vendors import VENDOR_TROUBLE
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import StartFailed
from deploy.local.report import PhaseReport, as_expected
from deploy.local.supervisor import ALL, House

READ, DEALS, WORK, INVOICES = "records read", "deals settled", "work collected", "invoices posted, PSA and CRM told"
_REMARKS = """\
deals: from the moment the CRM begins to close them (first run) or the first fix (after fixes) until the last one that
activates; validation, approvals by two people and the writes into CRM, PSA and ERP are in it.
entries: time entries that are new in the ledger, from the start of the billing run until its last row was read;
rows_read counts milestones and entries read again too.
invoices: from the drafts until the last one is approved, posted in the ERP, and told to PSA and CRM.
The job looks between five times a second and once a second; the seconds are that exact. Memory is looked at every 2 s.
""".splitlines()


@dataclass(slots=True)
class Mark:
    """When something was shown: first, when its count last grew, when anything about it last changed, last."""

    began: float
    grew: float
    changed: float
    ended: float
    done: int
    note: str


class Marks:
    """A display that notes when things happen and passes them on to another."""

    def __init__(self, shown: Display, now: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._now = now
        self.began = now()
        self.of: dict[str, Mark] = {}

    def begin(self, heading: str) -> None:
        """A new phase: marks begin anew."""
        self.began = self._now()
        self.of.clear()
        self._shown.begin(heading)

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """Note it."""
        now = self._now()
        mark = self.of.get(what)
        if mark is None:
            self.of[what] = Mark(now, now, now, now, done, note)
        else:
            if done > mark.done:
                mark.grew = now
            if (done, note) != (mark.done, mark.note):
                mark.changed = now
            mark.done, mark.note, mark.ended = done, note, now
        self._shown.show(what, done, total, note)

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._shown.__exit__(*how)


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one phase got done, and in how long."""

    deals: int
    deal_seconds: float
    entries: int
    rows_read: int
    entry_seconds: float
    invoices: int
    invoice_seconds: float

    @classmethod
    def of(cls, made: PhaseReport, marks: Marks, before: PhaseReport | None) -> Throughput:
        """Of a phase that has just ended; `before` is the phase whose deals and invoices its tables repeat."""
        deals, work, invoices = marks.of[DEALS], marks.of[WORK], marks.of[INVOICES]
        won_at = marks.of[READ].ended if READ in marks.of else marks.began
        billing_began = invoices.ended - made.seconds["billing"]
        former: dict[str, Any] = before.document() if before else {"activated": 0, "invoices": 0, "time_states": []}
        document = made.document()
        return cls(
            document["activated"] - former["activated"],
            deals.changed - won_at,
            _entries(document) - _entries(former),
            work.done,
            work.grew - billing_began,
            document["invoices"] - former["invoices"],
            invoices.changed - work.ended,
        )

    def __add__(self, other: Throughput) -> Throughput:
        return Throughput(
            self.deals + other.deals,
            self.deal_seconds + other.deal_seconds,
            self.entries + other.entries,
            self.rows_read + other.rows_read,
            self.entry_seconds + other.entry_seconds,
            self.invoices + other.invoices,
            self.invoice_seconds + other.invoice_seconds,
        )

    def document(self) -> dict[str, Any]:
        """Counts, seconds and their quotients."""
        return {
            "deals_activated": _rate(self.deals, self.deal_seconds),
            "entries_collected": _rate(self.entries, self.entry_seconds) | {"rows_read": self.rows_read},
            "invoices_posted": _rate(self.invoices, self.invoice_seconds),
        }


def _entries(document: dict[str, Any]) -> int:
    return sum(int(row["entries"]) for row in document["time_states"])


def _rate(count: int, seconds: float) -> dict[str, Any]:
    return {
        "count": count,
        "seconds": round(seconds, 2),
        "per_second": round(count / seconds, 1) if count and seconds > 0 else None,
    }


def run(firm: Firm, display: Display, *, at_most: float) -> dict[str, Any]:
    """Run the main job on a house of its own, on free ports and with a state directory that goes when all went well.

    Raises: JobFailed, StartFailed, PortProblem.
    """
    began = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    places = Places(root)
    phases: list[PhaseReport] = []
    throughput: list[Throughput] = []
    marks = Marks(display)
    try:
        with House(places, Ports.free()) as house:
            started = time.monotonic() - began
            with marks, EffortWatch(house.processes, ALL) as watch:
                asyncio.run(
                    _phases(MainJob(firm, house.installation, marks), marks, at_most - started, phases, throughput)
                )
    except (JobFailed, httpx.HTTPError, *VENDOR_TROUBLE) as failed:
        raise JobFailed(f"{str(failed) or type(failed).__name__}\nThe logs are in {places.logs}.") from failed
    except (KeyboardInterrupt, StartFailed):
        shutil.rmtree(root, ignore_errors=True)
        raise
    finally:
        postgres.forget(places)
    compared = [
        phase.compared(_written(phase, root), firm.expected / phase.name if firm.expected else None) for phase in phases
    ]
    shutil.rmtree(root, ignore_errors=True)
    whole = throughput[0] + throughput[1]
    return {
        "name": firm.folder.name,
        "as_expected": as_expected(compared),
        **whole.document(),
        "phases": {
            phase.name: one.document() | {"seconds": {step: round(taken, 2) for step, taken in phase.seconds.items()}}
            for phase, one in zip(compared, throughput, strict=True)
        },
        "seconds": {"start": round(started, 2), "main_job": round(sum(sum(p.seconds.values()) for p in phases), 2)},
        "peak_memory_mib": {"together": watch.peak_total_mib, **watch.peak_mib},
        "cpu_seconds": watch.cpu_seconds,
        "remarks": _REMARKS,
    }


def _written(phase: PhaseReport, root: Path) -> Path:
    folder = root / phase.name
    phase.write(folder)
    return folder


async def _phases(
    job: MainJob, marks: Marks, at_most: float, phases: list[PhaseReport], throughput: list[Throughput]
) -> None:
    try:
        async with asyncio.timeout(at_most):
            for name, phase in ((FIRST_RUN, job.first_run), (AFTER_FIXES, job.after_fixes)):
                made = await phase()
                if made.name != name:
                    raise JobFailed(f"the main job reports {made.name} where {name} was due")
                throughput.append(Throughput.of(made, marks, phases[-1] if phases else None))
                phases.append(made)
    except TimeoutError as error:
        raise JobFailed(f"the main job was not through after {at_most:.0f} s") from error
    finally:
        await job.aclose()
