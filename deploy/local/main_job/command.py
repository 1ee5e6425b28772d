"""`throughline demo` and `throughline load`: the main job, reported, in a house of its own or in the one that is up."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import httpx
from rich.console import Console

from deploy.local import postgres
from deploy.local.choice import Choice
from deploy.local.failures import JobFailed
from deploy.local.firm import Firm
from deploy.local.installation import Installation
from deploy.local.main_job.effort import EffortWatch
from deploy.local.main_job.job import AFTER_FIXES, FIRST_RUN, AlreadyLoaded, MainJob
from deploy.local.main_job.progress import Display, Silent, display_for
from deploy.local.main_job.vendors import VENDOR_TROUBLE
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import Processes, StartFailed
from deploy.local.report import DemoReport
from deploy.local.supervisor import ALL, House

_ELSEWHERE = "For an empty house: `throughline down`, then `throughline up --state <new folder>` and load there"


def run_demo(
    firm: Firm, places: Places, ports: Ports, console: Console, *, choice: Choice | None = None, as_json: bool
) -> DemoReport:
    """Run the main job on a house of its own and leave nothing running; the report is written and shown."""
    began = time.monotonic()
    places = replace(places, data="demo")
    forget_former_runs(places)
    house = House(places, ports, choice=choice)
    report = _report(firm, house.installation)
    display = display_for(console, is_quiet=as_json)
    with house, _logs_named(places):
        report.seconds["start"] = time.monotonic() - began
        _work(firm, house.installation, house.processes, display, report)
    report.seconds["everything"] = time.monotonic() - began
    _tell(report, places, console, as_json=as_json)
    return report


def run_load(firm: Firm, places: Places, console: Console, *, as_json: bool) -> DemoReport:
    """Run the main job in the house that `throughline up` started, and leave it running. Raises JobFailed."""
    began = time.monotonic()
    processes = Processes(places.pids, places.logs, die_with_us=False)
    _refuse_stopped(places, processes)
    ports, choice = _running(places)
    choice.refuse_strangers(firm.legal_entities())
    installation = Installation.of(places, ports, choice)
    report = _report(firm, installation)
    asyncio.run(_refuse_loaded(firm, installation))
    with _logs_named(places):
        shutil.rmtree(places.report_dir, ignore_errors=True)
        _work(firm, installation, processes, display_for(console, is_quiet=as_json), report)
        customer = asyncio.run(_portal_opened(firm, installation))
    report.seconds["everything"] = time.monotonic() - began
    _tell(report, places, console, as_json=as_json)
    if customer and not as_json:
        console.print(f"Carla, who logs in for a customer, sees {customer}.", highlight=False)
    return report


async def _portal_opened(firm: Firm, installation: Installation) -> str | None:
    job = MainJob(firm, installation, Silent())
    try:
        return await job.open_portal()
    except httpx.HTTPError as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
    finally:
        await job.aclose()


def _refuse_stopped(places: Places, processes: Processes) -> None:
    stopped = [name for name in ALL if not processes.find(name)] if places.pids.exists() else list(ALL)
    if len(stopped) == len(ALL):
        raise JobFailed(f"nothing is running in {places.root}; `throughline up` starts everything")
    if stopped:
        raise JobFailed(
            f"not running: {', '.join(stopped)}; `throughline down`, then `throughline up` starts it afresh"
        )


def _report(firm: Firm, installation: Installation) -> DemoReport:
    document = installation.run_document()
    return DemoReport(str(firm.folder), document["urls"], installation.places.report_dir, document["systems"])


def _running(places: Places) -> tuple[Ports, Choice]:
    """Ports and systems that the running house wrote down. Raises JobFailed."""
    try:
        document = json.loads(places.run_file.read_text(encoding="utf-8"))
        return Ports(**document["ports"]), Choice.of(**document["systems"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobFailed(f"{places.run_file} does not tell ports and systems; `throughline up` writes it") from error


async def _refuse_loaded(firm: Firm, installation: Installation) -> None:
    job = MainJob(firm, installation, Silent())
    try:
        await job.refuse_loaded()
    except AlreadyLoaded as loaded:
        raise AlreadyLoaded(f"{loaded}. {_ELSEWHERE}") from loaded
    except httpx.HTTPError as error:
        raise JobFailed(f"{type(error).__name__}: {error}") from error
    finally:
        await job.aclose()


def _work(firm: Firm, installation: Installation, processes: Processes, display: Display, report: DemoReport) -> None:
    """The main job, watched."""
    with display, EffortWatch(processes, ALL) as watch:
        asyncio.run(_phases(firm, installation, display, report))
    report.peak_total_mib, report.peak_mib = watch.peak_total_mib, watch.peak_mib
    report.cpu_seconds = watch.cpu_seconds


def _tell(report: DemoReport, places: Places, console: Console, *, as_json: bool) -> None:
    report.write(places.report_file)
    if not as_json:
        report.show(console, places.report_file)


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


async def _phases(firm: Firm, installation: Installation, display: Display, report: DemoReport) -> None:
    job = MainJob(firm, installation, display)
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
