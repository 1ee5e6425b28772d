"""Between Salesforce's rows and the canonical models, in both directions; total functions, no sum is ever guessed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.canonical.contracts import Contract, ContractApproval, ContractMilestone
from shared.canonical.customers import Address, Customer
from shared.canonical.money import Money
from shared.canonical.opportunities import (
    BillingModel,
    DeliveryStatus,
    InvoiceStatus,
    Opportunity,
    OpportunityLine,
)
from system_apis.connectors.salesforce.payloads import (
    AccountPayload,
    ContractPayload,
    LinePayload,
    MilestonePayload,
    OpportunityPayload,
)
from system_apis.dialects.salesforce.stamps import stamp_of
from system_apis.ports.binding import Binding

_ACTIVATED = "Activated"
_REJECTED = "Rejected"


def opportunity_stamp(payload: OpportunityPayload) -> datetime:
    """When the deal or one of its lines last changed."""
    lines = payload.lines.records if payload.lines else ()
    return max(payload.system_modstamp, *(line.system_modstamp for line in lines), payload.system_modstamp)


def contract_stamp(payload: ContractPayload) -> datetime:
    """When the contract or one of its milestones last changed."""
    milestones = payload.milestones.records if payload.milestones else ()
    return max(payload.system_modstamp, *(m.system_modstamp for m in milestones), payload.system_modstamp)


def customer_stamp(payload: AccountPayload) -> datetime:
    """When the customer last changed."""
    return payload.system_modstamp


def _money(amount: Decimal, currency: str) -> Money:
    """The amount in the currency's own digits; an amount with more digits than the currency knows is refused."""
    return Money.of(Money(amount=amount, currency=currency).amount, currency)


def _line(payload: LinePayload, opportunity: OpportunityPayload) -> OpportunityLine:
    return OpportunityLine(
        ref=payload.id,
        reference=payload.reference or payload.id,
        product_code=payload.product_code or payload.name or payload.id,
        workstream=payload.workstream,
        amount=_money(payload.total_price, opportunity.currency),
        billing_model=BillingModel(payload.billing_model),
        start_on=payload.service_date or opportunity.close_date,
    )


def to_opportunity(payload: OpportunityPayload, binding: Binding) -> Opportunity:
    """A deal with its lines, in the order of their references."""
    lines = payload.lines.records if payload.lines else ()
    changed = opportunity_stamp(payload)
    return Opportunity(
        tenant=binding.tenant,
        id=binding.identify("opportunity", payload.id),
        source=binding.source(payload.id, stamp_of(changed), changed),
        reference=payload.reference or payload.id,
        name=payload.name,
        customer_id=binding.identify("customer", payload.account_id),
        customer_ref=payload.account_id,
        is_won=payload.is_closed and payload.is_won,
        amount=_money(payload.amount, payload.currency),
        close_on=payload.close_date,
        region=payload.region,
        legal_entity_code=payload.legal_entity,
        owner=payload.sales_owner or (payload.owner.name if payload.owner else None),
        revision=_revision(payload.revision),
        lines=tuple(sorted((_line(line, payload) for line in lines), key=lambda line: line.reference)),
    )


def to_customer(payload: AccountPayload, binding: Binding) -> Customer:
    """A customer with its billing address."""
    return Customer(
        tenant=binding.tenant,
        id=binding.identify("customer", payload.id),
        source=binding.source(payload.id, stamp_of(payload.system_modstamp), payload.system_modstamp),
        name=payload.name,
        parent_id=binding.identify("customer", payload.parent_id) if payload.parent_id else None,
        bill_to=Address(
            street=payload.street, city=payload.city, postal_code=payload.postal_code, country=payload.country_code
        ),
        tax_id=payload.tax_id,
        requires_purchase_order=payload.po_required,
        industry=payload.industry,
    )


def _approval(payload: ContractPayload) -> ContractApproval:
    """By the status category, since administrators rename the statuses themselves."""
    if payload.status_code == _ACTIVATED:
        return ContractApproval.APPROVED
    return ContractApproval.REJECTED if payload.status == _REJECTED else ContractApproval.IN_REVIEW


def _milestone(payload: MilestonePayload, binding: Binding) -> ContractMilestone:
    return ContractMilestone(
        id=binding.identify("milestone", payload.id),
        reference=payload.reference or payload.id,
        line_reference=payload.line_reference,
        workstream=payload.workstream,
        name=payload.name,
        amount=_money(payload.amount, payload.currency),
        due_on=payload.due_date,
    )


def to_contract(payload: ContractPayload, binding: Binding) -> Contract:
    """A contract with its milestones, in the order of their references."""
    milestones = payload.milestones.records if payload.milestones else ()
    changed = contract_stamp(payload)
    return Contract(
        tenant=binding.tenant,
        id=binding.identify("contract", payload.id),
        source=binding.source(payload.id, stamp_of(changed), changed),
        reference=payload.reference or payload.number,
        opportunity_id=binding.identify("opportunity", payload.opportunity_id),
        approval=_approval(payload),
        signed_on=payload.signed_date,
        payment_terms_days=int(payload.payment_terms_days),
        cap=None if payload.cap_amount is None else _money(payload.cap_amount, payload.currency),
        purchase_order=payload.po_number,
        rate_card_code=payload.rate_card,
        revision=_revision(payload.revision),
        milestones=tuple(sorted((_milestone(m, binding) for m in milestones), key=lambda m: m.reference)),
    )


def _revision(given: Decimal | None) -> int:
    return 1 if given is None else int(given)


def from_delivery_status(status: DeliveryStatus) -> dict[str, Any]:
    """The delivery fields of an Opportunity."""
    return {
        "Delivery_Stage__c": status.stage.value,
        "Throughline_Project_Id__c": status.project_id,
        "PSA_Project_Id__c": status.project_ref,
        "Delivery_Message__c": (status.message or "").strip() or None,
    }


def from_invoice_status(opportunity_ref: str, status: InvoiceStatus) -> dict[str, Any]:
    """The fields of an Invoice_Status__c but its external id."""
    return {
        "Opportunity__c": opportunity_ref,
        "Invoice_Reference__c": status.invoice_ref,
        "Period__c": status.period,
        "Stage__c": status.stage.value,
        "CurrencyIsoCode": status.gross.currency,
        "Gross_Amount__c": status.gross.amount,
        "Paid_Amount__c": status.paid.amount,
    }
