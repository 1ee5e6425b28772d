"""What must be true before a deal becomes a project, and the plan that follows."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_apis.quote_to_project.models import Ability, DealFacts, DriftSeen
from process_apis.quote_to_project.plans import deal_plan
from process_apis.quote_to_project.rules import approvals_needed, findings, template_for
from process_apis.tenants import Tenants
from shared.canonical.contracts import ContractApproval
from shared.canonical.customers import Address
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from tests.unit.process.conftest import TENANTS
from tests.unit.process.fake_systems import contract, customer, legal_entity, opportunity, service_item

RULES = Tenants.read(TENANTS).of("harbour")


def facts(**changes: Any) -> DealFacts:
    known: dict[str, Any] = {
        "opportunity": opportunity(),
        "customer": customer(),
        "contract": contract(),
        "legal_entities": (legal_entity(),),
        "service_items": (service_item("GTX Pro"), service_item("GTX Basic")),
        "product_aliases": {},
    }
    return DealFacts(**{**known, **changes})


def codes(known: DealFacts) -> list[str]:
    return [each.code for each in findings(known, RULES.tax_id_countries)]


def test_a_complete_deal_has_no_findings() -> None:
    assert codes(facts()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"customer": customer(bill_to=Address(street=" ", city=None, country="US"))}, ["bill_to_incomplete"] * 3),
        ({"customer": customer(tax_id="")}, ["tax_id_missing"]),
        ({"customer": customer(tax_id=None, bill_to=customer().bill_to.model_copy(update={"country": "US"}))}, []),
        ({"customer": customer(requires_purchase_order=True)}, ["purchase_order_missing"]),
        ({"customer": None}, ["customer_missing"]),
        ({"contract": contract(approval=ContractApproval.IN_REVIEW)}, ["contract_not_approved"]),
        ({"contract": None}, ["contract_missing"]),
        ({"legal_entities": (legal_entity(is_approved=False),)}, ["legal_entity_not_approved"]),
        ({"legal_entities": (legal_entity(currency="USD"),)}, ["currency_mismatch"]),
        ({"legal_entities": ()}, ["legal_entity_unknown"]),
        ({"service_items": (service_item("GTX Pro"),)}, ["service_code_unmapped"]),
        ({"service_items": (), "product_aliases": {"GTX Pro": "Nothing"}}, ["service_code_unmapped"] * 2),
        ({"opportunity": opportunity(is_won=False)}, ["quote_not_won"]),
        ({"opportunity": opportunity(lines=())}, ["lines_missing", "milestone_unplaced"]),
    ],
)
def test_each_gap_is_found(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(facts(**changes)) == expected


def test_everything_is_reported_together_sorted_with_owner_and_remedy() -> None:
    found = findings(
        facts(
            customer=customer(tax_id=None, bill_to=Address(country="DE"), requires_purchase_order=True),
            contract=contract(approval=ContractApproval.IN_REVIEW),
            legal_entities=(legal_entity(is_approved=False, currency="USD"),),
            service_items=(),
        ),
        RULES.tax_id_countries,
    )
    unique = sorted({each.code for each in found})
    assert unique == [
        "bill_to_incomplete",
        "contract_not_approved",
        "currency_mismatch",
        "legal_entity_not_approved",
        "purchase_order_missing",
        "service_code_unmapped",
        "tax_id_missing",
    ]
    assert [each.code for each in found] == sorted(each.code for each in found)
    assert all(each.remedy and each.reason and each.field for each in found)


ERP = {
    "customers": ("amend",),
    "projects": ("amend",),
    "contracts": ("amend",),
    "invoices": ("create",),
    "billing_schedules": ("amend",),
}


def ability(name: str = "some-erp", *, entities: tuple[str, ...] | None = None, lacks: str = "") -> Ability:
    can = {entity: verbs for entity, verbs in ERP.items() if entity != lacks}
    return Ability(name=name, role="erp", legal_entities=entities, can=can)


def test_what_a_connected_system_lacks_is_said_before_anything_is_created() -> None:
    found = findings(facts(abilities=(ability(lacks="billing_schedules"),)), RULES.tax_id_countries)
    assert [(each.code, each.field, each.owner.value) for each in found] == [
        ("capability_missing", "systems.erp.billing_schedules.amend", "operations")
    ]
    assert "some-erp" in found[0].reason


def test_a_schedule_is_only_needed_where_amounts_were_agreed() -> None:
    by_time = contract(milestones=())
    assert codes(facts(abilities=(ability(lacks="billing_schedules"),), contract=by_time)) == []
    assert codes(facts(abilities=(ability(lacks="invoices"),), contract=by_time)) == ["capability_missing"]


def test_the_erp_of_the_deals_own_legal_entity_counts() -> None:
    able, unable = ability(entities=(opportunity().legal_entity_code,)), ability(lacks="invoices")
    assert codes(facts(abilities=(unable, able))) == []
    others = ability(entities=("HC-ELSEWHERE",))
    assert codes(facts(abilities=(unable, others))) == ["capability_missing"]


def drifted(kind: str, *, is_blocking: bool) -> Ability:
    reason = "invoice has no field custbody_tl_period"
    seen = DriftSeen(entity="invoice", field="period", kind=kind, reason=reason, is_blocking=is_blocking)
    return ability().model_copy(update={"drift": (seen,)})


def test_a_schema_that_changed_is_said_before_anything_is_created() -> None:
    found = findings(facts(abilities=(drifted("field_missing", is_blocking=True),)), RULES.tax_id_countries)
    assert [(each.code, each.field, each.owner.value) for each in found] == [
        ("schema_drift", "systems.erp.invoice.period", "operations")
    ]
    assert found[0].reason == "The schema of some-erp changed: invoice has no field custbody_tl_period."


def test_a_value_that_is_not_mapped_yet_holds_up_no_deal() -> None:
    assert codes(facts(abilities=(drifted("value_unmapped", is_blocking=False),))) == []


def test_an_item_of_another_entitys_erp_is_none_of_this_deal() -> None:
    elsewhere = service_item("GTX Basic").model_copy(update={"legal_entity_codes": ("HC-ELSEWHERE",)})
    assert codes(facts(service_items=(service_item("GTX Pro"), elsewhere))) == ["service_code_unmapped"]


def test_an_alias_stands_for_the_product_it_means() -> None:
    sold = tuple(line.model_copy(update={"product_code": "GTXPro"}) for line in opportunity().lines)
    assert codes(facts(opportunity=opportunity(lines=sold), product_aliases={"GTXPro": "GTX Pro"})) == []


@pytest.mark.parametrize(
    ("amount", "currency", "kinds"),
    [
        ("2249.99", "EUR", ["delivery"]),
        ("2250", "EUR", ["delivery", "finance"]),
        ("1999.99", "GBP", ["delivery"]),
        ("2000", "GBP", ["delivery", "finance"]),
        ("274999", "JPY", ["delivery"]),
        ("275000", "JPY", ["delivery", "finance"]),
        ("12499.99", "BRL", ["delivery"]),
        ("2500", "USD", ["delivery", "finance"]),
        ("1", "CHF", ["delivery", "finance"]),
    ],
)
def test_finance_is_asked_from_the_threshold_on(amount: str, currency: str, kinds: list[str]) -> None:
    needed = approvals_needed(Money.of(amount, currency), currency, RULES.approvals)
    assert [kind.value for kind in needed] == kinds


def test_the_plan_has_a_child_per_workstream_and_all_milestones() -> None:
    plan = deal_plan(facts(), RULES)
    assert [each.name for each in plan.project.workstreams] == ["WS1", "WS2"]
    assert [each.item_code for each in plan.project.workstreams] == ["SVC-GTX-PRO", "SVC-GTX-BASIC"]
    assert [part.id for each in plan.project.workstreams for part in each.milestones] == ["mil_1"]
    assert plan.project.start_on == date(2026, 10, 15)
    assert plan.project.template == "mixed"
    assert [each.workstream_id for each in plan.schedule.entries] == [plan.project.workstreams[1].id]
    assert (plan.schedule.id, plan.erp_contract.id) == ("bs-con_1", "con_1")


def test_two_plans_of_one_deal_are_equal() -> None:
    assert deal_plan(facts(), RULES) == deal_plan(facts(), RULES)


@given(st.lists(st.sampled_from(["WS1", "WS2", "WS3"]), min_size=1, max_size=8))
def test_workstreams_add_up_to_their_lines(names: list[str]) -> None:
    line = opportunity().lines[0]
    lines = tuple(
        line.model_copy(update={"reference": f"L{number}", "workstream": name}) for number, name in enumerate(names)
    )
    plan = deal_plan(facts(opportunity=opportunity(lines=lines), contract=contract(milestones=())), RULES)
    assert len(plan.project.workstreams) == len(set(names))
    assert sum(each.budget.amount for each in plan.project.workstreams) == 6000 * len(names)
    assert len(plan.erp_contract.lines) == len(names)


def test_the_first_template_that_covers_the_deal_is_taken() -> None:
    assert template_for(frozenset({BillingModel.TIME_AND_MATERIALS}), RULES.templates) == "time-and-materials"
    assert template_for(frozenset({BillingModel.FIXED_FEE}), RULES.templates) == "fixed-scope"
    assert template_for(frozenset(), ()) is None
