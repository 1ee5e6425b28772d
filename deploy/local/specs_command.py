"""`throughline specs …`: what changed between documents, whether a release may go out, and letting it go out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from shared.serving.differences.changelog import read_changelog, written_changelog
from shared.serving.differences.changes import Change, step_of
from shared.serving.differences.documents import differences
from shared.serving.differences.reading import DocumentUnreadable, read_document
from shared.serving.differences.releases import PublishingRefused, Shelf

Folder = Annotated[Path, typer.Option("--folder", help="Folder of the documents.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
DEFAULT = Path("openapi")
CHANGELOG = "CHANGELOG.md"

app = typer.Typer(no_args_is_help=True, help=__doc__)
_out = Console(soft_wrap=True)


@app.command()
def diff(old: Path, new: Path, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Every difference between two documents; exit code 1 when it breaks callers."""
    try:
        changes = differences(read_document(old), read_document(new))
    except DocumentUnreadable as error:
        _fail([str(error)])
    step = step_of(changes)
    if as_json:
        _json({"step": step, "changes": [asdict(change) for change in changes]})
    else:
        _out.print("\n".join([*map(_line, changes), f"release step: {step}"]), markup=False, highlight=False)
    if step == "major":
        raise typer.Exit(1)


@app.command()
def check(folder: Folder = DEFAULT, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Whether every document keeps what its last release promised; exit code 1 with what stands against it."""
    try:
        findings = check_findings(folder)
    except DocumentUnreadable as error:
        findings = [str(error)]
    if as_json:
        _json({"findings": findings})
    else:
        _out.print("\n".join(findings) or "Every document keeps its promise.", markup=False, highlight=False)
    if findings:
        raise typer.Exit(1)


@app.command()
def publish(folder: Folder = DEFAULT, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Freeze the documents whose release number is new, and write the changelog; a breaking change is refused."""
    try:
        made = Shelf(folder).publish(datetime.now(UTC).date())
        text = written_changelog(read_changelog(folder))
    except PublishingRefused as refused:
        _fail(refused.lines)
    except DocumentUnreadable as error:
        _fail([str(error)])
    (folder / CHANGELOG).write_text(text, encoding="utf-8")
    names = [f"{release.name} {release.number}" for release in made]
    if as_json:
        _json({"published": names})
    else:
        told = "\n".join(f"published: {name}" for name in names)
        _out.print(told or "nothing to publish", markup=False, highlight=False)


@app.command()
def lint(
    folder: Folder = DEFAULT,
    is_list: Annotated[bool, typer.Option("--rules", help="Print the rules instead of applying them.")] = False,  # noqa: FBT002 - a flag of the command line
    as_json: AsJson = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Whether every document says what the rules of the house ask for; exit code 1 with each place that does not."""
    from deploy.openapi_rules.lint import RULES, findings_in  # noqa: PLC0415 - other commands need not wait for the rules

    if is_list:
        rules = [{"id": r.id, "of": r.kind, "severity": r.severity, "sentence": r.sentence} for r in RULES.rules]
        text = "\n".join(f"{rule['id']:<28} {rule['sentence']}" for rule in rules)
        _json({"rules": rules}) if as_json else _out.print(text, markup=False, highlight=False)
        return
    findings = findings_in(folder)
    if as_json:
        _json({"findings": [finding.as_json() for finding in findings]})
    else:
        text = "\n".join(map(str, findings)) or "No findings."
        _out.print(text, markup=False, highlight=False)
    if findings:
        raise typer.Exit(1)


def check_findings(folder: Path) -> list[str]:
    """What stands against the promise of the releases, and a changelog that tells another story.

    Raises: DocumentUnreadable.
    """
    findings = Shelf(folder).findings()
    path = folder / CHANGELOG
    told = path.read_text(encoding="utf-8") if path.exists() else ""
    if not findings and told != written_changelog(read_changelog(folder)):
        findings.append(f"{path}: is out of date; run `throughline specs publish`")
    return findings


def _line(change: Change) -> str:
    where = f"  [{', '.join(change.operations)}]" if change.operations else ""
    return f"{change.weight.value:<9}  {change.text}{where}"


def _json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2))


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    raise typer.Exit(2)
