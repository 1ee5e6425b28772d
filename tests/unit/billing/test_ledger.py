"""The billing ledger on a real PostgreSQL: every entry once, to the cent, and never twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from process_apis.time_to_bill.draft_store import DraftStore
from process_apis.time_to_bill.invoice_store import InvoiceStore
from process_apis.time_to_bill.ledger_store import LedgerStore
from process_apis.time_to_bill.terms_store import TermsStore
from shared.persistence import Database
from tests.unit.billing.conftest import TENANT, counted, firm_entities, firm_rate_cards, firm_work, lay_in, table


def activated(phase: str) -> set[str]:
    return {row["opportunity_id"] for row in table(f"expected/{phase}/projects.csv") if row["outcome"] == "activated"}


FEW = set(sorted(activated("first_run"))[:4])


async def bill(database: Database, run: str = "run-1") -> list[str]:
    await LedgerStore(database).rate(TENANT, None)
    return await DraftStore(database).draft(TENANT, run, "olga", None, None)


async def invoices(database: Database) -> dict[tuple[str, str], tuple[Decimal, Decimal, Decimal, int, int]]:
    store = InvoiceStore(database)
    found: dict[tuple[str, str], tuple[Decimal, Decimal, Decimal, int, int]] = {}
    cursor: str | None = None
    while True:
        page = await store.list_page(TENANT, state=None, contract_id=None, after=cursor, limit=500)
        for one in page.items:
            key = (one.opportunity_reference, one.period)
            assert key not in found
            found[key] = (one.net.amount, one.tax.amount, one.gross.amount, one.time_entries, one.milestones)
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("phase", ["first_run", "after_fixes"])
async def test_the_sample_firm_is_billed_to_the_cent(database: Database, phase: str) -> None:
    await lay_in(database, activated(phase))
    await bill(database)
    expected = {
        (row["opportunity_id"], row["month"]): (
            Decimal(row["net"]),
            Decimal(row["tax"]),
            Decimal(row["gross"]),
            int(row["time_entries"]),
            int(row["milestones"]),
        )
        for row in table(f"expected/{phase}/invoices.csv")
    }
    assert await invoices(database) == expected
    states = {
        str(state): (entries, hours)
        for state, entries, hours in await counted(
            database, "SELECT state, count(*), sum(hours) FROM work_entries WHERE kind = 'time' GROUP BY state"
        )
    }
    states["billed"] = states.pop("drafted")
    assert states == {
        row["state"]: (int(row["entries"]), Decimal(row["hours"])) for row in table(f"expected/{phase}/time_states.csv")
    }


async def test_billing_twice_bills_once(database: Database) -> None:
    await lay_in(database, FEW)
    first = await bill(database)
    before = await invoices(database)
    assert await bill(database) == first, "the same run again answers with its drafts"
    assert await bill(database, "run-2") == [], "another run finds nothing left"
    await LedgerStore(database).take_in(TENANT, firm_work(FEW))
    assert await bill(database, "run-3") == []
    assert await invoices(database) == before


async def some_billed_entry(database: Database) -> tuple[str, str]:
    await lay_in(database, FEW)
    await bill(database)
    ((ref, line),) = await counted(
        database, "SELECT source_ref, line_id FROM work_entries WHERE line_id IS NOT NULL ORDER BY line_id DESC LIMIT 1"
    )
    return str(ref), str(line)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE work_entries SET line_id = (SELECT min(line_id) FROM invoice_lines) WHERE source_ref = :ref",
        "DELETE FROM work_entries WHERE source_ref = :ref",
        "UPDATE work_entries SET state = 'ready' WHERE source_ref = :ref",
        (
            'INSERT INTO work_entries SELECT (jsonb_populate_record(e, \'{"version": "2"}\')).* FROM work_entries e '
            "WHERE source_ref = :ref"
        ),
        (
            "UPDATE invoices SET net = net + 1, gross = gross + 1 WHERE invoice_id = "
            "(SELECT invoice_id FROM invoice_lines WHERE line_id = :line)"
        ),
    ],
    ids=["moved to another line", "deleted", "freed by a flag", "counted again", "invoice over more than its entries"],
)
async def test_the_database_itself_refuses_double_billing(database: Database, tampering: str) -> None:
    ref, line = await some_billed_entry(database)
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await connection.execute(text(tampering), {"ref": ref, "line": line})


async def test_a_rejected_draft_frees_its_work_for_the_next_one(database: Database) -> None:
    await lay_in(database, FEW)
    ids = await bill(database)
    store = InvoiceStore(database)
    rejected = await store.get(TENANT, ids[0])
    async with database.transaction() as connection:
        await store.reject(connection, TENANT, ids[0], "wrong purchase order")
    (again,) = await bill(database, "run-2")
    redrafted = await store.get(TENANT, again)
    assert redrafted.sequence == 2
    assert (redrafted.net, redrafted.time_entries) == (rejected.net, rejected.time_entries)


async def test_an_entry_changed_after_billing_becomes_an_adjustment_not_a_new_bill(database: Database) -> None:
    ref, _ = await some_billed_entry(database)
    (late,) = [row for row in firm_work(FEW) if row.source_ref == ref]
    await LedgerStore(database).take_in(TENANT, [late.model_copy(update={"version": "2", "hours": late.hours + 1})])
    ((hours,),) = await counted(database, "SELECT hours FROM work_entries WHERE source_ref = :ref", ref=ref)
    assert hours == late.hours
    ((noted,),) = await counted(database, "SELECT count(*) FROM work_adjustments WHERE source_ref = :ref", ref=ref)
    assert noted == 1
    assert await bill(database, "run-2") == []


async def test_a_correction_made_while_a_draft_was_open_is_billed_after_its_release(database: Database) -> None:
    ref, line = await some_billed_entry(database)
    (late,) = [row for row in firm_work(FEW) if row.source_ref == ref]
    corrected = late.model_copy(update={"version": "2", "hours": Decimal("0.25")})
    await LedgerStore(database).take_in(TENANT, [corrected])
    await LedgerStore(database).take_in(TENANT, [corrected.model_copy(update={"version": "3", "is_approved": False})])
    await LedgerStore(database).take_in(TENANT, [corrected.model_copy(update={"version": "4"})])
    store = InvoiceStore(database)
    invoice = line.rsplit("-", 1)[0]
    before = await store.get(TENANT, invoice)
    async with database.transaction() as connection:
        await store.reject(connection, TENANT, invoice, "wrong hours")
    (again,) = await bill(database, "run-2")
    ((hours, version),) = await counted(
        database, "SELECT hours, version FROM work_entries WHERE source_ref = :ref", ref=ref
    )
    assert (hours, version) == (Decimal("0.25"), "4")
    assert (await store.get(TENANT, again)).net.amount < before.net.amount
    assert await counted(database, "SELECT 1 FROM work_adjustments") == []


async def test_overlapping_prices_mean_the_one_that_began_last(database: Database) -> None:
    await lay_in(database, FEW)
    cards = [
        card.model_copy(update={"rates": tuple(rate.model_copy(update={"effective_to": None}) for rate in card.rates)})
        for card in firm_rate_cards()
    ]
    ledger, terms = LedgerStore(database), TermsStore(database)
    await ledger.rate(TENANT, None)
    right = await counted(database, "SELECT source_ref, amount, state FROM work_entries ORDER BY 1")
    await terms.keep_rates(TENANT, [card.model_copy(update={"rates": card.rates[::-1]}) for card in cards])
    await ledger.rate(TENANT, None)
    assert await counted(database, "SELECT source_ref, amount, state FROM work_entries ORDER BY 1") == right


async def test_a_card_may_have_prices_in_several_currencies(database: Database) -> None:
    (card, *_) = firm_rate_cards()
    other = next(code for code in ("EUR", "USD") if code != card.currency)
    await TermsStore(database).keep_rates(TENANT, [card, card.model_copy(update={"currency": other})])
    ((currencies,),) = await counted(database, "SELECT count(DISTINCT currency) FROM billing_rates")
    assert currencies == 2


async def test_two_runs_at_once_bill_everything_once(database: Database) -> None:
    await lay_in(database, FEW)
    terms = TermsStore(database)

    async def run(number: int) -> list[str]:
        await terms.keep_rates(TENANT, firm_rate_cards())
        await terms.keep_entities(TENANT, firm_entities())
        await LedgerStore(database).take_in(TENANT, firm_work(FEW))
        return await bill(database, f"run-{number}")

    made = await asyncio.gather(*(run(number) for number in range(4)))
    ids = [invoice for one in made for invoice in one]
    assert len(ids) == len(set(ids)) == len(await invoices(database))
    assert len(await DraftStore(database).list_undecided(TENANT)) == len(ids)


async def test_work_of_an_entity_the_erp_dropped_says_why_it_waits(database: Database) -> None:
    await lay_in(database, FEW)
    await TermsStore(database).keep_entities(TENANT, [])
    assert await bill(database) == []
    found = await counted(database, "SELECT DISTINCT reason FROM work_entries WHERE state = 'awaiting_rate'")
    assert any("no longer lists legal entity" in str(reason) for (reason,) in found)
