"""Acts on billing milestones, invoices and payments; `is_invoiced` follows membership and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from deploy.sandbox.kantata.dates import day
from deploy.sandbox.kantata.errors import invalid, missing
from deploy.sandbox.kantata.projects import money_of, picked
from deploy.sandbox.kantata.state import Row, Store

_FIELDS = (
    "message draft purchase_order project_code user_invoice_title user_invoice_number tax_rate payment_schedule".split()
)
_MEMBERS = {"time_entry_ids": "time_entries", "expense_ids": "expenses", "billing_milestone_ids": "billing_milestones"}
_ITEMS = {"fixed_fee_items": "fixed_fee_item_ids", "additional_items": "additional_item_ids"}


def create_milestone(store: Store, given: Row) -> Row:
    """POST /billing_milestones."""
    workspace = store.get("workspaces", given.get("workspace_id"), "workspace_id")
    amount = given.get("amount_in_cents")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise invalid("amount_in_cents", "amount_in_cents must be an integer")
    kind = given.get("billing_type", "fixed_date")
    if kind not in {"fixed_date", "upon_completion"}:
        raise invalid("billing_type", "billing_type is not included in the list")
    if kind == "upon_completion" and not given.get("story_id"):
        raise missing("story_id")
    story = store.get("stories", given["story_id"], "story_id") if given.get("story_id") else None
    if story and story["workspace_id"] != workspace["id"]:
        raise invalid("story_id", "story must belong to the workspace")
    day(given, "date_to_invoice")
    fields: Row = {
        **picked(given, ["title", "amount_in_cents", "date_to_invoice"]),
        "billing_type": kind,
        "workspace_id": workspace["id"],
        "story_id": story["id"] if story else None,
        "invoice_ids": [],
        **money_of(workspace["currency"]),
    }
    return store.create("billing_milestones", fields, given.get("external_reference"))


def amend_milestone(store: Store, row: Row, given: Row) -> Row:
    """PUT /billing_milestones/{id}; locked once invoiced."""
    if row["invoice_ids"]:
        raise invalid("id", "an invoiced billing milestone cannot be changed")
    store.amend("billing_milestones", row, picked(given, ["title", "amount_in_cents", "date_to_invoice"]))
    return row


def _member(store: Store, name: str, number: Any, field: str, workspaces: set[int], invoice_id: int | None) -> Row:
    row = store.get(name, number, field)
    if row["workspace_id"] not in workspaces:
        raise invalid(field, f"{field}: every line item must belong to the invoice's projects")
    if name == "billing_milestones":
        if row["invoice_ids"] and row["invoice_ids"] != [invoice_id]:
            raise invalid(field, "billing milestone has already been invoiced")
        return row
    if row["is_invoiced"] and row.get("invoice_id") != invoice_id:
        raise invalid(field, f"{field}: a line item has already been invoiced")
    workspace = store.table("workspaces")[row["workspace_id"]]
    needs = "require_time_approvals" if name == "time_entries" else "require_expense_approvals"
    if workspace.get(needs) and not row["approved"]:
        raise invalid(field, f"{field}: a line item has not been approved")
    return row


def _members(store: Store, given: Row, workspaces: set[int], invoice_id: int | None) -> dict[str, list[Row]]:
    chosen: dict[str, list[Row]] = {}
    for field, name in _MEMBERS.items():
        numbers = list(dict.fromkeys(map(str, given.get(field) or ())))
        chosen[field] = [_member(store, name, number, field, workspaces, invoice_id) for number in numbers]
    return chosen


def create_invoice(store: Store, given: Row) -> Row:
    """POST /invoices."""
    asked = given.get("workspace_ids") or ([given["workspace_id"]] if given.get("workspace_id") else [])
    if not asked:
        raise missing("workspace_id")
    workspaces = [store.get("workspaces", number, "workspace_id") for number in asked]
    if len({row["currency"] for row in workspaces}) > 1:
        raise invalid("workspace_ids", "projects must share one currency")
    if not any(given.get(field) for field in (*_MEMBERS, *_ITEMS)):
        raise missing("line_items")
    day(given, "invoice_date")
    for items in _ITEMS:
        for item in given.get(items) or ():
            if isinstance(item.get("amount"), bool) or not isinstance(item.get("amount"), int):
                raise invalid(items, "amount must be an integer")
    numbers = {row["id"] for row in workspaces}
    chosen = _members(store, given, numbers, None)
    invoiced_on = str(given.get("invoice_date") or date.fromtimestamp(store.now()).isoformat())  # noqa: DTZ012 - a plain day
    due = date.fromisoformat(invoiced_on) + timedelta(days=int(given.get("payment_schedule") or 0))
    number = given.get("user_invoice_number") or next_number(store)
    row = store.create(
        "invoices",
        {
            "draft": False,
            "status": "new",
            **picked(given, _FIELDS),
            "user_invoice_number": number,
            "title": f"{'Draft ' if given.get('draft') else ''}Invoice #{number}",
            "invoice_date": invoiced_on,
            "due_date": due.isoformat(),
            "user_id": store.administrator["id"],
            "workspace_ids": sorted(numbers),
            **{key: [] for key in (*_MEMBERS, *_ITEMS.values())},
            **money_of(workspaces[0]["currency"]),
        },
        given.get("external_reference"),
    )
    for items, key in _ITEMS.items():
        row[key] = [_item(store, items, item, row)["id"] for item in given.get(items) or ()]
    _join(store, row, chosen)
    return row


def _item(store: Store, name: str, item: Row, invoice: Row) -> Row:
    cents = item["amount"] * invoice["currency_base_unit"]
    fields = {"notes": item.get("notes"), "taxable": bool(item.get("taxable")), "amount_in_cents": cents}
    workspace = item.get("workspace_id") or invoice["workspace_ids"][0]
    return store.create(name, {**fields, "currency": invoice["currency"], "workspace_id": workspace})


def next_number(store: Store) -> int:
    """The number the next invoice gets."""
    return max((int(row["user_invoice_number"]) for row in store.table("invoices").values()), default=0) + 1


def _mark(store: Store, name: str, rows: Iterable[Row], invoice_id: int | None) -> None:
    for row in rows:
        if name == "billing_milestones":
            row["invoice_ids"] = [invoice_id] if invoice_id else []
        else:
            row["is_invoiced"], row["invoice_id"] = invoice_id is not None, invoice_id
        if store.switches.invoicing_touches_entries:
            store.tables[name].touch(row, store.now())
    store.version += 1


def _join(store: Store, invoice: Row, chosen: dict[str, list[Row]]) -> None:
    for field, rows in chosen.items():
        invoice[field] = [row["id"] for row in rows]
        _mark(store, _MEMBERS[field], rows, invoice["id"])
    invoice["balance_in_cents"] = _total(store, invoice)


def _total(store: Store, invoice: Row) -> int:
    hours = sum(
        (
            Decimal(row["time_in_minutes"]) / 60 * (row["rate_in_cents"] or 0)
            for row in (store.table("time_entries")[number] for number in invoice["time_entry_ids"])
        ),
        Decimal(0),
    )
    others = [
        store.table(name)[number]["amount_in_cents"]
        for name, key in (
            ("expenses", "expense_ids"),
            ("billing_milestones", "billing_milestone_ids"),
            *_ITEMS.items(),
        )
        for number in invoice[key]
    ]
    return int(hours.to_integral_value(ROUND_HALF_UP)) + sum(others)


def _leave(store: Store, invoice: Row) -> None:
    for field, name in _MEMBERS.items():
        _mark(store, name, [store.table(name)[number] for number in invoice[field]], None)


def amend_invoice(store: Store, row: Row, given: Row) -> Row:
    """PUT /invoices/{id}: id lists overwrite, what is not named again leaves the invoice."""
    if row["status"] == "cancelled":
        raise invalid("id", "a cancelled invoice cannot be changed")
    chosen = _members(store, given, set(row["workspace_ids"]), row["id"])
    _leave(store, row)
    _join(store, row, chosen)
    store.amend("invoices", row, picked(given, _FIELDS))
    return row


def cancel_invoice(store: Store, row: Row) -> Row:
    """PUT /invoices/{id}/cancel: its lines are free again."""
    if row["draft"] or row["status"] != "new":
        raise invalid("id", "only an active invoice can be cancelled")
    _leave(store, row)
    store.amend("invoices", row, {"status": "cancelled"})
    return row


def delete_invoice(store: Store, row: Row) -> None:
    """DELETE /invoices/{id}: drafts only."""
    if not row["draft"]:
        raise invalid("id", "only draft invoices can be deleted")
    _leave(store, row)
    store.delete("invoices", row)


def pay(store: Store, given: Row) -> Row:
    """POST /external_payments."""
    invoice = store.get("invoices", given.get("invoice_id"), "invoice_id")
    amount = given.get("amount_in_cents")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise invalid("amount_in_cents", "amount_in_cents must be an integer")
    balance = invoice["balance_in_cents"] - amount
    status = "accepted payment" if balance <= 0 else invoice["status"]
    store.amend("invoices", invoice, {"balance_in_cents": balance, "status": status})
    fields: Row = {
        "amount_in_cents": amount,
        "message": given.get("message"),
        "invoice_id": invoice["id"],
        "workspace_id": invoice["workspace_ids"][0],
        "user_id": store.administrator["id"],
    }
    return store.create("external_payments", fields)
