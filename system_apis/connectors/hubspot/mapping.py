"""Between HubSpot's records and the canonical models, in both directions; total functions, no sum is ever guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

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
from system_apis.connectors.hubspot.payloads import (
    CompanyPayload,
    ContractPayload,
    DealPayload,
    LinePayload,
    MilestonePayload,
    Payload,
)
from system_apis.ports.binding import Binding

_APPROVALS = {"approved": ContractApproval.APPROVED, "rejected": ContractApproval.REJECTED}


@dataclass(frozen=True, slots=True)
class CompanyRows:
    """A company and the one above it."""

    payload: CompanyPayload
    parent_ref: str | None

    @property
    def children(self) -> Sequence[Payload]:
        """A company changes by itself alone."""
        return ()


@dataclass(frozen=True, slots=True)
class DealRows:
    """A deal, its lines, who buys, who sold it, what its stage means, and how the portal counts days and money."""

    payload: DealPayload
    children: Sequence[LinePayload]
    company_ref: str
    owner: str | None
    is_won: bool
    zone: tzinfo
    home_currency: str | None


@dataclass(frozen=True, slots=True)
class ContractRows:
    """A contract, its milestones, and its deal."""

    payload: ContractPayload
    children: Sequence[MilestonePayload]
    deal_ref: str


def stamp_of(moment: datetime) -> str:
    """The version marker of a record last changed then."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hint_key(entity: str, ref: str, at: datetime) -> str:
    """What de-duplicates a hint: the record and the instant of its change; ids of two objects may be alike."""
    return f"{entity}:{ref}@{round(at.timestamp() * 1000)}"


def changed_at(rows: CompanyRows | DealRows | ContractRows) -> datetime:
    """When the record, or the last of its children, changed."""
    return max([rows.payload.modified_at, *(child.modified_at for child in rows.children)])


def _money(amount: Decimal, currency: str | None) -> Money:
    """The amount in the currency's own digits; an amount with more digits than the currency knows is refused."""
    if currency is None:
        message = "deal_currency_code is empty, and no home_currency is set"
        raise ValueError(message)
    return Money.of(Money(amount=amount, currency=currency).amount, currency)


def _count(number: Decimal) -> int:
    if number != number.to_integral_value():
        message = f"{number} is not a whole number"
        raise ValueError(message)
    return int(number)


def _line(payload: LinePayload, deal: DealPayload, rows: DealRows) -> OpportunityLine:
    return OpportunityLine(
        ref=payload.id,
        reference=payload.reference or payload.id,
        product_code=payload.sku or payload.name or payload.id,
        workstream=payload.workstream,
        amount=_money(payload.amount, payload.currency or deal.currency or rows.home_currency),
        billing_model=BillingModel(payload.billing_model),
        start_on=payload.start_on or deal.close_at.astimezone(rows.zone).date(),
    )


def to_opportunity(rows: DealRows, binding: Binding) -> Opportunity:
    """A deal with its lines, in the order of their references."""
    deal, changed = rows.payload, changed_at(rows)
    lines = (_line(line, deal, rows) for line in rows.children)
    return Opportunity(
        tenant=binding.tenant,
        id=binding.identify("opportunity", deal.id),
        source=binding.source(deal.id, stamp_of(changed), changed),
        reference=deal.reference or deal.id,
        name=deal.name,
        customer_id=binding.identify("customer", rows.company_ref),
        customer_ref=rows.company_ref,
        is_won=rows.is_won,
        amount=_money(deal.amount, deal.currency or rows.home_currency),
        close_on=deal.close_at.astimezone(rows.zone).date(),
        region=deal.region,
        legal_entity_code=deal.legal_entity,
        owner=deal.sales_owner or rows.owner,
        revision=1 if deal.revision is None else _count(deal.revision),
        lines=tuple(sorted(lines, key=lambda line: line.reference)),
    )


def to_customer(rows: CompanyRows, binding: Binding) -> Customer:
    """A customer with its billing address; a box nobody ticked is not ticked."""
    company = rows.payload
    return Customer(
        tenant=binding.tenant,
        id=binding.identify("customer", company.id),
        source=binding.source(company.id, stamp_of(company.modified_at), company.modified_at),
        name=company.name,
        parent_id=binding.identify("customer", rows.parent_ref) if rows.parent_ref else None,
        bill_to=Address(
            street=company.street, city=company.city, postal_code=company.postal_code, country=company.country_code
        ),
        tax_id=company.tax_id,
        requires_purchase_order=bool(company.po_required),
        industry=company.industry,
    )


def _milestone(payload: MilestonePayload, binding: Binding) -> ContractMilestone:
    return ContractMilestone(
        id=binding.identify("milestone", payload.id),
        reference=payload.reference or payload.id,
        line_reference=payload.line_reference,
        workstream=payload.workstream,
        name=payload.name,
        amount=_money(payload.amount, payload.currency),
        due_on=payload.due_on,
    )


def is_approved(payload: ContractPayload) -> bool:
    """Whether the contract may be worked under."""
    return _APPROVALS.get(payload.approval) is ContractApproval.APPROVED


def to_contract(rows: ContractRows, binding: Binding) -> Contract:
    """A contract with its milestones, in the order of their references."""
    contract, changed = rows.payload, changed_at(rows)
    milestones = (_milestone(one, binding) for one in rows.children)
    return Contract(
        tenant=binding.tenant,
        id=binding.identify("contract", contract.id),
        source=binding.source(contract.id, stamp_of(changed), changed),
        reference=contract.reference or contract.id,
        opportunity_id=binding.identify("opportunity", rows.deal_ref),
        approval=_APPROVALS.get(contract.approval, ContractApproval.IN_REVIEW),
        signed_on=contract.signed_on,
        payment_terms_days=_count(contract.payment_terms_days),
        cap=None if contract.cap_amount is None else _money(contract.cap_amount, contract.currency),
        purchase_order=contract.po_number,
        rate_card_code=contract.rate_card,
        revision=1 if contract.revision is None else _count(contract.revision),
        milestones=tuple(sorted(milestones, key=lambda one: one.reference)),
    )


def from_delivery_status(status: DeliveryStatus) -> dict[str, str | None]:
    """The delivery properties of a deal; None: nothing is to stand there."""
    return {
        "tl_delivery_stage": status.stage.value,
        "tl_project_id": status.project_id,
        "tl_project_ref": status.project_ref,
        "tl_delivery_message": (status.message or "").strip() or None,
    }


def from_invoice_status(invoice_id: str, status: InvoiceStatus) -> dict[str, str | None]:
    """The properties of an invoice status; sums as texts with all their digits."""
    return {
        "tl_invoice_id": invoice_id,
        "tl_invoice_ref": status.invoice_ref,
        "tl_period": status.period,
        "tl_stage": status.stage.value,
        "tl_currency": status.gross.currency,
        "tl_gross_amount": format(status.gross.amount, "f"),
        "tl_paid_amount": format(status.paid.amount, "f"),
    }
