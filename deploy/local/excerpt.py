"""A small firm cut out of a large one: some deals with everything that belongs to them, and what they come to."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.firm import Firm
from deploy.local.report import COLUMNS, totals

Row = Mapping[str, str]
OF_DEALS = ("projects.csv", "invoices.csv", "totals.csv")
"""Expected tables that can be cut; states of hours are sums over all deals and cannot."""
_WHOLE = ("crm/products.csv", "erp/legal_entities.csv", "erp/service_items.csv", "erp/rate_cards.csv", "psa/users.csv")
_BY_DEAL = (
    "crm/opportunities.csv",
    "crm/opportunity_lines.csv",
    "clm/contracts.csv",
    "clm/milestones.csv",
    "psa/time_entries.csv",
    "psa/milestone_completions.csv",
)


def chosen_deals(firm: Firm, count: int) -> list[str]:
    """So many deals, as various as can be in entities, billing models, caps, fixes, findings; always the same ones."""
    marks = _marks(firm)
    left = sorted(marks)
    chosen: list[str] = []
    seen: set[str] = set()
    while left and len(chosen) < count:
        best = max(left, key=lambda deal: (len(marks[deal] - seen), -left.index(deal)))
        chosen.append(best)
        seen |= marks[best]
        left.remove(best)
    return chosen


def write_excerpt(firm: Firm, deals: Iterable[str], folder: Path) -> Path:
    """The firm's folder with these deals only; answers the folder with what they come to, by phase."""
    kept = set(deals)
    accounts = _accounts(firm, kept)
    tables: dict[str, Sequence[Row]] = {file: firm[file] for file in _WHOLE}
    tables |= {file: [row for row in firm[file] if row["opportunity_id"] in kept] for file in _BY_DEAL}
    tables["crm/accounts.csv"] = [row for row in firm["crm/accounts.csv"] if row["account_id"] in accounts]
    subjects = {row["contract_id"] for row in tables["clm/contracts.csv"]} | accounts
    subjects |= {row["product_code"] for row in tables["crm/opportunity_lines.csv"]}
    tables["fixes.csv"] = [row for row in firm["fixes.csv"] if row["subject"] in subjects]
    for file, rows in tables.items():
        _write(folder / file, list(firm[file][0]), rows)
    outcome = folder / "outcome"
    for phase in sorted(path for path in firm.expected.iterdir() if path.is_dir()) if firm.expected else []:
        for name in OF_DEALS[:2]:
            rows = [row for row in _read(phase / name) if row["opportunity_id"] in kept]
            _write(outcome / phase.name / name, COLUMNS[name], rows)
        _write(
            outcome / phase.name / "totals.csv",
            COLUMNS["totals.csv"],
            totals(_read(outcome / phase.name / "invoices.csv")),
        )
    return outcome


def _marks(firm: Firm) -> dict[str, set[str]]:
    """What is peculiar about each deal."""
    marks = {row["opportunity_id"]: {f"entity {row['legal_entity']}"} for row in firm.won()}
    account_of = {row["opportunity_id"]: row["account_id"] for row in firm.won()}
    parents = {row["account_id"] for row in firm["crm/accounts.csv"] if row["parent_account_id"]}
    fixed = {row["subject"]: row["kind"] for row in firm["fixes.csv"]}
    for row in firm["crm/opportunity_lines.csv"]:
        if own := marks.get(row["opportunity_id"]):
            own.add(f"model {row['billing_model']}")
            own.update({f"fix {fixed[row['product_code']]}"} if row["product_code"] in fixed else set())
    for row in firm["clm/contracts.csv"]:
        if own := marks.get(row["opportunity_id"]):
            own.update({"capped"} if row["cap_amount"] else set())
            own.update({f"fix {fixed[row['contract_id']]}"} if row["contract_id"] in fixed else set())
    for deal, own in marks.items():
        own.update({"child account"} if account_of[deal] in parents else set())
        own.update({f"fix {fixed[account_of[deal]]}"} if account_of[deal] in fixed else set())
    for phase in ("first_run", "after_fixes"):
        for row in _read(firm.expected / phase / "projects.csv") if firm.expected else []:
            if own := marks.get(row["opportunity_id"]):
                own.add(f"{phase} {row['outcome']} {row['findings']} {row['approvals']}")
    return marks


def _accounts(firm: Firm, deals: set[str]) -> set[str]:
    """The deals' customers with everybody above them."""
    parents = {row["account_id"]: row["parent_account_id"] for row in firm["crm/accounts.csv"]}
    kept: set[str] = set()
    for row in firm["crm/opportunities.csv"]:
        account = row["account_id"] if row["opportunity_id"] in deals else ""
        while account and account not in kept:
            kept.add(account)
            account = parents[account]
    return kept


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(file: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
