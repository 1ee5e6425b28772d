"""The parts of the README that are made from facts in the repository: the table of connectors."""

from __future__ import annotations

from pathlib import Path

from system_apis.manifest import load_manifest
from system_apis.scorecard import Scorecard, load_scorecard

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- connectors -->", "<!-- /connectors -->"


def connector_table(root: Path = ROOT) -> str:
    """A row per connector: what it plays, how it gets in, how changes arrive, and its conformance score."""
    rows = [
        "| connector | plays | wire | gets in by | changes arrive by | conformance |",
        "|---|---|---|---|---|---|",
    ]
    for folder in sorted(path.parent for path in (root / "system_apis/connectors").glob("*/manifest.yaml")):
        manifest = load_manifest(folder)
        arrive = "signed webhook, poll" if (folder / "webhooks.py").exists() else "poll"
        link = f"[{manifest.name}]({folder.relative_to(root).as_posix()}/NOTES.md)"
        roles = ", ".join(role.upper() for role in manifest.plays)
        cells = (link, roles, manifest.wire.version, manifest.auth.flow, arrive, _told(load_scorecard(folder)))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _told(card: Scorecard) -> str:
    """`12 of 14 rules on the simulator, 2 exempt`; a rule verified on a real account says so."""
    parts = [f"{card.done} of {len(card.rules)} rules shown on the simulator"]
    parts += [f"{card.verified} on a real account"] if card.verified else []
    parts += [f"{len(card.exempt)} exempt"] if card.exempt else []
    return ", ".join(parts)


def renewed(text: str, table: str) -> str:
    """The README's text with the table between its marks brought up to date."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"
