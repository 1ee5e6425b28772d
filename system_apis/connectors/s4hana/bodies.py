"""Our words as S/4HANA's bodies, whole or for a change; total functions without effects, no money by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from textwrap import wrap
from typing import Any

from shared.canonical.billing import ErpContract, ScheduleEntry
from shared.canonical.customers import Customer
from shared.canonical.invoices import InvoiceDraft, InvoiceLine, LineKind
from shared.canonical.money import rounded
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from system_apis.connectors.s4hana.mapping import MILESTONE_MARK, Organisation
from system_apis.connectors.s4hana.settings import Settings
from system_apis.fields import FieldMap

Body = dict[str, Any]
ORGANISATION = "2"
CUSTOMER_ROLES = ("FLCU00", "FLCU01")
TAX_CATEGORY, TAXABLE = "TTX1", "1"
NAME_PARTS, NAME_LENGTH = 4, 40
SHORT, LONG = 40, 60
DECIMALS_OF_QUANTITY = 3
_YEAR = timedelta(days=365)


def day(value: date) -> str:
    """A day as bodies take it."""
    return f"{value.isoformat()}T00:00:00"


def amount(value: Decimal) -> str:
    """An amount as bodies take it: a text."""
    return format(value, "f")


def many(rows: Sequence[Mapping[str, Any]]) -> Body:
    """Nested rows."""
    return {"results": list(rows)}


def element_of(workstream_id: str) -> str:
    """The WBS element of a workstream or milestone."""
    return workstream_id.upper()


# --- customers ---------------------------------------------------------------------------------------------------
def from_customer(customer: Customer, fields: FieldMap) -> Body:
    """The partner's own fields."""
    parts = wrap(customer.name, NAME_LENGTH, break_on_hyphens=False)[:NAME_PARTS]
    names = {f"OrganizationBPName{n}": parts[n - 1] if n <= len(parts) else "" for n in range(1, NAME_PARTS + 1)}
    return fields["customer"].give(
        {
            **names,
            "SearchTerm1": customer.name[:20].strip(),
            "YY1_TLPurchaseOrderReq_bus": customer.requires_purchase_order,
            "YY1_TLIndustry_bus": (customer.industry or "")[:80],
            "YY1_TLParent_bus": customer.parent_id or "",
        }
    )


def from_new_customer(customer: Customer, at: Organisation, fields: FieldMap, settings: Settings) -> Body:
    """A partner that is a customer of the legal entity, in one deep insert."""
    address, tax = from_address(customer), from_tax_number(customer)
    fresh = {
        "BusinessPartnerCategory": ORGANISATION,
        "BusinessPartnerGrouping": settings.partner_grouping,
        "to_BuPaIdentification": many([from_identification(customer.id, settings)]),
        "to_BusinessPartnerRole": many([{"BusinessPartnerRole": role} for role in CUSTOMER_ROLES]),
        "to_Customer": {
            "to_CustomerCompany": many([from_company(at, settings)]),
            "to_CustomerSalesArea": many([from_sales_area(at)]),
        },
    }
    if address:
        fresh["to_BusinessPartnerAddress"] = many([address])
    if tax:
        fresh["to_BusinessPartnerTax"] = many([tax])
    return {**from_customer(customer, fields), **fields["customer"].give(fresh)}


def from_identification(customer_id: str, settings: Settings) -> Body:
    """Our id on the partner."""
    return {"BPIdentificationType": settings.identification_type, "BPIdentificationNumber": customer_id}


def from_address(customer: Customer) -> Body:
    """The bill-to address; empty without a country, which S/4HANA demands."""
    bill_to = customer.bill_to
    if bill_to.country is None:
        return {}
    street, *further = (bill_to.street or "").splitlines() or [""]
    return {
        "StreetName": street[:LONG],
        "StreetPrefixName": ", ".join(further)[:SHORT],
        "CityName": (bill_to.city or "")[:SHORT],
        "PostalCode": (bill_to.postal_code or "")[:10],
        "Country": bill_to.country,
        "Language": "EN",
    }


def from_tax_number(customer: Customer) -> Body:
    """The tax number, under the type for VAT of its country."""
    country = customer.bill_to.country
    if not customer.tax_id or country is None:
        return {}
    long = customer.tax_id if len(customer.tax_id) > 20 else ""  # noqa: PLR2004 - the short field's length
    return {"BPTaxType": f"{country}0", "BPTaxNumber": "" if long else customer.tax_id, "BPTaxLongNumber": long[:60]}


def from_company(at: Organisation, settings: Settings) -> Body:
    """What makes the customer usable in the company code's ledger."""
    return {"CompanyCode": at.entity.company, "ReconciliationAccount": settings.reconciliation_account}


def from_sales_area(at: Organisation) -> Body:
    """What makes the customer usable in the sales area of the legal entity, taxable where it delivers from."""
    tax = {
        "DepartureCountry": at.company.country,
        "CustomerTaxCategory": TAX_CATEGORY,
        "CustomerTaxClassification": TAXABLE,
    }
    return {**sales_area_key(at), "Currency": at.company.currency, "to_SalesAreaTax": many([tax])}


def sales_area_key(at: Organisation) -> Body:
    """The sales area of a legal entity."""
    return {
        "SalesOrganization": at.entity.sales_organization,
        "DistributionChannel": at.entity.distribution_channel,
        "Division": at.entity.division,
    }


# --- projects ----------------------------------------------------------------------------------------------------
def from_project(plan: ProjectPlan, fields: FieldMap) -> Body:
    """What may be changed of a project."""
    due = [milestone.due_on for workstream in plan.workstreams for milestone in workstream.milestones]
    return fields["project"].give(
        {
            "ProjectDescription": plan.name[:LONG],
            "ProjectStartDate": day(plan.start_on),
            "ProjectEndDate": day(max([*due, plan.start_on + _YEAR])),
            "YY1_TLOpportunity_PPH": plan.opportunity_reference[:LONG],
            "YY1_TLContract_PPH": plan.contract_reference[:LONG],
            "YY1_TLTemplate_PPH": (plan.template or "")[:LONG],
            "YY1_TLBudget_PPH": amount(plan.budget.amount),
        }
    )


def from_new_project(plan: ProjectPlan, customer: str, at: Organisation, fields: FieldMap, settings: Settings) -> Body:
    """A project with an element per workstream and one below it per milestone, in one deep insert."""
    fresh = {
        "Project": element_of(plan.id),
        "ProjectProfileCode": settings.project_profile,
        "CustomerUUID": customer,
        "ResponsibleCostCenter": at.entity.cost_center or "",
        "ProjectCurrency": plan.budget.currency,
        **({"EnterpriseProjectType": settings.project_type} if settings.project_type else {}),
        "to_EnterpriseProjectElement": many([from_new_workstream(one, fields) for one in plan.workstreams]),
    }
    return {**from_project(plan, fields), **fields["project"].give(fresh)}


def from_workstream(workstream: Workstream, fields: FieldMap) -> Body:
    """What may be changed of a workstream's element."""
    due = [milestone.due_on for milestone in workstream.milestones]
    return fields["workstream"].give(
        {
            "ProjectElementDescription": workstream.name[:LONG],
            "PlannedStartDate": day(workstream.start_on),
            "PlannedEndDate": day(max([*due, workstream.start_on + _YEAR])),
            "WBSElementIsBillingElement": True,
            "YY1_TLBillingModel_PTD": workstream.billing_model.value,
            "YY1_TLBudget_PTD": amount(workstream.budget.amount),
            "YY1_TLItem_PTD": workstream.item_code[:SHORT],
        }
    )


def from_new_workstream(workstream: Workstream, fields: FieldMap) -> Body:
    """A workstream's element with its milestones below it."""
    body = {
        **from_workstream(workstream, fields),
        **fields["workstream"].give({"ProjectElement": element_of(workstream.id)}),
    }
    if workstream.milestones:
        body["to_SubProjElement"] = many([from_new_milestone(one, fields) for one in workstream.milestones])
    return body


def from_milestone(milestone: MilestonePlan, fields: FieldMap) -> Body:
    """What may be changed of a milestone's element."""
    return fields["workstream"].give(
        {
            "ProjectElementDescription": f"{milestone.name} ({milestone.reference})"[:LONG],
            "PlannedStartDate": day(milestone.due_on),
            "PlannedEndDate": day(milestone.due_on),
            "YY1_TLBudget_PTD": amount(milestone.amount.amount),
        }
    )


def from_new_milestone(milestone: MilestonePlan, fields: FieldMap) -> Body:
    """A milestone's element."""
    fresh = {"ProjectElement": element_of(milestone.id), "IsProjectMilestone": MILESTONE_MARK}
    return {**from_milestone(milestone, fields), **fields["workstream"].give(fresh)}


# --- contracts ---------------------------------------------------------------------------------------------------
def from_contract(contract: ErpContract, fields: FieldMap, settings: Settings) -> Body:
    """What may be changed of a sales order."""
    return fields["contract"].give(
        {
            "PurchaseOrderByCustomer": (contract.purchase_order or "")[:35],
            "CustomerPaymentTerms": settings.terms(contract.payment_terms_days),
            "YY1_TLReference_SDH": contract.reference[:LONG],
            "YY1_TLProject_SDH": contract.project_id,
            "YY1_TLCustomer_SDH": contract.customer_id,
            "YY1_TLRateCard_SDH": (contract.rate_card_code or "")[:LONG],
            "YY1_TLCap_SDH": amount(contract.cap.amount) if contract.cap else None,
        }
    )


def from_new_contract(
    contract: ErpContract, customer: str, at: Organisation, fields: FieldMap, settings: Settings
) -> Body:
    """A sales order with a priced item per line, in one deep insert."""
    fresh = {
        "YY1_TLContract_SDH": contract.id,
        "SalesOrganization": at.entity.sales_organization,
        "DistributionChannel": at.entity.distribution_channel,
        "OrganizationDivision": at.entity.division,
        "SoldToParty": customer,
        "TransactionCurrency": contract.currency,
        "SalesOrderDate": day(contract.starts_on),
        "to_Item": many(
            [from_new_line(contract, number, fields, settings) for number in range(1, len(contract.lines) + 1)]
        ),
    }
    return {**from_contract(contract, fields, settings), **fields["contract"].give(fresh)}


def category_of(model: BillingModel, settings: Settings) -> str:
    """The item category of a billing model."""
    by_time = model is BillingModel.TIME_AND_MATERIALS
    return settings.time_item_category if by_time else settings.milestone_item_category


def from_line(contract: ErpContract, number: int, fields: FieldMap) -> Body:
    """What may be changed of a line; `number` counts from 1."""
    line = contract.lines[number - 1]
    return fields["contract_line"].give(
        {
            "Material": line.item_code,
            "SalesOrderItemText": line.description[:SHORT],
            "WBSElement": element_of(line.workstream_id),
        }
    )


def from_new_line(
    contract: ErpContract, number: int, fields: FieldMap, settings: Settings, item: str | None = None
) -> Body:
    """A priced item; `item` is its number, ten times the line's without one."""
    line = contract.lines[number - 1]
    fresh = {
        "SalesOrderItem": item or str(number * 10),
        "SalesOrderItemCategory": category_of(line.billing_model, settings),
        "RequestedQuantity": "1",
        "RequestedQuantityUnit": settings.sales_unit,
        "YY1_TLWorkstream_SDI": line.workstream_id,
        "to_PricingElement": many([condition(settings.price_condition, line.amount.amount, contract.currency)]),
    }
    return {**from_line(contract, number, fields), **fields["contract_line"].give(fresh)}


def condition(kind: str, value: Decimal, currency: str) -> Body:
    """A condition given by hand."""
    return {"ConditionType": kind, "ConditionRateValue": amount(value), "ConditionCurrency": currency}


def from_entry(entry: ScheduleEntry, fields: FieldMap) -> Body:
    """What may be changed of a date of a billing plan."""
    return fields["schedule_entry"].give(
        {"BillingPlanBillingDate": day(entry.due_on), "BillingPlanAmount": amount(entry.amount.amount)}
    )


def from_new_entry(entry: ScheduleEntry, fields: FieldMap, settings: Settings) -> Body:
    """A date of a billing plan, blocked: what is invoiced is decided by us, the plan only shows it."""
    return {
        **from_entry(entry, fields),
        **fields["schedule_entry"].give({"BillingBlockReason": settings.billing_block}),
    }


# --- invoices ----------------------------------------------------------------------------------------------------
def from_invoice(draft: InvoiceDraft, customer: str, at: Organisation, fields: FieldMap, settings: Settings) -> Body:
    """The debit memo request of an invoice, every net amount given by hand."""
    taxes = spread(draft.tax.amount, [line.net.amount for line in draft.lines], draft.currency)
    return fields["invoice_request"].give(
        {
            "DebitMemoRequestType": settings.request_type,
            "SalesOrganization": at.entity.sales_organization,
            "DistributionChannel": at.entity.distribution_channel,
            "OrganizationDivision": at.entity.division,
            "SoldToParty": customer,
            "PurchaseOrderByCustomer": (draft.purchase_order or "")[:35],
            "DebitMemoRequestDate": day(draft.invoice_on),
            "BillingDocumentDate": day(draft.invoice_on),
            "TransactionCurrency": draft.currency,
            "CustomerPaymentTerms": settings.terms(draft.payment_terms_days),
            "YY1_TLInvoice_SDH": draft.id,
            "YY1_TLPeriod_SDH": draft.period,
            "YY1_TLContract_SDH": draft.contract_id,
            "YY1_TLReference_SDH": draft.contract_reference[:LONG],
            "YY1_TLProject_SDH": draft.project_id,
            "YY1_TLCustomer_SDH": draft.customer_id,
            "to_Item": many(
                [
                    _line(number, line, tax, fields, settings)
                    for number, (line, tax) in enumerate(zip(draft.lines, taxes, strict=True), 1)
                ]
            ),
        }
    )


def _line(number: int, line: InvoiceLine, tax: Decimal, fields: FieldMap, settings: Settings) -> Body:
    hours = _hours(line) if settings.price_is_fixed_amount else None
    prices = [condition(settings.price_condition, line.net.amount, line.net.currency)]
    if settings.tax_condition:
        prices.append(condition(settings.tax_condition, tax, line.net.currency))
    body: Body = {
        "DebitMemoRequestItem": str(number * 10),
        "Material": line.item_code,
        "DebitMemoRequestItemText": line.description[:SHORT],
        "RequestedQuantity": amount(hours) if hours else "1",
        "RequestedQuantityUnit": settings.hours_unit if hours else settings.sales_unit,
        "WBSElement": element_of(line.workstream_id) if line.workstream_id else "",
        "YY1_TLLine_SDI": line.id[:LONG],
        "YY1_TLWorkstream_SDI": (line.workstream_id or "")[:LONG],
        "to_PricingElement": many(prices),
    }
    if len(line.description) > SHORT:
        body["to_Text"] = many([{"Language": "EN", "LongTextID": "0001", "LongText": line.description}])
    return fields["invoice_request_line"].give(body)


def _hours(line: InvoiceLine) -> Decimal | None:
    """The hours of a line that stands for time, where the quantity's three decimals hold them."""
    if line.kind is not LineKind.TIME or line.quantity <= 0:
        return None
    kept = round(line.quantity, DECIMALS_OF_QUANTITY)
    return kept if kept == line.quantity else None


def spread(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """A total shared out by weight in whole units of the currency; the shares add up to it exactly."""
    whole = sum(weights, Decimal(0))
    if not weights or not whole:
        return [total, *(Decimal(0) for _ in weights[1:])]
    shares: list[Decimal] = []
    given, seen = Decimal(0), Decimal(0)
    for weight in weights:
        seen += weight
        until = rounded(total * seen / whole, currency)
        shares.append(until - given)
        given = until
    return shares
