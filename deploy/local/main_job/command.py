"""`throughline demo`: the house up, the main job, the report, the house down."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import httpx
from rich.console import Console

from deploy.local import postgres
from deploy.local.failures import JobFailed
from deploy.local.firm import Firm
from deploy.local.main_job.effort import EffortWatch
from deploy.local.main_job.job import AFTER_FIXES, FIRST_RUN, MainJob
from deploy.local.main_job.progress import Display, display_for
from deploy.local.main_job.vendors import VENDOR_TROUBLE
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import Processes, StartFailed
from deploy.local.report import DemoReport
from deploy.local.supervisor import ALL, House


def run_demo(firm: Firm, places: Places, ports: Ports, console: Console, *, as_json: bool) -> DemoReport:
    """Run the main job on a house of its own and leave nothing running; the report is written and shown."""
    began = time.monotonic()
    places = replace(places, data="demo")
    forget_former_runs(places)
    house = House(places, ports)
    report = DemoReport(str(firm.folder), house.installation.run_document()["urls"], places.report_dir)
    display = display_for(console, is_quiet=as_json)
    with house, _logs_named(places):
        report.seconds["start"] = time.monotonic() - began
        with display, EffortWatch(house.processes, ALL) as watch:
            asyncio.run(_phases(firm, house, display, report))
        report.peak_total_mib, report.peak_mib = watch.peak_total_mib, watch.peak_mib
        report.cpu_seconds = watch.cpu_seconds
    report.seconds["everything"] = time.monotonic() - began
    report.write(places.report_file)
    if not as_json:
        report.show(console, places.report_file)
    return report


@contextmanager
def _logs_named(places: Places) -> Generator[None]:
    """Whoever reads of a failure learns where the logs are."""
    try:
        yield
    except JobFailed as failed:
        raise JobFailed(f"{failed}\nThe logs are in {places.logs}.") from failed


def forget_former_runs(places: Places) -> None:
    """The main job starts with empty databases; what a former main job left goes, unless something still runs there."""
    processes = Processes(places.pids, places.logs, die_with_us=True)
    if running := processes.names() if places.pids.exists() else []:
        raise StartFailed(f"already running here: {', '.join(running)}; `throughline down` stops it")
    postgres.forget(places)
    for leftover in (places.nats, places.report_dir):
        shutil.rmtree(leftover, ignore_errors=True)
    places.report_file.unlink(missing_ok=True)


async def _phases(firm: Firm, house: House, display: Display, report: DemoReport) -> None:
    job = MainJob(firm, house.installation, display)
    try:
        for name, phase in ((FIRST_RUN, job.first_run), (AFTER_FIXES, job.after_fixes)):
            began = time.monotonic()
            made = await phase()
            folder = report.folder / name
            made.write(folder)
            report.phases.append(made.compared(folder, firm.expected / name if firm.expected else None))
            report.seconds[name] = time.monotonic() - began
    except (*VENDOR_TROUBLE, httpx.HTTPError) as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
    finally:
        await job.aclose()
