"""What must be true before a deal becomes a project; pure questions, all findings at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from process_apis.approvals.models import ApprovalKind
from process_apis.exceptions.models import Finding, OwnerRole
from process_apis.quote_to_project.models import Ability, DealFacts
from process_apis.tenants import ApprovalRules, TemplateRule
from shared.canonical.catalog import LegalEntity
from shared.canonical.contracts import ContractApproval
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel, OpportunityLine

_ALWAYS = (
    ("crm", "delivery_statuses.amend"),
    ("crm", "invoice_statuses.amend"),
    ("psa", "projects.create"),
    ("psa", "billing_marks.create"),
    ("erp", "customers.amend"),
    ("erp", "projects.amend"),
    ("erp", "contracts.amend"),
    ("erp", "invoices.create"),
)
_BY_TIME = (("psa", "time_entries.list_since"),)
_BY_MILESTONE = (("psa", "milestones.list_since"), ("erp", "billing_schedules.amend"))

# code → who is asked to act, and what to do: one row per code, the order of the firm's manual.
_REMEDIES: dict[str, tuple[OwnerRole, str]] = {
    "approval_expired": (OwnerRole.DELIVERY, "Retry: the approvals are asked for again."),
    "bill_to_incomplete": (OwnerRole.ACCOUNT_TEAM, "Complete the billing address of the account in the CRM."),
    "capability_missing": (
        OwnerRole.OPERATIONS,
        "Connect a system that can do it, or sell what the connected one can deliver.",
    ),
    "contract_missing": (OwnerRole.LEGAL, "Attach the contract to the opportunity in the CRM."),
    "contract_not_approved": (OwnerRole.LEGAL, "Get the contract approved in the CRM."),
    "currency_mismatch": (OwnerRole.FINANCE, "Sell in the legal entity's currency, or through another legal entity."),
    "customer_missing": (OwnerRole.ACCOUNT_TEAM, "Give the opportunity an account in the CRM."),
    "legal_entity_not_approved": (OwnerRole.FINANCE, "Approve the legal entity in the ERP, or sell through another."),
    "legal_entity_unknown": (OwnerRole.FINANCE, "Name a legal entity on the opportunity that the ERP knows."),
    "lines_missing": (OwnerRole.ACCOUNT_TEAM, "Add the sold services to the opportunity in the CRM."),
    "milestone_unplaced": (OwnerRole.LEGAL, "Point the milestone to a line of the opportunity in the CRM."),
    "purchase_order_missing": (
        OwnerRole.ACCOUNT_TEAM,
        "Enter the customer's purchase order on the contract in the CRM.",
    ),
    "quote_not_won": (OwnerRole.ACCOUNT_TEAM, "Close the opportunity as won in the CRM."),
    "schema_drift": (
        OwnerRole.OPERATIONS,
        "Bring the field back in the connected system, or name its new place in the tenant's mapping; then retry.",
    ),
    "service_code_unmapped": (
        OwnerRole.FINANCE,
        "Add the service to the ERP's catalog, or supply a product alias here.",
    ),
    "tax_id_missing": (OwnerRole.ACCOUNT_TEAM, "Enter the customer's own tax id in the CRM."),
}


def finding(code: str, field: str, reason: str) -> Finding:
    """A finding with the owner and the remedy of its code."""
    owner, remedy = _REMEDIES[code]
    return Finding(code=code, field=field, reason=reason, owner=owner, remedy=remedy)


def findings(facts: DealFacts, tax_id_countries: frozenset[str]) -> tuple[Finding, ...]:
    """Everything that stands in the way, sorted by code and field; nothing: the deal may be set up."""
    found = [
        *_about_the_deal(facts),
        *_about_the_customer(facts, tax_id_countries),
        *_about_the_entity(facts),
        *_about_the_lines(facts),
        *_about_the_contract(facts),
        *_about_the_systems(facts),
    ]
    return tuple(sorted(found, key=lambda each: (each.code, each.field)))


def _about_the_deal(facts: DealFacts) -> Iterator[Finding]:
    if not facts.opportunity.is_won:
        yield finding("quote_not_won", "opportunity.is_won", "The opportunity is not closed won.")
    if not facts.opportunity.lines:
        yield finding("lines_missing", "opportunity.lines", "The opportunity has no sold services.")


def _about_the_customer(facts: DealFacts, tax_id_countries: frozenset[str]) -> Iterator[Finding]:
    customer = facts.customer
    if customer is None:
        yield finding("customer_missing", "opportunity.customer_id", "The opportunity's account cannot be found.")
        return
    address = customer.bill_to
    parts = {"street": address.street, "city": address.city, "postal_code": address.postal_code}
    for name, value in parts.items():
        if _is_blank(value):
            reason = f"The {name.replace('_', ' ')} of {customer.name} is missing."
            yield finding("bill_to_incomplete", f"customer.bill_to.{name}", reason)
    if address.country in tax_id_countries and _is_blank(customer.tax_id):
        reason = f"{customer.name} is billed in {address.country} and has no tax id of its own."
        yield finding("tax_id_missing", "customer.tax_id", reason)


def _about_the_entity(facts: DealFacts) -> Iterator[Finding]:
    opportunity = facts.opportunity
    entity = entity_of(facts)
    if entity is None:
        named = opportunity.legal_entity_code or "none"
        yield finding("legal_entity_unknown", "opportunity.legal_entity_code", f"The ERP has no legal entity {named}.")
        return
    if not entity.is_approved:
        reason = f"Legal entity {entity.code} is not approved for business."
        yield finding("legal_entity_not_approved", "opportunity.legal_entity_code", reason)
    if opportunity.amount.currency != entity.currency:
        reason = f"The deal is in {opportunity.amount.currency}, {entity.code} keeps its books in {entity.currency}."
        yield finding("currency_mismatch", "opportunity.amount.currency", reason)


def _about_the_lines(facts: DealFacts) -> Iterator[Finding]:
    codes = item_codes(facts)
    for number, line in enumerate(facts.opportunity.lines):
        if line.product_code not in codes:
            reason = f"The ERP's catalog has no service for {line.product_code}."
            yield finding("service_code_unmapped", f"opportunity.lines.{number}.product_code", reason)


def _about_the_contract(facts: DealFacts) -> Iterator[Finding]:
    contract = facts.contract
    if contract is None:
        yield finding("contract_missing", "contract", "The opportunity has no contract.")
        return
    if contract.approval is not ContractApproval.APPROVED:
        reason = f"Contract {contract.reference} is {contract.approval.value.replace('_', ' ')}."
        yield finding("contract_not_approved", "contract.approval", reason)
    if facts.customer is not None and facts.customer.requires_purchase_order and _is_blank(contract.purchase_order):
        reason = f"{facts.customer.name} requires a purchase order, contract {contract.reference} has none."
        yield finding("purchase_order_missing", "contract.purchase_order", reason)
    for number, milestone in enumerate(contract.milestones):
        if line_of(milestone.line_reference, milestone.workstream, facts.opportunity.lines) is None:
            reason = f"Milestone {milestone.reference} belongs to no line of the opportunity."
            yield finding("milestone_unplaced", f"contract.milestones.{number}.workstream", reason)


def _about_the_systems(facts: DealFacts) -> Iterator[Finding]:
    """Said before anything is created: nothing is begun that a connected system could not end."""
    for role, act in acts_needed(facts):
        system = _system(facts, role)
        entity, _, verb = act.partition(".")
        if system is not None and verb not in system.can.get(entity, ()):
            reason = (
                f"{system.name}, the {role.upper()} of this deal, cannot {verb.replace('_', ' ')} {_words(entity)}."
            )
            yield finding("capability_missing", f"systems.{role}.{act}", reason)
    of_the_deal = (_system(facts, role) for role in ("crm", "psa", "erp"))
    yield from schema_findings(system for system in of_the_deal if system is not None)


def schema_findings(systems: Iterable[Ability]) -> tuple[Finding, ...]:
    """Where mappings no longer fit the systems' schemas so that records cannot be read or written, sorted by field."""
    found = [
        finding(
            "schema_drift",
            f"systems.{system.role}.{drift.entity}.{drift.field}",
            f"The schema of {system.name} changed: {drift.reason}.",
        )
        for system in systems
        for drift in system.drift
        if drift.is_blocking
    ]
    return tuple(sorted(found, key=lambda each: each.field))


def acts_needed(facts: DealFacts) -> tuple[tuple[str, str], ...]:
    """What the deal will ask of its systems, as (role, act): always, for work by time, and for agreed amounts."""
    models = {line.billing_model for line in facts.opportunity.lines}
    needed = list(_ALWAYS)
    if BillingModel.TIME_AND_MATERIALS in models:
        needed += _BY_TIME
    if facts.contract is not None and facts.contract.milestones:
        needed += _BY_MILESTONE
    return tuple(needed)


def _system(facts: DealFacts, role: str) -> Ability | None:
    """The system that plays the role for the deal's legal entity; None where the tier told of none."""
    code = facts.opportunity.legal_entity_code
    playing = [each for each in facts.abilities if each.role == role]
    alone = (each for each in playing if each.legal_entities is not None and code in each.legal_entities)
    return next(alone, None) or next((each for each in playing if each.legal_entities is None), None)


def _words(entity: str) -> str:
    return entity.replace("_", " ")


def _is_blank(value: str | None) -> bool:
    return value is None or not value.strip()


def entity_of(facts: DealFacts) -> LegalEntity | None:
    """The legal entity the deal is sold through."""
    return next((each for each in facts.legal_entities if each.code == facts.opportunity.legal_entity_code), None)


def item_codes(facts: DealFacts) -> dict[str, str]:
    """Product code as sold → item code in the ERP of the deal's legal entity, aliases included; the catalog wins."""
    sold_by = facts.opportunity.legal_entity_code
    catalog = {
        item.product_code: item.item_code
        for item in facts.service_items
        if item.legal_entity_codes is None or sold_by in item.legal_entity_codes
    }
    aliased = {sold: catalog[meant] for sold, meant in facts.product_aliases.items() if meant in catalog}
    return {**aliased, **catalog}


def line_of(line_reference: str, workstream: str, lines: tuple[OpportunityLine, ...]) -> OpportunityLine | None:
    """The line a milestone belongs to: by the line's reference, else by the workstream's name."""
    by_reference = (line for line in lines if line_reference in {line.reference, line.ref})
    by_workstream = (line for line in lines if line.workstream == workstream)
    return next(by_reference, None) or next(by_workstream, None)


def approvals_needed(amount: Money, entity_currency: str, rules: ApprovalRules) -> tuple[ApprovalKind, ...]:
    """Delivery always; finance too from the threshold on, in the firm's own currency.

    An entity currency without a factor is treated as large: finance looks at it.
    """
    factor = rules.factors.get(entity_currency)
    is_large = factor is None or _in_own_currency(amount.amount, factor) >= rules.finance_from
    return (ApprovalKind.DELIVERY, ApprovalKind.FINANCE) if is_large else (ApprovalKind.DELIVERY,)


def _in_own_currency(amount: Decimal, factor: Decimal) -> Decimal:
    return amount / factor


def template_for(models: frozenset[BillingModel], rules: tuple[TemplateRule, ...]) -> str | None:
    """The template of the first rule that covers all billing models of the deal."""
    return next((rule.template for rule in rules if models <= rule.billing_models), None)
