"""Documents made from facts in the repository: the README's table of connectors, and every rule at every connector."""

from __future__ import annotations

from pathlib import Path

from system_apis.manifest import load_manifest
from system_apis.scorecard import Score, Scorecard, load_scorecard

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = "docs/conformance.md"
_CONFORMANCE = """# Conformance

Made by `throughline readme` from each connector's `conformance.yaml`; the suite is
`tests/conformance/conformance_suite.py`.
*done*: shown on the vendor's simulator (Tryton: on the real server). *verified*: seen on a real account, on that day.

{table}

## Why a rule does not apply

{reasons}
"""
BEGIN, END = "<!-- connectors -->", "<!-- /connectors -->"


def connector_table(root: Path = ROOT) -> str:
    """A row per connector: what it plays, how it gets in, how changes arrive, and its conformance score."""
    rows = [
        "| connector | plays | wire | gets in by | changes arrive by | conformance |",
        "|---|---|---|---|---|---|",
    ]
    for folder in _folders(root):
        manifest = load_manifest(folder)
        feed = any("read_feed" in verbs for verbs in manifest.can.values())
        ways = [("signed webhook", (folder / "webhooks.py").exists()), ("feed", feed), ("poll", True)]
        arrive = ", ".join(way for way, is_there in ways if is_there)
        link = f"[{manifest.name}]({folder.relative_to(root).as_posix()}/NOTES.md)"
        roles = ", ".join(role.upper() for role in manifest.plays)
        cells = (link, roles, manifest.wire.version, manifest.auth.flow, arrive, _told(load_scorecard(folder)))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def conformance_document(root: Path = ROOT) -> str:
    """`docs/conformance.md`: a row per rule, a column per connector, and why a rule does not apply somewhere."""
    cards = [load_scorecard(folder) for folder in _folders(root)]
    rules = list(dict.fromkeys(rule for card in cards for rule in card.rules))
    rows = [f"| rule | {' | '.join(card.connector for card in cards)} |", f"|---|{'---|' * len(cards)}"]
    reasons: list[str] = []
    for rule in rules:
        cells = [_mark(card.rules.get(rule)) for card in cards]
        rows.append(f"| {rule} | {' | '.join(cells)} |")
        reasons += [f"- {rule}, {card.connector}: {card.exempt[rule]}" for card in cards if rule in card.exempt]
    totals = [f"{card.done}/{len(card.rules)}" for card in cards]
    table = "\n".join([*rows, f"| **done** | {' | '.join(totals)} |"])
    return _CONFORMANCE.format(table=table, reasons="\n".join(reasons) or "None.")


def _mark(score: Score | None) -> str:
    if score is None or score.state == "drafted":
        return "drafted"
    return "exempt" if score.exempt else f"verified {score.verified}" if score.verified else "done"


def _folders(root: Path) -> list[Path]:
    return sorted(path.parent for path in (root / "system_apis/connectors").glob("*/manifest.yaml"))


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


def documents(root: Path = ROOT) -> dict[str, str]:
    """Path below the root → what the document should say."""
    text = (root / "README.md").read_text(encoding="utf-8")
    return {"README.md": renewed(text, connector_table(root)), CONFORMANCE: conformance_document(root)}
