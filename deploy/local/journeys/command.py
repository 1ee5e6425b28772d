"""`throughline journeys …`: check journeys, or walk one in the house that is up, with tokens of its demo clients."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from deploy.local.journeys.arazzo import JourneyRefused, Workflow
from deploy.local.journeys.checking import checked, missing_inputs
from deploy.local.journeys.sources import Operation
from deploy.local.journeys.walking import JourneyFailed, Outcome, Walker
from deploy.local.places import Places

Inputs = Annotated[list[str] | None, typer.Option("--input", "-i", help="name=value, as often as needed.")]
Tokens = Annotated[
    list[str] | None,
    typer.Option("--token", "-t", help="name=client: a token of this demo client as the input; as often as needed."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
StateDir = Annotated[Path | None, typer.Option(help="Where the running house keeps its state.")]

app = typer.Typer(no_args_is_help=True, help=__doc__)
_out = Console(soft_wrap=True)


@app.command()
def check(files: list[Path], as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Whether every operation, parameter and expression of the journeys is there; exit code 1 when not."""
    lines: list[str] = []
    for file in files:
        try:
            lines += checked(file)[2]
        except JourneyRefused as refused:
            lines += refused.lines
    if as_json:
        typer.echo(json.dumps({"findings": lines}, indent=2))
    else:
        _out.print("\n".join(lines) or "The journeys can be walked.", markup=False, highlight=False)
    if lines:
        raise typer.Exit(1)


@app.command()
def run(
    file: Path,
    inputs: Inputs = None,
    tokens: Tokens = None,
    workflow: Annotated[str | None, typer.Option(help="Which one, where the document holds several.")] = None,
    state: StateDir = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Walk a journey; exit code 1 when a step does not succeed."""
    document, operations, lines = checked(file)
    if lines:
        raise JourneyRefused(lines)
    flow = next((one for one in document.workflows if workflow in {None, one.workflow_id}), None)
    if flow is None:
        raise JourneyRefused([f"{file}: there is no workflow {workflow}"])
    house = _house(state)
    outcome = asyncio.run(_walk(flow, operations, house, _pairs(inputs), _pairs(tokens)))
    if as_json:
        typer.echo(json.dumps(asdict(outcome), indent=2))
        return
    table = Table("step", "status", "attempts", "seconds", box=None)
    for step in outcome.steps:
        table.add_row(step.step, str(step.status), str(step.attempts), f"{step.seconds:.2f}")
    _out.print(table)
    for name, value in outcome.outputs.items():
        _out.print(f"{name}: {value}", markup=False, highlight=False)


async def _walk(
    flow: Workflow,
    operations: dict[str, Operation],
    house: dict[str, Any],
    inputs: dict[str, str],
    clients: dict[str, str],
) -> Outcome:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        given = inputs | {name: await _token(http, house, client) for name, client in clients.items()}
        if lines := missing_inputs(flow, given):
            raise JourneyRefused(lines)
        return await Walker(flow, operations, addresses=house["urls"], http=http).walk(given)


async def _token(http: httpx.AsyncClient, house: dict[str, Any], client: str) -> str:
    known = house["clients"]
    if client not in known:
        raise JourneyFailed(f"there is no demo client {client}; known: {', '.join(sorted(known))}")
    auth = httpx.BasicAuth(client, known[client]["client_secret"])
    answer = await http.post(house["token_endpoint"], data={"grant_type": "client_credentials"}, auth=auth)
    if not answer.is_success:
        raise JourneyFailed(f"no token for {client}: {answer.status_code} {answer.text[:300]}")
    return str(answer.json()["access_token"])


def _house(state: Path | None) -> dict[str, Any]:
    places = Places(state.resolve()) if state else Places.default()
    try:
        found: dict[str, Any] = json.loads(places.run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JourneyFailed(f"nothing runs in {places.root}; `throughline up` starts everything") from error
    return found


def _pairs(told: list[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in told or ()]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise JourneyRefused([f"`{name}` does not read as name=value" for name in wrong])
    return {name: value for name, _, value in pairs}
