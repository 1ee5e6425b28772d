"""What each verb does to items and collections; addresses, tokens and headers stay outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from deploy.sandbox.oracle_fusion.bodies import read_body
from deploy.sandbox.oracle_fusion.delivery import Delivery
from deploy.sandbox.oracle_fusion.errors import Refusal, invalid_operation, no_such_item
from deploy.sandbox.oracle_fusion.receivables import Receivables
from deploy.sandbox.oracle_fusion.schema import Resource
from deploy.sandbox.oracle_fusion.setup import Setup
from deploy.sandbox.oracle_fusion.state import Pod, Row

Check = Callable[[Row], None]


class Records:
    """Operations on the rows of one pod."""

    def __init__(self, pod: Pod, setup: Setup) -> None:
        self._pod = pod
        self._setup = setup
        self.receivables = Receivables(pod, setup)
        self.delivery = Delivery(pod, setup)
        self._completes: Mapping[str, Check] = {
            "projects": self.delivery.complete_project,
            "contracts": self.delivery.complete_contract,
            "projectBillingEvents": self.delivery.complete_event,
            "receivablesInvoices": self.receivables.complete_draft,
            "standardReceipts": self.receivables.complete_receipt,
        }
        self._checks: Mapping[str, Check] = {
            "projects": self.delivery.check_project,
            "contracts": self.delivery.check_contract,
            "projectBillingEvents": self.delivery.check_event,
        }

    def _free(self, resource: Resource) -> None:
        if resource.name in self._setup.locked:
            raise Refusal(400, "JBO-26030: Failed to lock the record, another user holds the lock.", code="26030")
        if resource.is_list_of_values:
            raise invalid_operation("create or update")

    # --- roots ---------------------------------------------------------------------------------------------------
    def create(self, resource: Resource, body: Any) -> Row:
        """A new item with its children. Raises Refusal."""
        self._free(resource)
        values = read_body(resource, body, is_new=True)
        if complete := self._completes.get(resource.name):
            complete(values)
        if resource.name == "setupTaskCSVImports":
            self._setup.run_import(values["TaskCode"], values.get("SetupTaskCSVImportProcess", []))
        if resource.name == "hubOrganizations":
            values |= {"PartyId": self._pod.new_id(), "Status": "A"}
            values["PartyNumber"] = values.get("PartyNumber") or str(self._pod.number("party"))
        for name, child in resource.children.items():
            values[name] = [self._child(child, row) for row in values.get(name, [])]
        row = self._pod.insert(resource, values)
        if resource.name == "receivablesInvoices":
            self.receivables.settle_status(row)
        if resource.name == "standardReceipts":
            row["ReceiptNumber"] = row["ReceiptNumber"] or str(self._pod.number("receipt"))
            if self._setup.matches_at_once:
                self.receivables.match_references(row)
        return row

    def upsert(self, resource: Resource, body: Any) -> tuple[Row, bool]:
        """The item the body matches brought to its values, or a new one; whether it is new. Raises Refusal."""
        self._free(resource)
        values = read_body(resource, body, is_new=False)
        held = self._pod.matching(resource, values)
        if held is None:
            return self.create(resource, body), True
        return self.amend(resource, held, body), False

    def amend(self, resource: Resource, row: Row, body: Any) -> Row:
        """New values for an item; children in the body are matched and merged. Raises Refusal."""
        self._free(resource)
        values = read_body(resource, body, is_new=False)
        children = {name: values.pop(name) for name in resource.children if name in values}
        for name in [name for name in values if resource.attributes[name].is_fixed]:
            if values.pop(name) != row.get(name):
                raise Refusal(400, f"JBO-27008: Attribute {name} cannot be updated.", code="27008", path=f"/{name}")
        if resource.patchable is not None and (strange := sorted(values.keys() - set(resource.patchable))):
            raise Refusal(400, f"JBO-27008: Attribute {strange[0]} cannot be updated.", code="27008")
        if resource.name == "projectBillingEvents":
            self.delivery.forbid_change(row, values)
        if check := self._checks.get(resource.name):
            checked = {**row, **values}
            check(checked)
            values = {name: value for name, value in checked.items() if value is not row.get(name)}
        self._pod.keep_children(row)
        for name, rows in children.items():
            self._merge(resource, row, resource.children[name], rows)
        before = {name: row.get(name) for name in values}
        self._pod.change(resource, row, values)
        if resource.name == "receivablesInvoices":
            try:
                self.receivables.settle_status(row)
            except Refusal:
                row.update(before)
                raise
        return row

    def remove(self, resource: Resource, row: Row) -> None:
        """The item goes. Raises Refusal."""
        self._free(resource)
        if resource.name == "receivablesInvoices":
            self.receivables.forbid_removal(row)
        elif resource.name == "projectBillingEvents" and row["Invoiced"] != "U":
            raise Refusal(400, "An invoiced event cannot be deleted.", code="PJB_EVT_INVOICED")
        elif resource.name != "projectBillingEvents":
            raise invalid_operation("delete")
        self._pod.remove(resource, row)

    # --- children ------------------------------------------------------------------------------------------------
    def _child(self, resource: Resource, values: Row) -> Row:
        is_made = "_version" in values  # by the rules
        whole = values if is_made else self._pod.stamped(resource, values)
        if resource.name == "Address":
            whole["AddressId"] = self._pod.new_id()
        for name, below in resource.children.items():
            whole[name] = [self._child(below, row) for row in whole[name]]
        return whole

    def add_child(self, root: Resource, top: Row, resource: Resource, parent: Row, body: Any, *, upserts: bool) -> Row:
        """A new child item, or the one an upsert matches. Raises Refusal."""
        self._free(root)
        if resource.is_list_of_values:
            raise invalid_operation("create")
        values = read_body(resource, body, is_new=not upserts)
        siblings: list[Row] = parent[resource.name]
        held = self._pod.matching(resource, values, siblings) if upserts else None
        if held is None and resource.is_flex and siblings:
            held = siblings[0]
        if held is not None:
            return self.amend_child(root, top, resource, held, body)
        read_body(resource, body, is_new=True)
        self._pod.keep_children(top)
        made = self._child(resource, self._ruled(resource, top, siblings, values))
        siblings.append(made)
        self._pod.touch(top)
        return made

    def _ruled(self, resource: Resource, top: Row, siblings: list[Row], values: Row) -> Row:
        if resource.name == "Tasks":
            return self.delivery.complete_task(siblings, values, top)
        if resource.name == "ContractLine":
            return self.delivery.complete_line(siblings, values)
        if resource.name == "receivablesInvoiceLines":
            raise invalid_operation("create")
        return values

    def amend_child(self, root: Resource, top: Row, resource: Resource, row: Row, body: Any) -> Row:
        """New values for a child item. Raises Refusal."""
        self._free(root)
        values = read_body(resource, body, is_new=False)
        children = {name: values.pop(name) for name in resource.children if name in values}
        if resource.name == "ContractLine":
            self.delivery.check_line({**row, **values, **children})
        self._pod.keep_children(top)
        for name, rows in children.items():
            self._merge(resource, row, resource.children[name], rows)
        row.update({name: value for name, value in values.items() if not resource.attributes[name].is_fixed})
        self._pod.touch(row)
        self._pod.touch(top)
        return row

    def _merge(self, owner: Resource, row: Row, resource: Resource, rows: list[Row]) -> None:
        del owner
        siblings: list[Row] = row[resource.name]
        for values in rows:
            held = siblings[0] if resource.is_flex and siblings else self._pod.matching(resource, values, siblings)
            if held is None:
                siblings.append(self._child(resource, self._ruled(resource, row, siblings, values)))
                continue
            children = {name: values.pop(name) for name in resource.children if name in values}
            held.update(values)
            self._pod.touch(held)
            for name, below in children.items():
                self._merge(resource, held, resource.children[name], below)

    def remove_child(self, root: Resource, top: Row, resource: Resource, parent: Row, row: Row) -> None:
        """A child item goes. Raises Refusal."""
        self._free(root)
        if resource.is_list_of_values:
            raise invalid_operation("delete")
        self._pod.keep_children(top)
        parent[resource.name].remove(row)
        self._pod.touch(top)

    # --- actions -------------------------------------------------------------------------------------------------
    def act(self, resource: Resource, row: Row, action: str, body: Mapping[str, Any]) -> Any:
        """A custom action of an item. Raises Refusal."""
        self._free(resource)
        if (resource.name, action) == ("standardReceipts", "applyReceipt"):
            amount = body.get("amountApplied")
            self.receivables.apply(
                row, body.get("appliedPaymentScheduleId"), None if amount is None else Decimal(amount)
            )
            return "SUCCESS"
        if (resource.name, action) == ("ContractLine", "cancel"):
            row["StsCode"] = "CANCELED"
            self._pod.touch(row)
            return "SUCCESS"
        raise no_such_item()
