"""The report tables: projects and invoices read from the vendors; findings, approvals, hours from the APIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from deploy.local.failures import JobFailed
from deploy.local.firm import Firm
from deploy.local.main_job.deals import Standing
from deploy.local.main_job.desk import Desk, Item
from deploy.local.main_job.vendors import Seen, Vendors
from deploy.local.report import Row, totals, written

_STATES = {"drafted": "billed"}
"""Ledger states that people know under another name."""


class ReadBackFailed(JobFailed):
    """The vendors contradict each other; the message names the deal or invoice."""


async def read_back(firm: Firm, desk: Desk, vendors: Vendors) -> dict[str, list[Row]]:
    """The four tables of a phase."""
    seen = await vendors.look()
    standing = Standing.of(await desk.deals(), await desk.parked())
    invoices = _invoices(seen, {project: deal for deal, project in _projects_of(seen).items()})
    return {
        "projects.csv": _projects(firm, seen, standing, await desk.given_approvals()),
        "invoices.csv": invoices,
        "time_states.csv": _time_states(await desk.time_states()),
        "totals.csv": list(totals(invoices)),
    }


def _projects_of(seen: Seen) -> dict[str, str]:
    return {deal: row.project_id for deal, row in seen.deals.items() if row.project_id}


def _projects(firm: Firm, seen: Seen, standing: Standing, approvals: Sequence[Item]) -> list[Row]:
    psa = {row.project_id for row in seen.projects.values() if not row.is_archived}
    given: dict[str, dict[str, str]] = {}
    for approval in approvals:
        given.setdefault(approval["opportunity_id"], {})[approval["kind"]] = approval["decided_by"]
    rows: list[Row] = []
    for deal in firm.won():
        reference = deal["opportunity_id"]
        project = seen.deals[reference].project_id
        stands = (
            seen.deals[reference].delivery_stage == "activated",
            project in psa,
            project in seen.erp_projects,
        )
        if any(stands) and not all(stands):
            raise ReadBackFailed(f"{reference}: CRM, PSA, ERP disagree whether it is active: {stands}")
        people = given.get(standing.ids[reference], {})
        if len(set(people.values())) < len(people):
            raise ReadBackFailed(f"{reference}: one person gave two approvals")
        kinds = [kind for kind in ("finance", "delivery") if kind in people]
        rows.append(
            {
                "opportunity_id": reference,
                "outcome": "activated" if all(stands) else "exception",
                "findings": "" if all(stands) else ";".join(sorted(standing.findings[reference])),
                "approvals": "+".join(kinds) if all(stands) else "",
            }
        )
    return rows


def _invoices(seen: Seen, deal_of: Mapping[str, str]) -> list[Row]:
    marks = {mark.invoice_id: mark for mark in seen.psa_invoices}
    told = {status.invoice_id: status for status in seen.statuses}
    rows: list[Row] = []
    for invoice in seen.erp_invoices:
        mark, status = marks.get(invoice.invoice_id), told.get(invoice.invoice_id)
        if mark is None or status is None:
            raise ReadBackFailed(f"invoice {invoice.invoice_id}: not marked in the PSA or not told to the CRM")
        if (status.gross, status.paid) != (invoice.gross, invoice.paid):
            raise ReadBackFailed(f"invoice {invoice.invoice_id}: the CRM shows other sums than the ERP")
        rows.append(
            {
                "opportunity_id": deal_of[invoice.project_id],
                "month": invoice.period,
                "legal_entity": invoice.legal_entity,
                "currency": invoice.currency,
                "net": written(invoice.net, invoice.currency),
                "tax": written(invoice.tax, invoice.currency),
                "gross": written(invoice.gross, invoice.currency),
                "paid": written(invoice.paid, invoice.currency),
                "time_entries": str(mark.time_entries),
                "milestones": str(mark.milestones),
            }
        )
    return sorted(rows, key=lambda row: (row["opportunity_id"], row["month"]))


def _time_states(sums: Sequence[Item]) -> list[Row]:
    states: dict[str, tuple[int, Decimal]] = {}
    for item in sums:
        if item["kind"] == "time" and int(item["entries"]):
            state: str = _STATES.get(item["state"]) or item["state"]
            entries, hours = states.get(state, (0, Decimal(0)))
            states[state] = (entries + int(item["entries"]), hours + Decimal(str(item["hours"])))
    return [
        {"state": state, "entries": str(entries), "hours": f"{hours:.2f}"}
        for state, (entries, hours) in sorted(states.items())
    ]
