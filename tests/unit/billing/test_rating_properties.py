"""The set-based rating against the rules written out entry by entry, on made-up contracts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process_apis.time_to_bill.ledger_store import LedgerStore
from process_apis.time_to_bill.models import BillingTerms, WorkKind, WorkRow
from process_apis.time_to_bill.rules import entry_amount
from process_apis.time_to_bill.terms_store import TermsStore
from shared.canonical.catalog import LegalEntity, Rate, RateCard
from shared.persistence import Database, upgrade
from tests.unit.billing.conftest import TENANT, counted, put_under_billing, source

FIRST = date(2026, 1, 1)
CHANGE = FIRST + timedelta(days=15)


ENTITY = LegalEntity(
    tenant=TENANT,
    id="ent_hc",
    source=source("HC"),
    code="HC",
    name="Harbour",
    country="DE",
    currency="EUR",
    is_approved=True,
    standard_tax_rate=Decimal("0.19"),
)


@dataclass(frozen=True)
class Case:
    currency: str
    cap: Decimal | None
    rates: tuple[Decimal, Decimal]
    work: tuple[tuple[str, int, Decimal, str | None, bool, bool], ...]


hours = st.integers(0, 200).map(lambda n: Decimal(n) / 20)
entry = st.tuples(
    st.text("abcXYZ019-", min_size=1, max_size=6),
    st.integers(0, 30),
    hours,
    st.sampled_from(["Engineer", "Architect", None]),
    st.booleans(),
    st.booleans(),
)
cases = st.builds(
    Case,
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    cap=st.none() | st.integers(0, 4000).map(Decimal),
    rates=st.tuples(*[st.integers(1, 30_000).map(lambda n: Decimal(n) / 100)] * 2),
    work=st.lists(entry, max_size=25, unique_by=lambda e: e[0]).map(tuple),
)


def judged_one_by_one(case: Case) -> dict[str, tuple[str, Decimal | None]]:
    """The firm's rules in the plainest words: first match wins; the cap takes entries by day, then reference."""
    out: dict[str, tuple[str, Decimal | None]] = {}
    billed, over = Decimal(0), False
    for reference, day, worked, role, billable, approved in sorted(case.work, key=lambda e: (e[1], e[0].encode())):
        on = FIRST + timedelta(days=day)
        rate = case.rates[0 if on < CHANGE else 1] if role == "Engineer" else None
        if not billable:
            out[reference] = ("not_billable", None)
        elif not approved:
            out[reference] = ("unapproved", None)
        elif rate is None:
            out[reference] = ("awaiting_rate", None)
        else:
            amount = entry_amount(worked, rate, case.currency)
            over = over or (case.cap is not None and billed + amount > case.cap)
            if not over:
                billed += amount
            out[reference] = ("over_cap" if over else "ready", amount)
    return out


async def judged_in_sets(url: str, case: Case, number: int) -> dict[str, tuple[str, Decimal | None]]:
    database = Database(url, pool=1)
    name = f"c{number}"
    card = RateCard(
        tenant=TENANT,
        id="rat_1",
        source=source("RC"),
        code="RC",
        currency=case.currency,
        rates=(
            Rate(role="Engineer", rate=case.rates[0], effective_from=FIRST, effective_to=CHANGE - timedelta(days=1)),
            Rate(role="Engineer", rate=case.rates[1], effective_from=CHANGE),
        ),
    )
    try:
        await TermsStore(database).keep_rates(TENANT, [card])
        await TermsStore(database).keep_entities(TENANT, [ENTITY])
        await put_under_billing(database, terms(name, case))
        rows = [row(name, *one) for one in case.work]
        await LedgerStore(database).take_in(TENANT, rows[::-1])
        await LedgerStore(database).rate(TENANT, f"con_{name}")
        assert await LedgerStore(database).rate(TENANT, f"con_{name}") == 0, "judging again changes nothing"
        found = await counted(
            database, "SELECT reference, state, amount FROM work_entries WHERE project_id = :p", p=f"prj_{name}"
        )
        return {str(reference): (str(state), amount) for reference, state, amount in found}  # type: ignore[misc]
    finally:
        await database.aclose()


def terms(name: str, case: Case) -> BillingTerms:
    return BillingTerms(
        contract_id=f"con_{name}",
        contract_reference=name,
        opportunity_id=f"opp_{name}",
        opportunity_reference=name,
        project_id=f"prj_{name}",
        customer_id="cus_1",
        customer_name="Harbour",
        customer_country="DE",
        legal_entity_code="HC",
        currency=case.currency,
        payment_terms_days=30,
        rate_card_code="RC",
        cap=case.cap,
        workstreams=(BillingTerms.Workstream(id=f"wks_{name}", name="WS1", item_code="SVC"),),
    )


def row(
    name: str, reference: str, day: int, worked: Decimal, role: str | None, billable: bool, approved: bool
) -> WorkRow:
    return WorkRow(
        system="sheet",
        kind=WorkKind.TIME,
        source_ref=f"{name}/{reference}",
        version="1",
        entry_id=f"tim_{name}.{reference.encode().hex()}",
        reference=reference,
        project_id=f"prj_{name}",
        role=role,
        work_on=FIRST + timedelta(days=day),
        hours=worked,
        is_billable=billable,
        is_approved=approved,
        is_billed_in_source=False,
    )


def test_sets_and_rules_judge_alike(postgres_url: str) -> None:
    upgrade(postgres_url, "process_apis")
    numbers = iter(range(1_000_000))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cases)
    def agree(case: Case) -> None:
        assert asyncio.run(judged_in_sets(postgres_url, case, next(numbers))) == judged_one_by_one(case)

    agree()
