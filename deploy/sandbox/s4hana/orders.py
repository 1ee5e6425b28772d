"""Sales orders and debit memo requests: headers, items, conditions, billing plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from deploy.sandbox.s4hana.customizing import DISTRIBUTION_CHANNEL, DIVISION, ITEM_CATEGORIES, TAX_TYPE
from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.pricing import fill_condition, net_of, rate_of, taxed
from deploy.sandbox.s4hana.records import Behaviour
from deploy.sandbox.s4hana.state import Row, Tenant
from deploy.sandbox.s4hana.values import initial

MILESTONES, PERIODS = "01", "02"
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Kind:
    """The words of one kind of sales document."""

    header: str
    item: str
    condition: str
    key: str
    item_key: str
    text: str
    type_field: str
    types: tuple[str, ...]
    numbers: str


ORDER = Kind(
    "A_SalesOrder", "A_SalesOrderItem", "A_SalesOrderItemPrElement", "SalesOrder", "SalesOrderItem",
    "SalesOrderItemText", "SalesOrderType", ("OR",), "order",
)  # fmt: skip
REQUEST = Kind(
    "A_DebitMemoRequest", "A_DebitMemoRequestItem", "A_DebitMemoReqItemPrcgElmnt", "DebitMemoRequest",
    "DebitMemoRequestItem", "DebitMemoRequestItemText", "DebitMemoRequestType", ("DR",), "request",
)  # fmt: skip


class SalesDocuments:
    """What one kind of sales document does."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def fill_header(self, tenant: Tenant, row: Row) -> None:
        """A document for a customer of the sales area."""
        kind = self.kind
        row[kind.key] = row[kind.key] or tenant.number(kind.numbers)
        row[kind.type_field] = row[kind.type_field] or kind.types[0]
        if row[kind.type_field] not in kind.types:
            raise invalid("V1/315", f"Sales document type {row[kind.type_field]} is not defined", kind.type_field)
        area = (row["SalesOrganization"], row["DistributionChannel"], row["OrganizationDivision"])
        if area[0] not in tenant.customizing.company_codes or area[1:] != (DISTRIBUTION_CHANNEL, DIVISION):
            raise invalid("V1/320", f"Sales area {' '.join(area)} is not defined", "SalesOrganization")
        held = tenant.table("A_CustomerSalesArea").get(row["SoldToParty"], *area)
        if held is None:
            raise invalid(
                "V1/044", f"Customer {row['SoldToParty']} is not maintained in this sales area", "SoldToParty"
            )
        row["TransactionCurrency"] = row["TransactionCurrency"] or held["Currency"]
        row["CustomerPaymentTerms"] = row["CustomerPaymentTerms"] or held["CustomerPaymentTerms"]
        row["CreationDate"] = tenant.now().date()
        row["LastChangeDateTime"] = tenant.now()
        _check_terms(tenant, row)
        tenant.unfinished.add(row[kind.key])
        if kind is REQUEST and tenant.customizing.switches.request_is_blocked:
            row["HeaderBillingBlockReason"] = row["HeaderBillingBlockReason"] or "08"

    def check_header(self, tenant: Tenant, row: Row, values: Row) -> None:
        """A changed header gets a new stamp."""
        _check_terms(tenant, row | values)
        values["LastChangeDateTime"] = tenant.now()

    def items(self, tenant: Tenant, document: str) -> list[Row]:
        """The items of a document."""
        return tenant.table(self.kind.item).where(**{self.kind.key: document})

    def header(self, tenant: Tenant, row: Row) -> Row:
        """The header above an item. Raises Refusal."""
        found = tenant.table(self.kind.header).get(row[self.kind.key])
        if found is None:
            raise invalid("V1/302", f"Document {row[self.kind.key]} is not in the database", self.kind.key)
        return found

    def fill_item(self, tenant: Tenant, row: Row) -> None:
        """An item sells a product for a billing element."""
        kind, header = self.kind, self.header(tenant, row)
        if not row[kind.item_key]:
            taken = [int(one[kind.item_key]) for one in self.items(tenant, row[kind.key])]
            row[kind.item_key] = str(max(taken, default=0) + 10)
        if tenant.table("A_Product").get(row["Material"]) is None:
            raise invalid("V1/382", f"Product {row['Material'] or '(blank)'} does not exist", "Material")
        if row["RequestedQuantity"] <= 0:
            raise invalid("V1/045", "Enter a quantity", "RequestedQuantity")
        _check_element(tenant, row["WBSElement"])
        row["TransactionCurrency"] = header["TransactionCurrency"]
        if kind is ORDER:
            row["SalesOrderItemCategory"] = row["SalesOrderItemCategory"] or "TAD"
            if row["SalesOrderItemCategory"] not in ITEM_CATEGORIES:
                raise invalid("V1/381", f"Item category {row['SalesOrderItemCategory']} is not defined")

    def check_item(self, tenant: Tenant, row: Row, values: Row) -> None:
        """Changed items point at what is there."""
        if "WBSElement" in values:
            _check_element(tenant, values["WBSElement"])
        if "Material" in values and tenant.table("A_Product").get(values["Material"]) is None:
            raise invalid("V1/382", f"Product {values['Material']} does not exist", "Material")
        if values.get("SalesOrderItemCategory", row.get("SalesOrderItemCategory")) != row.get("SalesOrderItemCategory"):
            raise invalid("V1/372", "The item category cannot be changed any more", "SalesOrderItemCategory")

    def reckon(self, tenant: Tenant, document: str) -> None:
        """Net amounts and tax of a document afresh."""
        kind = self.kind
        header = tenant.table(kind.header).get(document)
        if header is None:
            return
        currency, items = header["TransactionCurrency"], self.items(tenant, document)
        nets: list[Decimal] = []
        given: list[Decimal | None] = []
        by_item: dict[str, list[Row]] = {}
        for condition in tenant.table(kind.condition).where(**{kind.key: document}):
            by_item.setdefault(condition[kind.item_key], []).append(condition)
        for item in items:
            conditions = by_item.get(item[kind.item_key], [])
            nets.append(net_of(item, conditions, currency))
            manual = [one["ConditionAmount"] for one in conditions if one["ConditionType"] == TAX_TYPE]
            given.append(manual[0] if manual else None)
        if kind is REQUEST and items:
            day = header["BillingDocumentDate"] or header["DebitMemoRequestDate"] or header["CreationDate"]
            rate = rate_of(tenant, header["SalesOrganization"], header["SoldToParty"], day)
            for item, priced in zip(items, taxed(tenant, nets, given, rate, currency), strict=True):
                tenant.table(kind.item).change(item, {"NetAmount": priced.net, "TaxAmount": priced.tax})
        else:
            for item, net in zip(items, nets, strict=True):
                tenant.table(kind.item).change(item, {"NetAmount": net})
        counted = [net for net, item in zip(nets, items, strict=True) if not item["SalesDocumentRjcnReason"]]
        rejected = sum(1 for item in items if item["SalesDocumentRjcnReason"])
        status = "C" if items and rejected == len(items) else "B" if rejected else "A"
        tenant.table(kind.header).change(
            header,
            {
                "TotalNetAmount": sum(counted, Decimal(0)),
                "LastChangeDateTime": tenant.now(),
                "OverallSDDocumentRejectionSts": status,
            },
        )

    def made_header(self, tenant: Tenant, row: Row) -> None:
        """The whole document stands."""
        if not self.items(tenant, row[self.kind.key]):
            raise invalid("V1/331", "Enter at least one item", "to_Item")
        tenant.unfinished.discard(row[self.kind.key])
        self.reckon(tenant, row[self.kind.key])
        if self.kind is ORDER:
            for item in self.items(tenant, row["SalesOrder"]):
                _fill_periods(tenant, item)

    def touched(self, tenant: Tenant, row: Row) -> None:
        """A part of the document changed; while it is being made, its amounts wait for the whole."""
        if row[self.kind.key] not in tenant.unfinished:
            self.reckon(tenant, row[self.kind.key])

    def made_item(self, tenant: Tenant, row: Row) -> None:
        """Item categories with a plan have one, whether it was given or not."""
        if self.kind is ORDER:
            plan = ITEM_CATEGORIES[row["SalesOrderItemCategory"]].plan
            key = {"SalesOrder": row["SalesOrder"], "SalesOrderItem": row["SalesOrderItem"]}
            held = tenant.table("A_SalesOrderItemBillingPlan").where(**key)
            if held and plan is None:
                raise invalid("V1/465", f"Item category {row['SalesOrderItemCategory']} has no billing plan")
            if plan and not held:
                entity = tenant.sets["A_SalesOrderItemBillingPlan"]
                blank = {prop.name: initial(prop) for prop in entity.properties.values()} | key
                fill_plan(tenant, blank)
                held = [tenant.table(entity.name).insert(blank)]
            if plan:
                tenant.table(self.kind.item).change(row, {"BillingPlan": held[0]["BillingPlan"]})
        if row[self.kind.key] not in tenant.unfinished:
            self.reckon(tenant, row[self.kind.key])
            if self.kind is ORDER:
                _fill_periods(tenant, row)


def _check_terms(tenant: Tenant, row: Mapping[str, Any]) -> None:
    if not tenant.customizing.knows_terms(row["CustomerPaymentTerms"]):
        shown = row["CustomerPaymentTerms"] or "(blank)"
        raise invalid("V1/324", f"Terms of payment {shown} are not defined", "CustomerPaymentTerms")


def _check_element(tenant: Tenant, name: str) -> None:
    if not name:
        return
    found = tenant.table("A_EnterpriseProjectElement").where(ProjectElement=name)
    if not found:
        raise invalid("CJ/021", f"WBS element {name} does not exist", "WBSElement")
    if not found[0]["WBSElementIsBillingElement"]:
        raise invalid("V1/459", f"WBS element {name} is not a billing element", "WBSElement")
    if found[0]["ProcessingStatus"] != "10":
        raise invalid("BS/013", f"System status of WBS element {name} does not allow billing", "WBSElement")


def fill_plan(tenant: Tenant, row: Row) -> None:
    """The billing plan of an item, of the kind its category has."""
    item = tenant.table("A_SalesOrderItem").get(row["SalesOrder"], row["SalesOrderItem"])
    category = ITEM_CATEGORIES[item["SalesOrderItemCategory"]] if item else None
    if category is None or category.plan is None:
        raise invalid("V1/465", "The item has no billing plan", "to_BillingPlan")
    row["BillingPlan"] = tenant.number("plan")
    row["BillingPlanType"] = category.plan
    row["BillingPlanCategory"] = "2" if category.plan == MILESTONES else "1"
    row["BillingPlanStartDate"] = row["BillingPlanStartDate"] or tenant.now().date()


def _fill_periods(tenant: Tenant, item: Row) -> None:
    """A periodic plan fills itself: twelve months, the item's amount in each."""
    if ITEM_CATEGORIES[item["SalesOrderItemCategory"]].plan != PERIODS:
        return
    key = {"SalesOrder": item["SalesOrder"], "SalesOrderItem": item["SalesOrderItem"]}
    plan = tenant.table("A_SalesOrderItemBillingPlan").where(**key)[0]
    entity = tenant.sets["A_SlsOrderItemBillingPlanItem"]
    begin: date = plan["BillingPlanStartDate"]
    for month in range(_MONTHS):
        year, at = divmod(begin.month - 1 + month, _MONTHS)
        first = begin.replace(year=begin.year + year, month=at + 1, day=1)
        row = {prop.name: initial(prop) for prop in entity.properties.values()} | key
        row |= {
            "BillingPlan": plan["BillingPlan"], "BillingPlanItem": str(month + 1), "BillingPlanBillingDate": first,
            "BillingPlanServiceStartDate": first, "BillingPlanAmount": item["NetAmount"],
            "TransactionCurrency": item["TransactionCurrency"], "BillingPlanRelatedBillgStatus": "A",
        }  # fmt: skip
        tenant.table(entity.name).insert(row)


def fill_plan_item(tenant: Tenant, row: Row) -> None:
    """A date of a milestone plan."""
    plan = tenant.table("A_SalesOrderItemBillingPlan").get(row["SalesOrder"], row["SalesOrderItem"], row["BillingPlan"])
    if plan is None:
        raise invalid("V1/466", "The billing plan does not exist", "BillingPlan")
    if plan["BillingPlanType"] == PERIODS:
        raise invalid("V1/467", "Dates of a periodic billing plan are made by the system")
    if row["BillingPlanBillingDate"] is None:
        raise invalid("V1/468", "Enter a billing date", "BillingPlanBillingDate")
    if not row["BillingPlanItem"]:
        held = tenant.table("A_SlsOrderItemBillingPlanItem").where(BillingPlan=plan["BillingPlan"])
        row["BillingPlanItem"] = str(max((int(one["BillingPlanItem"]) for one in held), default=0) + 1)
    row["BillingPlanRelatedBillgStatus"] = "A"
    item = tenant.table("A_SalesOrderItem").get(row["SalesOrder"], row["SalesOrderItem"])
    row["TransactionCurrency"] = item["TransactionCurrency"] if item else ""


def _removing_plan_item(_: Tenant, row: Row) -> None:
    if row["BillingPlanRelatedBillgStatus"] == "C":
        raise invalid("V1/469", "The date has been billed already")


def _of(documents: SalesDocuments) -> dict[str, Behaviour]:
    kind = documents.kind
    return {
        kind.header: Behaviour(
            fill=documents.fill_header,
            made=documents.made_header,
            check=documents.check_header,
            changed=documents.touched,
        ),
        kind.item: Behaviour(
            fill=documents.fill_item,
            made=documents.made_item,
            check=documents.check_item,
            changed=documents.touched,
            removed=documents.touched,
        ),
        kind.condition: Behaviour(fill=fill_condition, changed=documents.touched, removed=documents.touched),
    }


ORDERS, REQUESTS = SalesDocuments(ORDER), SalesDocuments(REQUEST)
BEHAVIOURS: Mapping[str, Behaviour] = {
    **_of(ORDERS),
    **_of(REQUESTS),
    "A_SalesOrderItemBillingPlan": Behaviour(fill=fill_plan),
    "A_SlsOrderItemBillingPlanItem": Behaviour(
        fill=fill_plan_item,
        made=ORDERS.touched,
        changed=ORDERS.touched,
        removing=_removing_plan_item,
        removed=ORDERS.touched,
    ),
}
