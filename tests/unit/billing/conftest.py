"""A process database with the billing ledger, and the sample firm's work laid into it without any tier running."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from process_apis.time_to_bill.ledger_store import LedgerStore
from process_apis.time_to_bill.models import BillingTerms, WorkKind, WorkRow
from process_apis.time_to_bill.terms_store import TermsStore, keep_terms
from shared.canonical.catalog import LegalEntity, Rate, RateCard
from shared.canonical.references import SourceRef
from shared.persistence import Database, upgrade

FIRM = Path("deploy/sandbox/firm")
TENANT = "harbour"


def table(name: str) -> list[dict[str, str]]:
    with (FIRM / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def source(ref: str) -> SourceRef:
    return SourceRef(system="sheet", ref=ref, version="1")


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    upgrade(postgres_url, "process_apis")
    made = Database(postgres_url)
    yield made
    await made.aclose()


async def put_under_billing(database: Database, terms: BillingTerms) -> None:
    async with database.transaction() as connection:
        await keep_terms(connection, TENANT, terms)


async def counted(database: Database, query: str, **values: object) -> list[tuple[object, ...]]:
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]


def firm_rate_cards() -> list[RateCard]:
    cards: dict[tuple[str, str], list[Rate]] = {}
    for row in table("erp/rate_cards.csv"):
        cards.setdefault((row["rate_card"], row["currency"]), []).append(
            Rate(
                role=row["role"],
                rate=Decimal(row["rate"]),
                effective_from=date.fromisoformat(row["effective_from"]),
                effective_to=date.fromisoformat(row["effective_to"]) if row["effective_to"] else None,
            )
        )
    return [
        RateCard(tenant=TENANT, id=f"rat_{code}", source=source(code), code=code, currency=currency, rates=tuple(rates))
        for (code, currency), rates in cards.items()
    ]


def firm_entities() -> list[LegalEntity]:
    return [
        LegalEntity(
            tenant=TENANT,
            id=f"ent_{row['code']}",
            source=source(row["code"]),
            code=row["code"],
            name=row["name"],
            country=row["country"],
            currency=row["currency"],
            is_approved=row["approved"] == "true",
            standard_tax_rate=Decimal(row["standard_tax_rate"]),
        )
        for row in table("erp/legal_entities.csv")
    ]


def firm_terms(activated: set[str]) -> list[BillingTerms]:
    accounts = {row["account_id"]: row for row in table("crm/accounts.csv")}
    contracts = {row["opportunity_id"]: row for row in table("clm/contracts.csv")}
    currencies = {row["code"]: row["currency"] for row in table("erp/legal_entities.csv")}
    lines: dict[str, list[dict[str, str]]] = {}
    for row in table("crm/opportunity_lines.csv"):
        lines.setdefault(row["opportunity_id"], []).append(row)
    milestones: dict[str, list[dict[str, str]]] = {}
    for row in table("clm/milestones.csv"):
        milestones.setdefault(row["opportunity_id"], []).append(row)
    made: list[BillingTerms] = []
    for deal in table("crm/opportunities.csv"):
        number = deal["opportunity_id"]
        if number not in activated:
            continue
        contract, account = contracts[number], accounts[deal["account_id"]]
        made.append(
            BillingTerms(
                contract_id=f"con_{number}",
                contract_reference=contract["contract_id"],
                opportunity_id=f"opp_{number}",
                opportunity_reference=number,
                project_id=f"prj_{number}",
                customer_id=f"cus_{account['account_id']}",
                customer_name=account["name"],
                customer_country=account["billing_country"],
                legal_entity_code=deal["legal_entity"],
                currency=currencies[deal["legal_entity"]],
                payment_terms_days=int(contract["payment_terms_days"]),
                rate_card_code=contract["rate_card"],
                cap=Decimal(contract["cap_amount"]) if contract["cap_amount"] else None,
                workstreams=tuple(
                    BillingTerms.Workstream(id=f"wks_{line['line_id']}", name=line["workstream"], item_code="SVC")
                    for line in lines[number]
                ),
                milestones=tuple(
                    BillingTerms.Milestone(
                        id=f"mil_{row['milestone_id']}",
                        workstream_id=f"wks_{row['line_id']}",
                        reference=row["milestone_id"],
                        name=row["name"],
                        amount=Decimal(row["amount"]),
                        due_on=date.fromisoformat(row["due_date"]),
                    )
                    for row in milestones.get(number, [])
                ),
            )
        )
    return made


def firm_work(activated: set[str]) -> list[WorkRow]:
    roles = {row["user_id"]: row["role"] for row in table("psa/users.csv")}
    rows = [
        WorkRow(
            system="sheet",
            kind=WorkKind.TIME,
            source_ref=row["entry_id"],
            version="1",
            entry_id=f"tim_{row['entry_id']}",
            reference=row["entry_id"],
            project_id=f"prj_{row['opportunity_id']}",
            resource_id=f"res_{row['user_id']}",
            role=row["role"] or roles[row["user_id"]] or None,
            work_on=date.fromisoformat(row["work_date"]),
            hours=Decimal(row["hours"]),
            is_billable=row["billable"] == "true",
            is_approved=row["approved"] == "true",
            is_billed_in_source=False,
        )
        for row in table("psa/time_entries.csv")
        if row["opportunity_id"] in activated
    ]
    rows += [
        WorkRow(
            system="sheet",
            kind=WorkKind.MILESTONE,
            source_ref=row["milestone_id"],
            version="1",
            entry_id=f"mdone_{row['milestone_id']}",
            reference=row["milestone_id"],
            project_id=f"prj_{row['opportunity_id']}",
            milestone_id=f"mil_{row['milestone_id']}",
            work_on=date.fromisoformat(row["completed_on"]),
            is_billable=True,
            is_approved=row["approved"] == "true",
            is_billed_in_source=False,
        )
        for row in table("psa/milestone_completions.csv")
        if row["opportunity_id"] in activated
    ]
    return rows


async def lay_in(database: Database, activated: set[str]) -> None:
    """Terms, prices and work of the activated deals."""
    terms = TermsStore(database)
    await terms.keep_rates(TENANT, firm_rate_cards())
    await terms.keep_entities(TENANT, firm_entities())
    for one in firm_terms(activated):
        await put_under_billing(database, one)
    work = firm_work(activated)
    for start in range(0, len(work), 1000):
        await LedgerStore(database).take_in(TENANT, work[start : start + 1000])
