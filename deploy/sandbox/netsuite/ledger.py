"""The bookkeeping of the account: totals, periods, and what payments and credits do to invoices; no wire may enter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from deploy.sandbox.netsuite.errors import invalid_content, user_error
from deploy.sandbox.netsuite.schema import RECORD_TYPES, RecordType
from deploy.sandbox.netsuite.state import Account, Row

ZERO = Decimal(0)
_ENGINE_RATE = Decimal("0.0725")  # what the account's own tax engine would charge


class Ledger:
    """Posts transactions: `post` checks and completes a row before it is stored, `settle` carries its effects after."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.posts: dict[str, Callable[[Row], None]] = {
            "salesOrder": self._order,
            "invoice": self._invoice,
            "creditMemo": self._credit,
            "customerPayment": self._payment,
            "billingSchedule": self._schedule,
        }

    def post(self, record: RecordType, row: Row) -> None:
        """Complete the row as the account would. Raises Refusal; nothing has changed then."""
        if handler := self.posts.get(record.name):
            handler(row)

    def settle(self, record: RecordType, row: Row) -> None:
        """Let a stored payment or credit take effect on the invoices it is applied to."""
        if record.name not in {"customerPayment", "creditMemo"}:
            return
        wanted = {line["doc"]: line["amount"] for line in row.get("apply", ()) if line.get("apply")}
        for invoice, amounts in self._account.applied.items():
            amount = wanted.pop(invoice, None)
            if amounts.get(row["id"]) != amount:
                amounts.pop(row["id"], None)
                if amount:
                    amounts[row["id"]] = amount
                self._refresh(invoice)
        for invoice, amount in wanted.items():
            self._account.applied[invoice] = {row["id"]: amount}
            self._refresh(invoice)

    def forbid_removal(self, record: RecordType, row: Row) -> None:
        """Raises Refusal for a transaction others lean on, or in a closed period."""
        if record.type_code:
            self._open_period(row, row.get("tranDate") or datetime.now(UTC).date())
        if record.name == "invoice" and self._account.applied.get(row["id"]):
            raise user_error("The transaction cannot be deleted because others are linked to it.")

    def withdraw(self, record: RecordType, row: Row) -> None:
        """Undo the effects of a payment or credit that is being deleted."""
        self.settle(record, {**row, "apply": []})

    def _refresh(self, number: int) -> None:
        record = RECORD_TYPES["invoice"]
        row = self._account.records["invoice"].get(number)
        if row is None:
            return
        self._balance(row)
        self._account.touch(record, row)

    def _balance(self, row: Row) -> None:
        paid = sum(self._account.applied.get(row.get("id", 0), {}).values(), ZERO)
        row["amountPaid"] = paid
        row["amountRemaining"] = row["total"] - paid
        if row.get("approvalStatus", "2") != "2":
            row["status"] = "D"
        else:
            row["status"] = "B" if row["amountRemaining"] <= 0 else "A"

    def _open_period(self, row: Row, day: date) -> None:
        period = self._account.period_of(day)
        if row.get("postingPeriod"):
            period = self._account.records["accountingPeriod"].get(row["postingPeriod"], period)
        if period.get("closed") or period.get("arLocked"):
            raise user_error(f"The accounting period {period['periodName']} is closed for this kind of transaction.")
        row["postingPeriod"] = period["id"]

    def _party(self, row: Row, member: str) -> Row:
        """The customer of a transaction (through its project); fills subsidiary and currency."""
        entity = self._account.target("entity", row[member])
        if entity is not None and "parent" in entity and self._account.type_of["entity"][entity["id"]].name == "job":
            row.setdefault("job", entity["id"])
            entity = self._account.target("customer", entity["parent"])
        if entity is None or entity["id"] not in self._account.records["customer"]:
            raise invalid_content("The entity is not a customer.", member)
        row[member] = entity["id"]
        row["subsidiary"] = row.get("subsidiary") or entity["subsidiary"]
        home = self._account.target("subsidiary", row["subsidiary"]) or {}
        row["currency"] = row.get("currency") or entity.get("currency") or home.get("currency")
        self._usable(entity, row)
        return entity

    def _usable(self, customer: Row, row: Row) -> None:
        subsidiary = row["subsidiary"]
        if customer["subsidiary"] != subsidiary and not any(
            link["entity"] == customer["id"] and link["subsidiary"] == subsidiary
            for link in self._account.rows("customerSubsidiaryRelationship")
        ):
            raise invalid_content("Invalid subsidiary for the entity: it has no relationship with it.", "subsidiary")
        known = {customer.get("currency"), *(line.get("currency") for line in customer.get("currencyList", ()))}
        if customer.get("currency") and row["currency"] not in known:
            raise invalid_content("Invalid currency for the entity.", "currency")

    def _rounded(self, amount: Decimal, row: Row) -> Decimal:
        digits = self._account.precision(row.get("currency"))
        return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)

    def _lines(self, row: Row) -> None:
        lines: list[Row] = row.get("item") or []
        if not lines:
            raise invalid_content("Enter at least one line item for this transaction.", "item")
        for position, line in enumerate(lines):
            if not line.get("item"):
                raise invalid_content("Enter value(s) for: Item.", f"item.items[{position}].item")
            line["quantity"] = line.get("quantity") or Decimal(1)
            if line.get("amount") is None:
                if line.get("rate") is None:
                    raise invalid_content("Enter value(s) for: Amount.", f"item.items[{position}].amount")
                line["amount"] = line["quantity"] * line["rate"]
            line["amount"] = self._rounded(line["amount"], row)
        row["subtotal"] = sum((line["amount"] for line in lines), ZERO)
        row["taxTotal"] = self._rounded(self._tax(row, lines), row)
        row["total"] = row["subtotal"] + row["taxTotal"]

    def _tax(self, row: Row, lines: list[Row]) -> Decimal:
        """The tax as given; with SuiteTax that of the tax details, or what the account's engine makes of it."""
        if not self._account.behaviour.suite_tax:
            return row.get("taxTotal") or ZERO
        if not row.get("taxDetailsOverride"):
            return sum((self._rounded(line["amount"] * _ENGINE_RATE, row) for line in lines), ZERO)
        known = {line.get("taxDetailsReference") for line in lines} - {None}
        for position, detail in enumerate(row.get("taxDetails") or ()):
            for name in ("taxType", "taxCode", "taxAmount"):
                if detail.get(name) is None:
                    raise invalid_content(f"Enter value(s) for: {name}.", f"taxDetails.items[{position}].{name}")
            if detail.get("taxDetailsReference") not in known:
                raise invalid_content(
                    "The reference names no line.", f"taxDetails.items[{position}].taxDetailsReference"
                )
        return sum((detail["taxAmount"] for detail in row.get("taxDetails") or ()), ZERO)

    def _schedule(self, row: Row) -> None:
        if row.get("milestone") and row["scheduleType"] != self._account.behaviour.milestone_type:
            raise user_error("Milestones are not allowed on a billing schedule of this type.")

    def _dated(self, row: Row) -> date:
        day: date = row.get("tranDate") or datetime.now(UTC).date()
        row["tranDate"] = day
        return day

    def _order(self, row: Row) -> None:
        self._party(row, "entity")
        self._dated(row)
        self._lines(row)
        row["orderStatus"] = row.get("orderStatus") or "B"
        row["status"] = row["orderStatus"]

    def _invoice(self, row: Row) -> None:
        customer = self._party(row, "entity")
        day = self._dated(row)
        self._open_period(row, day)
        self._lines(row)
        row["account"] = row.get("account") or customer.get("receivablesAccount") or self._account.receivables["id"]
        row["approvalStatus"] = row.get("approvalStatus") or "2"
        if not row.get("dueDate"):
            terms: Any = self._account.target("term", row["terms"]) if row.get("terms") else None
            row["dueDate"] = day + timedelta(days=int(terms["daysUntilNetDue"] if terms else 0))
        self._balance(row)

    def _credit(self, row: Row) -> None:
        self._party(row, "entity")
        self._open_period(row, self._dated(row))
        self._lines(row)
        self._apply(row, row["entity"], row["total"])

    def _payment(self, row: Row) -> None:
        lines: list[Row] = [line for line in row.get("apply", ()) if line.get("apply")]
        first = self._account.records["invoice"].get(lines[0].get("doc") or 0) if lines else None
        if first is not None:
            row["subsidiary"] = row.get("subsidiary") or first["subsidiary"]
            row["currency"] = row.get("currency") or first["currency"]
        self._party(row, "customer")
        self._open_period(row, self._dated(row))
        row["account"] = row.get("account") or self._account.receivables["id"]
        if row.get("payment") is not None:
            row["payment"] = self._rounded(row["payment"], row)
        self._apply(row, row["customer"], row.get("payment"))
        row["payment"] = row["applied"] if row.get("payment") is None else row["payment"]
        row["unapplied"] = row["payment"] - row["applied"]

    def _apply(self, row: Row, customer: int, limit: Decimal | None) -> None:
        used = ZERO
        for position, line in enumerate(row.get("apply") or ()):
            if not line.get("apply"):
                continue
            path = f"apply.items[{position}]"
            invoice = self._account.records["invoice"].get(line.get("doc") or 0)
            if invoice is None or invoice["entity"] != customer or invoice["currency"] != row["currency"]:
                raise invalid_content("The document cannot be applied to.", f"{path}.doc")
            mine = self._account.applied.get(invoice["id"], {}).get(row.get("id", 0), ZERO)
            open_amount = invoice["amountRemaining"] + mine
            if line.get("amount") is None:
                line["amount"] = open_amount if limit is None else min(open_amount, limit - used)
            line["amount"] = self._rounded(line["amount"], row)
            if not ZERO < line["amount"] <= open_amount:
                raise user_error(f"The amount applied to {invoice['tranId']} is more than what is open, or nothing.")
            line["refNum"], line["due"], line["total"] = invoice["tranId"], open_amount, invoice["total"]
            used += line["amount"]
        if limit is not None and used > limit:
            raise user_error("More is applied than was received.")
        row["applied"] = used
        row["unapplied"] = (limit or used) - used
        row["status"] = "A"
