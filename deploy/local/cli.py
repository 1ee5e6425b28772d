"""The command `throughline`: the embedded profile up and down, and the main job; --json everywhere."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.choice import Choice, ChoiceRefused
from deploy.local.failures import JobFailed
from deploy.local.firm import FirmRefused, read_firm
from deploy.local.journeys.command import app as journeys
from deploy.local.keys_command import app as keys
from deploy.local.places import Places
from deploy.local.policies_command import app as policies
from deploy.local.ports import PortProblem, Ports
from deploy.local.processes import Processes, StartFailed
from deploy.local.readme import ROOT, documents
from deploy.local.report import DemoReport
from deploy.local.specs_command import app as specs
from deploy.local.supervisor import ALL, House, stop_all
from deploy.local.users_command import users_app
from shared.errors.taxonomy import Misconfigured

if TYPE_CHECKING:
    from deploy.local.matrix import Cell

SAMPLE_FIRM = Path(__file__).resolve().parents[1] / "sandbox" / "firm"
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
PortBase = Annotated[int | None, typer.Option(help="Ports are base+1 … base+5 and base+10 (default 8100).")]
Crm = Annotated[str | None, typer.Option(help="The CRM of the sandbox (default salesforce).")]
Psa = Annotated[str | None, typer.Option(help="The PSA of the sandbox (default kantata).")]
Erp = Annotated[
    str | None,
    typer.Option(help="The ERP of the sandbox (default netsuite), or one per legal entity: netsuite,HC-DE=s4hana."),
]
StateDir = Annotated[Path | None, typer.Option(help="Where data, logs and keys are kept (default .throughline).")]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(users_app, name="users")
app.add_typer(specs, name="specs")
app.add_typer(keys, name="keys")
app.add_typer(journeys, name="journeys")
app.add_typer(policies, name="policies")
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def main() -> None:
    """Entry point; known failures end with a sentence and exit code 1, an interruption leaves nothing running."""
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        app()
    except (PortProblem, StartFailed, FirmRefused, JobFailed, ChoiceRefused, Misconfigured) as error:
        err.print(f"throughline: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)


def _interrupted(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _places(state: Path | None) -> Places:
    return Places(state.resolve()) if state else Places.default()


def _say(document: dict[str, Any], *, as_json: bool, text: str) -> None:
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        out.print(text, highlight=False)


@contextmanager
def _announced(*, as_json: bool) -> Generator[Callable[[str], None]]:
    """A callable that tells what is being started; quiet for --json, line by line where there is no terminal."""
    spinner = out.status("starting") if out.is_terminal and not as_json else None

    def tell(name: str) -> None:
        if spinner is not None:
            spinner.update(f"starting {name}")
        elif not as_json:
            out.print(f"starting {name}", highlight=False)

    with spinner or nullcontext():
        yield tell


@app.command()
def up(
    crm: Crm = None,
    psa: Psa = None,
    erp: Erp = None,
    state: StateDir = None,
    port_base: PortBase = None,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Start everything and keep it running."""
    choice = Choice.of(crm, psa, erp)
    house = House(_places(state), Ports.chosen(port_base), choice=choice, die_with_us=False)
    try:
        with _announced(as_json=as_json) as tell:
            house.up(tell)
    except BaseException as error:
        if not (isinstance(error, StartFailed) and "already running" in str(error)):
            house.down()
        raise
    document = house.installation.run_document()
    _say(document, as_json=as_json, text=_addresses(document, house.installation.places))


def _addresses(document: dict[str, Any], places: Places) -> str:
    lines = [f"  {name:<11} {url}" for name, url in document["urls"].items()]
    clients = ", ".join(document["clients"])
    people = [
        f"    {name:<8} {told['password']}   {', '.join(told['roles'])}" for name, told in document["people"].items()
    ]
    return "\n".join(
        [
            "Throughline is running:",
            *lines,
            f"  tokens      {document['token_endpoint']}  (clients: {clients})",
            f"  login       {document['login']}  as one of these people (first passwords):",
            *people,
            f"Addresses, demo clients and people: {places.run_file}",
            "`make load` puts the sample firm to work here (`throughline load --firm <folder>` another).",
            "`throughline down` stops it.",
        ]
    )


@app.command()
def down(state: StateDir = None, as_json: JsonFlag = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Stop what `up` started."""
    places = _places(state)
    stopped = stop_all(Processes(places.pids, places.logs, die_with_us=False)) if places.pids.exists() else []
    text = f"stopped: {', '.join(stopped)}" if stopped else "nothing was running"
    _say({"stopped": stopped}, as_json=as_json, text=text)


@app.command()
def status(state: StateDir = None, as_json: JsonFlag = False) -> None:  # noqa: FBT002 - a flag of the command line
    """What is running; exit code 3 when nothing is, 1 when only a part is."""
    places = _places(state)
    processes = Processes(places.pids, places.logs, die_with_us=False)
    found = {name: processes.find(name) for name in ALL} if places.pids.exists() else dict.fromkeys(ALL)
    document = {
        name: {"pid": process.pid, "memory_mib": round(process.memory_info().rss / 2**20)} if process else None
        for name, process in found.items()
    }
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        table = Table("process", "state", "pid", "memory", box=None)
        for name, facts in document.items():
            row = ("running", str(facts["pid"]), f"{facts['memory_mib']} MiB") if facts else ("stopped", "", "")
            table.add_row(name, *row)
        out.print(table)
    running = sum(1 for facts in document.values() if facts)
    if running < len(ALL):
        raise typer.Exit(1 if running else 3)


@app.command()
def check(
    firm: Annotated[Path | None, typer.Option(help="A folder in the sample firm's format to check too.")] = None,
    state: StateDir = None,
    port_base: PortBase = None,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Check ports, policies, connectors and, if named, a firm's files, without starting anything."""
    from deploy.local.checks import configuration_problems  # noqa: PLC0415 - loads the tiers' code; other commands need not wait

    problems = configuration_problems(_places(state), Ports.chosen(port_base))
    if firm:
        try:
            read_firm(firm)
        except FirmRefused as error:
            problems += [str(problem) for problem in error.problems]
    text = "\n".join(problems) if problems else "The configuration can be used."
    _say({"problems": problems}, as_json=as_json, text=text)
    if problems:
        raise typer.Exit(1)


@app.command()
def demo(
    firm: Annotated[Path, typer.Option(help="A folder in the sample firm's format.")] = SAMPLE_FIRM,
    crm: Crm = None,
    psa: Psa = None,
    erp: Erp = None,
    state: StateDir = None,
    port_base: PortBase = None,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Run the main job on a firm: won deals → projects → invoices → cash; then apply its fixes and run again."""
    from deploy.local.main_job.command import run_demo  # noqa: PLC0415 - loads vendors' wire clients; other commands need not wait

    read, choice, ports = read_firm(firm), Choice.of(crm, psa, erp), Ports.chosen(port_base)
    choice.refuse_strangers(read.legal_entities())
    _end(run_demo(read, _places(state), ports, out, choice=choice, as_json=as_json), as_json=as_json)


@app.command()
def matrix(
    firm: Annotated[Path, typer.Option(help="A folder in the sample firm's format.")] = SAMPLE_FIRM,
    crm: Crm = None,
    psa: Psa = None,
    erp: Erp = None,
    deals: Annotated[int, typer.Option(min=1, help="So many of the firm's deals, as various as can be.")] = 8,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Run the main job on every combination of vendors (those named are fixed) and print a table."""
    from deploy.local.matrix import combinations, run_matrix, show  # noqa: PLC0415 - loads vendors' wire clients; other commands need not wait
    from deploy.sandbox.catalog import broken  # noqa: PLC0415 - the same

    for reason in broken().values():
        err.print(f"left out: {reason}", style="red", markup=False, highlight=False)

    def tell(number: int, total: int, cell: Cell) -> None:
        if not as_json:
            named = ", ".join(cell.choice.document().values())
            out.print(f"{number}/{total} {named}: {cell.said} ({cell.seconds:.0f} s)", highlight=False)

    read, choices = read_firm(firm), list(combinations(crm, psa, erp))
    for choice in choices:
        choice.refuse_strangers(read.legal_entities())
    cells = run_matrix(read, choices, deals=deals, tell=tell)
    if as_json:
        typer.echo(json.dumps([cell.document() for cell in cells], indent=2))
    else:
        show(cells, out)
    if not all(cell.is_equal for cell in cells):
        raise typer.Exit(1)


@app.command()
def load(
    firm: Annotated[Path, typer.Option(help="A folder in the sample firm's format.")] = SAMPLE_FIRM,
    state: StateDir = None,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Put a firm to work in what `up` started, both runs of the main job, and leave it running."""
    from deploy.local.main_job.command import run_load  # noqa: PLC0415 - loads vendors' wire clients; other commands need not wait

    _end(run_load(read_firm(firm), _places(state), out, as_json=as_json), as_json=as_json)


def _end(report: DemoReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.document, indent=2))
    if report.is_as_expected is False:
        err.print("throughline: the result is not what the firm's expected/ tables say (see above)", style="red")
        raise typer.Exit(1)


@app.command()
def openapi(
    target: Annotated[Path, typer.Option(help="Folder for the documents.")] = Path("openapi"),
    is_check: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--check", help="Write nothing; fail if the documents would change.")
    ] = False,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Export the OpenAPI documents of the tiers and the AsyncAPI document of the events."""
    from deploy.local.documents import export_documents  # noqa: PLC0415 - loads the tiers' code; other commands need not wait

    changed = export_documents(target, write=not is_check)
    verb = "would change" if is_check else "written"
    text = "\n".join(f"{verb}: {file}" for file in changed) or "nothing changed"
    _say({"changed": [str(file) for file in changed]}, as_json=as_json, text=text)
    if is_check and changed:
        raise typer.Exit(1)


@app.command()
def readme(
    is_check: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--check", help="Write nothing; fail if one of them would change.")
    ] = False,
) -> None:
    """Bring the README's table of connectors and docs/conformance.md up to date."""
    wanted = documents()
    stale = {name: text for name, text in wanted.items() if _text_of(ROOT / name) != text}
    for name, text in stale.items():
        if is_check:
            err.print(f"{name} is out of date; run `throughline readme`", style="red")
        else:
            (ROOT / name).write_text(text, encoding="utf-8")
            out.print(f"written: {name}", highlight=False)
    if stale and is_check:
        raise typer.Exit(1)
    if not stale:
        out.print("nothing changed", highlight=False)


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    main()
