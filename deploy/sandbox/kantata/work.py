"""Acts on time entries, expenses and their submissions, with the vendor's validations."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.kantata.dates import day
from deploy.sandbox.kantata.errors import invalid, missing
from deploy.sandbox.kantata.projects import money_of, picked
from deploy.sandbox.kantata.state import Row, Store, as_id

_ENTRY_FIELDS = [
    "date_performed",
    "time_in_minutes",
    "billable",
    "notes",
    "rate_in_cents",
    "cost_rate_in_cents",
    "location",
]
_EXPENSE_FIELDS = ["date", "category", "amount_in_cents", "notes", "reimbursable"]
_MINUTES_A_DAY = 24 * 60
#: (line collection, key of the lines on the submission)
LINES = {
    "timesheet_submissions": ("time_entries", "time_entry_ids"),
    "expense_report_submissions": ("expenses", "expense_ids"),
}


def _links(store: Store, given: Row) -> Row:
    """Foreign keys of a line, checked."""
    links: Row = {}
    for field, name in (("user_id", "users"), ("role_id", "roles"), ("story_id", "stories")):
        if given.get(field) is not None:
            links[field] = store.get(name, given[field], field)["id"]
    return links


def _in_workspace(store: Store, links: Row, workspace_id: int) -> None:
    story = links.get("story_id")
    if story is not None and store.table("stories")[story]["workspace_id"] != workspace_id:
        raise invalid("story_id", "story must belong to the workspace")


def _whole(given: Row, field: str, least: int, most: int | None = None) -> None:
    value = given.get(field)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(field, f"{field} must be an integer")
    if value < least or (most is not None and value > most):
        raise invalid(field, f"{field} is out of range")


def create_entry(store: Store, given: Row) -> Row:
    """POST /time_entries."""
    lacking = [k for k in ("workspace_id", "date_performed", "time_in_minutes") if given.get(k) is None]
    if lacking:
        raise missing(*lacking)
    workspace = store.get("workspaces", given["workspace_id"], "workspace_id")
    day(given, "date_performed")
    _whole(given, "time_in_minutes", 0, _MINUTES_A_DAY)
    links = _links(store, given)
    _in_workspace(store, links, workspace["id"])
    story = store.table("stories").get(links.get("story_id", 0))
    fields: Row = {
        "billable": story["billable"] if story else True,
        "approved": False,
        "is_invoiced": False,
        "taxable": False,
        "user_can_edit": True,
        "rate_in_cents": 0,
        "user_id": store.administrator["id"],
        "role_id": None,
        "story_id": None,
        **picked(given, _ENTRY_FIELDS),
        **links,
        "workspace_id": workspace["id"],
        "currency": workspace["currency"],
        "currency_symbol": workspace["currency_symbol"],
        "currency_base_unit": workspace["currency_base_unit"],
    }
    return store.create("time_entries", fields, given.get("external_reference"))


def still_open(row: Row) -> None:
    """Raises 422 for a line that is approved or invoiced."""
    if row["is_invoiced"]:
        raise invalid("id", "an invoiced line item cannot be changed")
    if row["approved"]:
        raise invalid("id", "an approved line item cannot be changed")


def amend_entry(store: Store, row: Row, given: Row) -> Row:
    """PUT /time_entries/{id}; approved and invoiced ones are locked, references are not."""
    links = _links(store, given)
    changes = {**picked(given, _ENTRY_FIELDS), **links}
    if changes:
        still_open(row)
        day(given, "date_performed")
        _whole(given, "time_in_minutes", 0, _MINUTES_A_DAY)
        _in_workspace(store, links, row["workspace_id"])
        store.amend("time_entries", row, changes)
    if given.get("external_reference") is not None:
        store.check_reference(given["external_reference"])
        store.refer("time_entries", row, given["external_reference"])
    return row


def delete_line(store: Store, name: str, row: Row) -> None:
    """DELETE of a time entry or expense."""
    still_open(row)
    store.delete(name, row)


def create_expense(store: Store, given: Row) -> Row:
    """POST /expenses; `billable` is written, `is_billable` read."""
    lacking = [k for k in ("workspace_id", "date", "category", "amount_in_cents") if given.get(k) is None]
    if lacking:
        raise missing(*lacking)
    workspace = store.get("workspaces", given["workspace_id"], "workspace_id")
    day(given, "date")
    _whole(given, "amount_in_cents", 0)
    links = _links(store, given)
    _in_workspace(store, links, workspace["id"])
    links.pop("role_id", None)
    fields: Row = {
        "approved": False,
        "is_invoiced": False,
        "is_billable": bool(given.get("billable", True)),
        "taxable": False,
        "reimbursable": False,
        "user_can_edit": True,
        "user_id": store.administrator["id"],
        "story_id": None,
        **picked(given, _EXPENSE_FIELDS),
        **links,
        "workspace_id": workspace["id"],
        **money_of(workspace["currency"]),
    }
    return store.create("expenses", fields, given.get("external_reference"))


def amend_expense(store: Store, row: Row, given: Row) -> Row:
    """PUT /expenses/{id}."""
    still_open(row)
    day(given, "date")
    changes = {**picked(given, _EXPENSE_FIELDS), **_links(store, given)}
    if "billable" in given:
        changes["is_billable"] = bool(given["billable"])
    store.amend("expenses", row, changes)
    return row


def submit(store: Store, name: str, given: Row) -> Row:
    """POST /timesheet_submissions or /expense_report_submissions: lines of one project, none in another submission."""
    lines, key = LINES[name]
    lacking = [k for k in ("workspace_id", "line_item_ids") if not given.get(k)]
    if lacking:
        raise missing(*lacking)
    workspace = store.get("workspaces", given["workspace_id"], "workspace_id")
    rows = [store.get(lines, number, "line_item_ids") for number in given["line_item_ids"]]
    if any(row["workspace_id"] != workspace["id"] for row in rows):
        raise invalid("line_item_ids", "line items must belong to the workspace")
    submissions = store.table(name)
    for row in rows:
        held = submissions.get(row.get("active_submission_id") or 0)
        if held is not None and held["status"] in {"new", "approved"}:
            raise invalid("line_item_ids", "line items are already submitted")
    days = sorted(row["date_performed" if name == "timesheet_submissions" else "date"] for row in rows)
    fields: Row = {
        "status": "new",
        "title": given.get("title"),
        "comment": given.get("comment"),
        "type": "timesheet" if name == "timesheet_submissions" else "expense_report",
        "start_date": days[0],
        "end_date": days[-1],
        "workspace_id": workspace["id"],
        "user_id": as_id(given.get("user_id") or store.administrator["id"], "user_id"),
        key: [row["id"] for row in rows],
        **money_of(workspace["currency"]),
    }
    submission = store.create(name, fields, given.get("external_reference"))
    for row in rows:
        row["active_submission_id"] = row["recent_submission_id"] = submission["id"]
    return submission


def settle(store: Store, name: str, row: Row, status: str) -> Row:
    """Approve, reject or cancel a submission; its lines follow."""
    allowed = {"approved": {"new"}, "rejected": {"new", "approved"}, "cancelled": {"new"}}[status]
    if row["status"] not in allowed:
        raise invalid("submission_ids", f"a submission that is {row['status']} cannot be {status}")
    lines, key = LINES[name]
    rows = [line for number in row[key] if (line := store.table(lines).get(number))]
    if any(line["is_invoiced"] for line in rows):
        raise invalid("submission_ids", "invoiced line items cannot be changed")
    store.amend(name, row, {"status": status})
    for line in rows:
        line["approved"] = status == "approved"
        if status != "approved":
            line["active_submission_id"] = None
        if store.switches.approval_touches_entries:
            store.tables[lines].touch(line, store.now())
            store.tell(lines, line, "updated")
    return row


def resolve(store: Store, name: str, given: Row, status: str) -> list[Row]:
    """POST /timesheet_approvals, _rejections, _cancellations: several submissions at once."""
    numbers: Any = given.get("submission_ids")
    if not numbers:
        raise missing("submission_ids")
    submissions = [store.get(name, number, "submission_ids") for number in numbers]
    kind = {"approved": "approval", "rejected": "rejection", "cancelled": "cancellation"}[status]
    return [
        store.create(
            "resolutions",
            {
                "type": kind,
                "description": given.get("description"),
                "target_type": COLLECTION_SUBJECTS[name],
                "target_id": str(settle(store, name, row, status)["id"]),
                "user_id": store.administrator["id"],
                "current": True,
            },
        )
        for row in submissions
    ]


COLLECTION_SUBJECTS = {
    "timesheet_submissions": "TimesheetSubmission",
    "expense_report_submissions": "ExpenseReportSubmission",
}
