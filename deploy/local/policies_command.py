"""`throughline policies …`: whether the policy documents can be used, and what happens to one operation's requests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from deploy.local.installation import GATEWAY_DIR
from deploy.local.policies_view import checked_view, explained_view
from deploy.local.readme import ROOT
from shared.gateway.document import METHODS, DocumentRefused, GatewayDocuments, Operation, load_documents, load_registry
from shared.gateway.explain import explain as explanation_of
from shared.gateway.explain import find_operation
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.gateway.reading import read_document
from shared.gateway.registry import TIERS
from shared.gateway.risks import Risk, lifecycle_risks, risks
from shared.gateway.supplies import Supplies
from shared.gateway.switchboard import Served, Switchboard, path_shape

Folder = Annotated[Path, typer.Option("--folder", help="Folder of the policy documents.")]
Documents = Annotated[Path, typer.Option("--openapi", help="Folder of the OpenAPI documents.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
_OPENAPI_DIR = ROOT / "openapi"

app = typer.Typer(no_args_is_help=True, help=__doc__)
_out = Console()
_err = Console(stderr=True, soft_wrap=True)


@dataclass(slots=True)
class Checked:
    """What a check found; `problems` would stop a start or a reload."""

    problems: list[str] = field(default_factory=list[str])
    warnings: list[Risk] = field(default_factory=list[Risk])
    operations: dict[str, int] = field(default_factory=dict[str, int])
    apis: int = 0


@app.command()
def check(
    folder: Folder = GATEWAY_DIR,
    documents: Documents = _OPENAPI_DIR,
    is_strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,  # noqa: FBT002 - a flag of the command line
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Check all documents and the registry of all tiers, and point at risky settings and dry runs; starts nothing."""
    found = checked(folder, documents)
    if as_json:
        typer.echo(json.dumps({"usable": not found.problems, **asdict(found)}, indent=2))
    else:
        checked_view(_out, found.problems, found.warnings, found.operations, found.apis)
    if found.problems or (is_strict and found.warnings):
        raise typer.Exit(1)


@app.command()
def explain(
    operation: Annotated[str, typer.Argument(help="`GET /pmo/v1/board` (a real path will do) or an operationId.")],
    plan: Annotated[str | None, typer.Option(help="As a caller with this plan meets it.")] = None,
    tier: Annotated[str | None, typer.Option(help="Where several tiers have it: system, process, experience.")] = None,
    folder: Folder = GATEWAY_DIR,
    documents: Documents = _OPENAPI_DIR,
    is_whole: Annotated[bool, typer.Option("--all", help="Defaults too.")] = False,  # noqa: FBT002 - a flag of the command line
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Print the chain of one operation: every policy in order, its settings, and which level they come from."""
    tiers = (tier,) if tier else TIERS
    try:
        loaded = [load_documents(folder, one) for one in tiers]
    except DocumentRefused as refusal:
        _fail(refusal.lines)
    found = [(one, match) for one in loaded for match in _matches(one, operation, documents)]
    if not found:
        _fail([f"There is no operation `{operation}`. Try `GET /pmo/v1/board`, or an operationId such as getBoard."])
    if len(found) > 1:
        told = ", ".join(f"{one.tier} ({match.name})" for one, match in found)
        _fail([f"`{operation}` is served by several tiers: {told}. Choose one with --tier."])
    one, match = found[0]
    if plan is not None and plan not in one.plans:
        _fail([f"There is no plan `{plan}`; known: {', '.join(sorted(one.plans))}."])
    explained = explanation_of(one, match, plan)
    if as_json:
        typer.echo(json.dumps(explained.document(), indent=2))
    else:
        explained_view(_out, explained, with_defaults=is_whole)


def checked(folder: Path, openapi: Path) -> Checked:
    """Everything that is wrong or risky in the documents of all tiers."""
    found = Checked()
    loaded: list[GatewayDocuments] = []
    for tier in TIERS:
        try:
            documents = load_documents(folder, tier)
            _compiled(documents)
        except DocumentRefused as refusal:
            found.problems += [line for line in refusal.lines if line not in found.problems]
            continue
        loaded.append(documents)
        found.operations[tier] = len(documents.operations())
        found.apis += len(documents.apis)
        found.problems += _uncovered(documents, openapi)
        found.warnings += risks(documents)
    if len(loaded) == len(TIERS):
        found.warnings += lifecycle_risks(load_registry(folder), loaded, datetime.now(UTC))
    return found


def _compiled(documents: GatewayDocuments) -> None:
    """Compile every chain as a start would, against the routes that are declared."""

    async def no_keys() -> dict[str, Any]:
        return {"keys": []}

    supplies = Supplies(tier=documents.tier, issuer="", audience="", keys=no_keys, idempotency=MemoryIdempotencyStore())
    Switchboard(documents, supplies, [Served(one.method, one.path) for one in documents.operations()])


def _uncovered(documents: GatewayDocuments, openapi: Path) -> list[str]:
    declared = {(one.method, path_shape(one.path)) for one in documents.operations()}
    return [
        f"{file.name}: {method} {path} is documented but declared in no policy document"
        for file, method, path, _ in _documented(documents.tier, openapi)
        if (method, path_shape(path)) not in declared
    ]


def _documented(tier: str, openapi: Path) -> list[tuple[Path, str, str, str]]:
    """File, method, path and operationId of every operation in the tier's OpenAPI documents."""
    found: list[tuple[Path, str, str, str]] = []
    for file in sorted(openapi.glob(f"{tier}-*.v*.yaml")):
        document: dict[str, Any] = read_document(file)
        paths: dict[str, dict[str, Any]] = document.get("paths", {})
        for path, item in paths.items():
            found += [
                (file, method.upper(), path, str(operation["operationId"]))
                for method, operation in item.items()
                if method.upper() in METHODS
            ]
    return found


def _matches(documents: GatewayDocuments, asked: str, openapi: Path) -> list[Operation]:
    method, _, path = asked.strip().partition(" ")
    if path.startswith("/"):
        found = find_operation(documents, method.upper(), path.strip())
        return [found] if found else []
    named = [(verb, template) for _, verb, template, name in _documented(documents.tier, openapi) if name == asked]
    by_shape = {(one.method, path_shape(one.path)): one for one in documents.operations()}
    return [by_shape[key] for verb, template in named if (key := (verb, path_shape(template))) in by_shape]


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        _err.print(line, style="red", markup=False, highlight=False)
    raise typer.Exit(1)
