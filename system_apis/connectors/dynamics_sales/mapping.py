"""Between Dataverse's rows and the canonical models, in both directions; total functions, no sum is ever guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from shared.canonical.contracts import Contract, ContractApproval, ContractMilestone
from shared.canonical.customers import Address, Customer
from shared.canonical.money import MINOR_DIGITS, Money, rounded
from shared.canonical.opportunities import (
    BillingModel,
    DeliveryStatus,
    InvoiceStatus,
    Opportunity,
    OpportunityLine,
)
from shared.canonical.references import SourceRef
from shared.errors.taxonomy import FieldFinding, MappingMissing
from system_apis.connectors.dynamics_sales.payloads import (
    ACTIVE,
    FORMATTED,
    WON,
    Agreement,
    Buyer,
    Deal,
    LinePayload,
    MilestonePayload,
    OpportunityPayload,
)
from system_apis.fields import EntityFields, FieldMap, FieldPlace, load_fields
from system_apis.ports.binding import Binding

Json = dict[str, Any]
Model = TypeVar("Model")


def changed_at(whole: Deal | Agreement | Buyer) -> datetime:
    """When the record or one that belongs to it last changed."""
    return max(row.modified_on for row in (whole.row, *whole.children))


def version_of(whole: Deal | Agreement | Buyer) -> str:
    """The highest row version and how many rows: a row that went shows in the second, all else in the first."""
    rows = (whole.row, *whole.children)
    return f"{max(row.version for row in rows)}-{len(rows)}"


def to_opportunity(deal: Deal, binding: Binding) -> Opportunity:
    """A deal with its lines, in the order of their references."""
    row = deal.row
    lines = (_line(line, row) for line in deal.children)
    return Opportunity(
        tenant=binding.tenant,
        id=binding.identify("opportunity", row.id),
        source=_source(deal, binding),
        reference=row.reference or row.id,
        name=row.name,
        customer_id=binding.identify("customer", row.account_id),
        customer_ref=row.account_id,
        is_won=row.state == WON,
        amount=_money(_needed(_won(row, row.actual, row.estimated), "estimatedvalue"), row.currency.code),
        close_on=_needed(_won(row, row.closed_on, row.expected_on), "estimatedclosedate"),
        region=row.region,
        legal_entity_code=row.legal_entity,
        owner=row.sales_owner or row.record_owner,
        revision=row.revision or 1,
        lines=tuple(sorted(lines, key=lambda line: line.reference)),
    )


def to_customer(buyer: Buyer, binding: Binding) -> Customer:
    """A customer with its billing address; the address lines become one text."""
    row = buyer.row
    lines = [line for line in (row.line1, row.line2, row.line3) if line]
    return Customer(
        tenant=binding.tenant,
        id=binding.identify("customer", row.id),
        source=_source(buyer, binding),
        name=row.name,
        parent_id=binding.identify("customer", row.parent_id) if row.parent_id else None,
        bill_to=Address(
            street="\n".join(lines) or None, city=row.city, postal_code=row.postal_code, country=row.country
        ),
        tax_id=row.tax_id,
        requires_purchase_order=bool(row.po_required),
        industry=None if row.industry is None else str(row.industry),
    )


def to_contract(agreement: Agreement, binding: Binding) -> Contract:
    """A contract with its milestones, in the order of their references; one out of use may not be worked under."""
    row = agreement.row
    milestones = (_milestone(milestone, binding) for milestone in agreement.children)
    approval = ContractApproval(row.approval) if row.approval else ContractApproval.IN_REVIEW
    return Contract(
        tenant=binding.tenant,
        id=binding.identify("contract", row.id),
        source=_source(agreement, binding),
        reference=row.reference or row.id,
        opportunity_id=binding.identify("opportunity", row.opportunity_id),
        approval=approval if row.state == ACTIVE else ContractApproval.REJECTED,
        signed_on=row.signed_on,
        payment_terms_days=row.payment_terms_days,
        cap=None if row.cap is None else _money(row.cap, row.currency.code),
        purchase_order=row.po_number,
        rate_card_code=row.rate_card,
        revision=row.revision or 1,
        milestones=tuple(sorted(milestones, key=lambda milestone: milestone.reference)),
    )


def from_delivery_status(status: DeliveryStatus) -> dict[str, Any]:
    """The delivery columns in our words."""
    return {
        "thl_deliverystage": status.stage.value,
        "thl_projectid": status.project_id,
        "thl_psaprojectid": status.project_ref,
        "thl_deliverymessage": (status.message or "").strip() or None,
    }


def from_invoice_status(opportunity_ref: str, status: InvoiceStatus) -> dict[str, Any]:
    """The columns of a thl_invoicestatus but its key, in our words."""
    return {
        "_thl_opportunityid_value": opportunity_ref,
        "thl_invoiceref": status.invoice_ref,
        "thl_period": status.period,
        "thl_stage": status.stage.value,
        "transactioncurrencyid": {"isocurrencycode": status.gross.currency},
        "thl_gross": status.gross.amount,
        "thl_paid": status.paid.amount,
    }


def _source(whole: Deal | Agreement | Buyer, binding: Binding) -> SourceRef:
    return binding.source(whole.row.id, version_of(whole), changed_at(whole))


def _won(row: OpportunityPayload, won: Model | None, expected: Model | None) -> Model | None:
    """What holds of a won deal, else what is expected of it."""
    return won if row.state == WON and won is not None else expected if expected is not None else won


def _needed(value: Model | None, column: str) -> Model:
    if value is None:
        raise ValueError(f"{column} has no value")
    return value


def _line(line: LinePayload, deal: OpportunityPayload) -> OpportunityLine:
    """A sold line; the vendor's extended amount has the tax in it."""
    if line.pricing_error:
        raise ValueError(f"line {line.id} is priced with error {line.pricing_error}: its amount does not count")
    code = line.product.number if line.product else line.write_in
    return OpportunityLine(
        ref=line.id,
        reference=line.reference or line.id,
        product_code=code or line.id,
        workstream=line.workstream,
        amount=_money(line.extended - (line.tax or 0), deal.currency.code),
        billing_model=BillingModel(line.billing_model),
        start_on=line.start_on or _needed(_won(deal, deal.closed_on, deal.expected_on), "estimatedclosedate"),
    )


def _milestone(milestone: MilestonePayload, binding: Binding) -> ContractMilestone:
    return ContractMilestone(
        id=binding.identify("milestone", milestone.id),
        reference=milestone.reference or milestone.id,
        line_reference=milestone.line_reference,
        workstream=milestone.workstream,
        name=milestone.name,
        amount=_money(milestone.amount, milestone.currency.code),
        due_on=milestone.due_on,
    )


def _money(amount: Decimal, currency: str) -> Money:
    """The sum with the digits its currency knows; one with more is refused, nothing is rounded away."""
    fitting = rounded(amount, currency) if currency in MINOR_DIGITS else amount
    return Money(amount=fitting if fitting == amount else amount, currency=currency)


class Choices:
    """Option sets of rows and bodies in our words and back; moved fields are the field map's own business."""

    def __init__(self, system: str, folder: Path, fields: FieldMap) -> None:
        self._system = system
        self._fields = fields
        self._standard = load_fields(folder)

    def read(self, entity: str, row: Mapping[str, Any], *, shown_by_label: tuple[str, ...] = ()) -> Json:
        """A row as it came, in standard places and our words. Raises VendorDrift, MappingMissing.

        `shown_by_label`: canonical fields whose text for people counts, unless a tenant's table says what values mean.
        """
        fields = self._fields[entity]
        labelled: Json = dict(row)
        for name in shown_by_label:
            place = fields.places[name]
            if not place.values and (text := row.get(f"{place.path}@{FORMATTED}")) is not None:
                labelled[place.path] = text
        taken = fields.take(labelled)
        for name, place in self._unmoved(entity, fields).items():
            value = taken.get(place.path)
            if value is not None:
                taken[place.path] = self._ours(entity, name, place, value)
        return taken

    def write(self, entity: str, values: Mapping[str, Any]) -> Json:
        """A body in our words as the environment wants it. Raises MappingMissing."""
        fields = self._fields[entity]
        body: Json = dict(values)
        for name, place in self._unmoved(entity, fields).items():
            if (word := body.get(place.path)) is not None:
                body[place.path] = self._theirs(entity, name, place, word)
        given = fields.give(body)
        for place in fields.places.values():
            value = given.get(place.path)
            if place.values and isinstance(value, str) and value.isdigit():
                given[place.path] = int(value)
        return given

    def _unmoved(self, entity: str, fields: EntityFields) -> dict[str, FieldPlace]:
        standard = self._standard[entity].places
        return {name: place for name, place in fields.places.items() if place.values and place == standard[name]}

    def _ours(self, entity: str, name: str, place: FieldPlace, value: Any) -> str:
        if str(value) not in place.values:
            raise self._unmapped(f"{entity}.{name}", f"{place.path} has {value!r}, which the value table lacks")
        return place.values[str(value)]

    def _theirs(self, entity: str, name: str, place: FieldPlace, word: Any) -> str:
        theirs = [value for value, ours in place.values.items() if ours == word]
        if not theirs:
            raise self._unmapped(f"{entity}.{name}", f"no value of {place.path} means {word!r}")
        return theirs[0]

    def _unmapped(self, field: str, reason: str) -> MappingMissing:
        return MappingMissing(f"{self._system}: {field}: {reason}.", findings=[FieldFinding(field, reason)])
