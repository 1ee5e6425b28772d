"""How deals, invoices, work and exceptions read on the screens."""

from __future__ import annotations

from typing import Any

import pytest

from experience_apis.accounts.screens import account_deal_view
from experience_apis.desk.figures import figures
from experience_apis.desk.screens import approval_card, approval_page
from experience_apis.finance import screens as finance
from experience_apis.partner.screens import project_list
from experience_apis.pmo import screens as pmo
from experience_apis.processes.models import (
    Approval,
    BillingRun,
    Deal,
    ExceptionItem,
    Invoice,
    Journey,
    Kpis,
    ToldPage,
    WorkItem,
    WorkStateSum,
)
from experience_apis.wording.catalog import wording
from shared.identity.principal import Principal

EN, DE = wording("en"), wording("de")
NOBODY: frozenset[str] = frozenset()


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def a_finding(code: str = "tax_id_missing", owner: str = "account_team") -> dict[str, str]:
    return {"code": code, "field": "customer.tax_id", "reason": "It is blank.", "owner": owner, "remedy": "Add it."}


def a_deal(**facts: Any) -> Deal:
    return Deal.model_validate({"run_id": "r", "opportunity_id": "opp_a", "state": "checking", **facts})


def an_approval(**facts: Any) -> Approval:
    return Approval.model_validate(
        {
            "id": "apr-1",
            "kind": "finance",
            "subject_id": "opp_a",
            "title": "Deal OPP-1",
            "requested_by": "sales",
            "state": "open",
            "requested_at": "2026-10-01T08:00:00Z",
            **facts,
        }
    )


def an_invoice(**facts: Any) -> Invoice:
    return Invoice.model_validate(
        {
            "id": "inv-1",
            "contract_reference": "SOW-1",
            "opportunity_id": "opp_a",
            "opportunity_reference": "OPP-1",
            "project_id": "prj_a",
            "customer_name": "Acme",
            "legal_entity_code": "HC-DE",
            "period": "2026-10",
            "sequence": 1,
            "state": "draft",
            "invoice_on": "2026-10-31",
            "net": eur("100.00"),
            "tax": eur("19.00"),
            "gross": eur("119.00"),
            "paid": eur("0.00"),
            "time_entries": 3,
            "milestones": 0,
            "requested_by": "olga",
            "drafted_at": "2026-11-01T08:00:00Z",
            **facts,
        }
    )


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"state": "activated"}, "The project is active; time can be booked."),
        (
            {"state": "awaiting_approval", "approval_kinds": ["finance", "delivery"]},
            "Waiting for approval by finance, delivery.",
        ),
        (
            {"state": "exception", "findings": [a_finding(), a_finding("po")]},
            "2 things to be fixed before the project can start.",
        ),
        ({"state": "on_hold"}, "On hold"),
    ],
)
def test_a_deal_says_where_it_stands(facts: dict[str, Any], message: str) -> None:
    assert pmo.deal_card(a_deal(**facts), EN).message == message


def test_an_empty_board_says_so_and_still_shows_its_columns() -> None:
    board = pmo.board(ToldPage[Deal](items=()), EN)
    assert board.message == "No deals here."
    assert board.columns[1].deals == "/pmo/v1/board?state=exception"


def test_a_journey_tells_its_steps_in_order() -> None:
    entries = [
        {"at": f"2026-10-0{day}T08:00:00Z", "step": f"s{day}", "sentence": f"Day {day}.", "by": "throughline"}
        for day in (1, 2)
    ]
    journey = Journey.model_validate({"deal": a_deal(state="activated").model_dump(), "lines": entries})
    view = pmo.journey_view(journey, EN)
    assert [step.message for step in view.steps] == ["Day 1.", "Day 2."]
    assert view.message == "2 steps so far."
    assert [told.message for told in account_deal_view(journey, EN).latest] == ["Day 2.", "Day 1."]


def test_the_account_team_is_asked_only_for_what_is_its_own() -> None:
    findings = [a_finding(), a_finding("service_code_unmapped", "operations")]
    journey = Journey.model_validate({"deal": a_deal(state="exception", findings=findings).model_dump()})
    view = account_deal_view(journey, EN)
    assert [asked.code for asked in view.asked_of_you] == ["tax_id_missing"]
    assert view.asked_of_you[0].message == "The customer's tax id is missing."


def test_an_approval_may_be_mine_only_while_open_and_with_the_scope_of_its_kind() -> None:
    mine = frozenset({"approvals.decide.finance"})
    assert approval_card(an_approval(), mine, EN).can_be_mine
    assert not approval_card(an_approval(), frozenset({"approvals.decide.delivery"}), EN).can_be_mine
    decided = an_approval(state="rejected", decided_by="fiona", decided_at="2026-10-02T08:00:00Z")
    assert not approval_card(decided, mine, EN).can_be_mine
    assert approval_card(decided, mine, EN).message == "Rejected by fiona."
    assert approval_card(decided, mine, DE).message == "Abgelehnt durch fiona."


def test_only_open_approvals_are_counted_as_waiting() -> None:
    page = ToldPage[Approval](items=(an_approval(), an_approval(id="apr-2", state="expired")), next_cursor="c")
    shaped = approval_page(page, NOBODY, EN)
    assert shaped.message == "One decision is waiting."
    assert shaped.next_cursor == "c"
    assert shaped.items[1].message == "Nobody decided in time."


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "Waiting for approval before it is posted."),
        ({"state": "posted"}, "Posted in the accounting system."),
        ({"state": "posted", "paid": eur("50.00")}, "Posted; part of it is paid."),
        ({"state": "posted", "paid": eur("119.00")}, "Paid."),
        ({"state": "approved", "problem": "The period is closed."}, "Needs attention: The period is closed."),
    ],
)
def test_an_invoice_says_where_it_stands(facts: dict[str, Any], message: str) -> None:
    assert finance.invoice_card(an_invoice(**facts), EN).message == message


def test_a_later_invoice_of_the_same_month_is_told_apart() -> None:
    assert finance.invoice_card(an_invoice(), EN).title == "SOW-1 - 2026-10"
    assert finance.invoice_card(an_invoice(sequence=2), EN).title == "SOW-1 - 2026-10 (2)"


def test_work_is_summed_by_state_with_the_way_to_its_rows() -> None:
    row = {"kind": "time", "state": "awaiting_rate", "entries": 4, "hours": "12.5"}
    page = ToldPage[WorkStateSum].model_validate({"items": [row]})
    shaped = finance.work_sums(page, "con_a", EN)
    assert shaped.items[0].state_label == "Waiting for a rate"
    assert shaped.items[0].rows == "/finance/v1/work-in-progress/rows?state=awaiting_rate&contract_id=con_a"
    assert finance.work_sums(ToldPage[WorkStateSum](items=()), None, DE).message.startswith("Es wurden noch keine")


def test_a_row_of_work_says_why_it_is_not_billed() -> None:
    row = {
        "id": "w-1",
        "kind": "time",
        "reference": "T-1",
        "project_id": "prj_a",
        "work_on": "2026-10-05",
        "hours": "7.5",
        "state": "awaiting_rate",
        "reason": "Neither the entry nor the person has a role.",
    }
    shaped = finance.work_rows(ToldPage[WorkItem].model_validate({"items": [row, {**row, "reason": None}]}), EN)
    assert [item.message for item in shaped.items] == [row["reason"], "Waiting for a rate"]


@pytest.mark.parametrize(
    ("state", "invoices", "message"),
    [
        ("running", 0, "Collecting work and drafting invoices."),
        ("drafted", 0, "Done; there was nothing new to bill."),
        ("drafted", 3, "Done; 3 invoices were drafted."),
        ("failed", 0, "It failed: No rates."),
    ],
)
def test_a_billing_run_says_how_far_it_is(state: str, invoices: int, message: str) -> None:
    run = BillingRun.model_validate(
        {
            "id": "bill-1",
            "requested_by": "olga",
            "requested_at": "2026-11-01T08:00:00Z",
            "state": state,
            "collected": 10,
            "invoices": invoices,
            "message": "No rates.",
        }
    )
    assert finance.run_card(run, EN).message == message


def test_an_exception_names_its_owner_its_codes_and_what_to_do() -> None:
    item = ExceptionItem.model_validate(
        {
            "id": "exc-1",
            "process": "quote-to-project",
            "subject_id": "opp_a",
            "title": "OPP-1 Acme",
            "findings": [a_finding(), a_finding(), a_finding("contract_not_approved", "legal")],
            "owner_role": "account_team",
            "state": "open",
            "opened_at": "2026-10-01T08:00:00Z",
            "due_at": "2026-10-03T08:00:00Z",
            "times_checked": 2,
            "is_overdue": False,
        }
    )
    view = pmo.exception_view(item, EN)
    assert view.message == "3 things to be fixed by the account team."
    assert view.codes == ("tax_id_missing", "contract_not_approved")
    assert view.notes[2].owner_label == "legal"
    assert pmo.exception_page(ToldPage[ExceptionItem](items=()), EN).message == "No exceptions - nothing is stuck."


def test_figures_not_yet_measured_say_so() -> None:
    kpi = {"name": "closed_won_to_activation", "title": "t", "unit": "hours", "value": None, "sample": 0}
    told: dict[str, Any] = {"as_of": "2026-11-01T08:00:00Z", "kpis": [kpi]}
    assert figures(Kpis.model_validate(told), EN).message == "Nothing has been measured yet."
    told["kpis"] = [{**kpi, "value": "3.5", "sample": 2, "by_region": [{"key": "EMEA", "value": "3.5", "sample": 2}]}]
    measured = figures(Kpis.model_validate(told), DE)
    assert measured.figures[0].label == "Von gewonnen bis zum aktiven Projekt"
    assert measured.figures[0].by_region[0].key == "EMEA"
    assert measured.model_dump(mode="json")["figures"][0]["value"] == "3.5"


def test_an_empty_list_of_projects_says_so() -> None:
    assert project_list(ToldPage[Deal](items=()), Principal("p", "p", "harbour"), EN).message == "No projects yet."
