"""What is to be set up for a deal without findings, written out in full before anything is created; pure."""

from __future__ import annotations

from process_apis.quote_to_project.models import DealFacts, DealPlan
from process_apis.quote_to_project.rules import approvals_needed, entity_of, item_codes, line_of, template_for
from process_apis.tenants import TenantRules
from shared.canonical.billing import BillingSchedule, ContractLine, ErpContract, ScheduleEntry
from shared.canonical.catalog import LegalEntity
from shared.canonical.contracts import Contract, ContractMilestone
from shared.canonical.money import Money
from shared.canonical.opportunities import OpportunityLine
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from shared.canonical.references import canonical_id
from shared.errors.taxonomy import Defect


def deal_plan(facts: DealFacts, rules: TenantRules) -> DealPlan:
    """The plan. Raises Defect when asked for a deal that still has findings."""
    entity, customer, contract = entity_of(facts), facts.customer, facts.contract
    if entity is None or customer is None or contract is None:
        raise Defect(detail="a plan was asked for a deal with findings")
    opportunity = facts.opportunity
    project = _project(facts, contract, entity, rules)
    return DealPlan(
        opportunity=opportunity,
        customer=customer,
        contract=contract,
        legal_entity=entity,
        project=project,
        erp_contract=_erp_contract(facts, contract, entity, project),
        schedule=_schedule(facts, contract, entity, project),
        approvals=approvals_needed(opportunity.amount, entity.currency, rules.approvals),
    )


def workstream_id(tenant: str, opportunity_id: str, name: str) -> str:
    """Our id of a workstream."""
    return canonical_id("workstream", tenant, opportunity_id, name)


def _project(facts: DealFacts, contract: Contract, entity: LegalEntity, rules: TenantRules) -> ProjectPlan:
    opportunity = facts.opportunity
    models = frozenset(line.billing_model for line in opportunity.lines)
    return ProjectPlan(
        id=canonical_id("project", opportunity.tenant, opportunity.id),
        opportunity_id=opportunity.id,
        opportunity_reference=opportunity.reference,
        contract_id=contract.id,
        contract_reference=contract.reference,
        customer_id=opportunity.customer_id,
        customer_name=facts.customer.name if facts.customer else opportunity.customer_ref,
        name=opportunity.name,
        legal_entity_code=entity.code,
        budget=opportunity.amount,
        start_on=min(line.start_on for line in opportunity.lines),
        template=template_for(models, rules.templates),
        workstreams=_workstreams(facts, contract),
    )


def _workstreams(facts: DealFacts, contract: Contract) -> tuple[Workstream, ...]:
    codes = item_codes(facts)
    opportunity = facts.opportunity
    grouped: dict[str, list[OpportunityLine]] = {}
    for line in opportunity.lines:
        grouped.setdefault(line.workstream, []).append(line)
    return tuple(
        Workstream(
            id=workstream_id(opportunity.tenant, opportunity.id, name),
            name=name,
            item_code=codes[lines[0].product_code],
            billing_model=lines[0].billing_model,
            budget=_sum([line.amount for line in lines]),
            start_on=min(line.start_on for line in lines),
            milestones=tuple(
                MilestonePlan(
                    id=milestone.id,
                    reference=milestone.reference,
                    name=milestone.name,
                    amount=milestone.amount,
                    due_on=milestone.due_on,
                )
                for milestone in contract.milestones
                if _workstream_of(milestone, facts) == name
            ),
        )
        for name, lines in grouped.items()
    )


def _erp_contract(facts: DealFacts, contract: Contract, entity: LegalEntity, project: ProjectPlan) -> ErpContract:
    codes = item_codes(facts)
    opportunity = facts.opportunity
    return ErpContract(
        id=contract.id,
        reference=contract.reference,
        customer_id=opportunity.customer_id,
        project_id=project.id,
        legal_entity_code=entity.code,
        currency=entity.currency,
        payment_terms_days=contract.payment_terms_days,
        purchase_order=contract.purchase_order,
        rate_card_code=contract.rate_card_code,
        cap=contract.cap,
        starts_on=project.start_on,
        lines=tuple(
            ContractLine(
                workstream_id=workstream_id(opportunity.tenant, opportunity.id, line.workstream),
                item_code=codes[line.product_code],
                description=f"{line.workstream}: {line.product_code}",
                amount=line.amount,
                billing_model=line.billing_model,
            )
            for line in opportunity.lines
        ),
    )


def _schedule(facts: DealFacts, contract: Contract, entity: LegalEntity, project: ProjectPlan) -> BillingSchedule:
    opportunity = facts.opportunity
    return BillingSchedule(
        id=f"bs-{contract.id}",
        contract_id=contract.id,
        project_id=project.id,
        currency=entity.currency,
        entries=tuple(
            ScheduleEntry(
                milestone_id=milestone.id,
                reference=milestone.reference,
                workstream_id=workstream_id(opportunity.tenant, opportunity.id, _workstream_of(milestone, facts)),
                name=milestone.name,
                amount=milestone.amount,
                due_on=milestone.due_on,
            )
            for milestone in contract.milestones
        ),
    )


def _workstream_of(milestone: ContractMilestone, facts: DealFacts) -> str:
    line = line_of(milestone.line_reference, milestone.workstream, facts.opportunity.lines)
    return milestone.workstream if line is None else line.workstream


def _sum(amounts: list[Money]) -> Money:
    total = amounts[0]
    for amount in amounts[1:]:
        total += amount
    return total
