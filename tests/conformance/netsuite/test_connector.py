"""What the NetSuite connector promises beyond the conformance suite: money to the cent, references, recovery."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.signatures import ACCOUNT, new_token
from deploy.sandbox.netsuite.vendor import VENDOR
from shared.canonical.invoices import InvoiceState
from shared.canonical.money import Money
from shared.errors.taxonomy import (
    InvalidRequest,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    UnknownReference,
    VendorDrift,
    VendorRejected,
)
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import (
    LEGAL_ENTITIES,
    RATE_CARDS,
    SERVICE_ITEMS,
    contract,
    customer,
    draft,
    plan,
    schedule,
)
from tests.conformance.served import Sandbox, Serve


@pytest.fixture
async def delivered(firm: NetSuiteFirm, connector: NetSuiteConnector) -> NetSuiteConnector:
    """A customer with its project in place."""
    del firm
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    return connector


async def test_reference_data_comes_back_as_it_was_loaded(firm: NetSuiteFirm, connector: NetSuiteConnector) -> None:
    del firm
    entities = {entity.code: entity for entity in await connector.list_legal_entities()}
    assert set(entities) == {"HC-DE", "HC-JP", "HC-BR"}
    assert (entities["HC-BR"].is_approved, entities["HC-DE"].is_approved) == (False, True)
    assert (entities["HC-DE"].standard_tax_rate, entities["HC-DE"].country) == (Decimal("0.19"), "DE")
    codes = {item.product_code: (item.item_code, item.revenue_account) for item in await connector.list_service_items()}
    assert codes == {
        "GTX Pro": ("SVC-IMPL", "40020"),
        "GTX Plus": ("SVC-IMPL", "40020"),
        "MG Special": ("SVC-TRAIN", "40040"),
    }
    loaded = [
        {
            "rate_card": card.code,
            "role": rate.role,
            "currency": card.currency,
            "rate": format(rate.rate, "f"),
            "effective_from": rate.effective_from.isoformat(),
            "effective_to": rate.effective_to.isoformat() if rate.effective_to else "",
        }
        for card in await connector.list_rate_cards()
        for rate in card.rates
    ]
    wanted = [{**row, "rate": Decimal(row["rate"])} for row in RATE_CARDS]
    key = str
    assert sorted(({**row, "rate": Decimal(row["rate"])} for row in loaded), key=key) == sorted(wanted, key=key)


async def test_an_invoice_is_posted_to_the_cent_and_known_by_our_ids(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    wanted = draft(amounts=("367.53", "0.01", "90071992547.41"))
    posted = await delivered.create_invoice(wanted)
    assert (posted.id, posted.period, posted.customer_id) == ("inv_acme", "2026-10", "cus_acme")
    assert (posted.net, posted.tax, posted.gross) == (wanted.net, wanted.tax, wanted.gross)
    assert (posted.state, posted.paid) == (InvoiceState.OPEN, Money.zero("EUR"))
    row = (await firm.read_invoices())[0]
    assert (row.invoice_id, row.contract_id, row.project_id) == ("inv_acme", "con_acme", "prj_acme")
    assert (row.legal_entity, row.currency, row.gross) == ("HC-DE", "EUR", wanted.gross.amount)
    assert await delivered.create_invoice(wanted) == posted


async def test_yen_have_no_cents(firm: NetSuiteFirm, delivered: NetSuiteConnector) -> None:
    await delivered.amend_customer(customer(), "HC-JP")
    await delivered.amend_project(plan("prj_jp", legal_entity="HC-JP", currency="JPY"))
    wanted = draft("inv_jp", amounts=("39650", "7"), legal_entity="HC-JP", currency="JPY", project="prj_jp")
    posted = await delivered.create_invoice(wanted)
    assert str(posted.gross) == str(wanted.gross)
    assert (await firm.read_invoices())[0].legal_entity == "HC-JP"


async def test_a_second_legal_entity_is_related_to_the_customer(
    delivered: NetSuiteConnector, netsuite: Sandbox
) -> None:
    with pytest.raises(VendorRejected):
        await delivered.create_invoice(draft("inv_1", legal_entity="HC-JP", currency="JPY", amounts=("5",)))
    again = await delivered.amend_customer(customer(), "HC-JP")
    assert not again.was_created
    assert netsuite.simulator.counts()["customerSubsidiaryRelationship"] == 1
    await delivered.create_invoice(draft("inv_1", legal_entity="HC-JP", currency="JPY", amounts=("5",)))
    await delivered.create_invoice(draft("inv_2"))


async def test_an_invoice_that_comes_out_otherwise_is_deleted_and_refused(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    await firm.ask("PUT", "/record/v1/currency/eid:EUR", body={"name": "Euro", "symbol": "EUR", "currencyPrecision": 0})
    with pytest.raises(VendorRejected, match=r"net is 361 EUR|net is 362\.00 EUR"):
        await delivered.create_invoice(draft())
    assert await firm.count("invoice") == 0


async def test_another_invoice_under_our_id_is_never_overwritten(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    await delivered.create_invoice(draft())
    with pytest.raises(VendorRejected, match="holds another invoice"):
        await delivered.create_invoice(draft(amounts=("1.00",)))
    assert (await firm.read_invoices())[0].gross == draft().gross.amount


async def test_a_closed_period_is_told_as_such(netsuite: Sandbox, delivered: NetSuiteConnector) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"closed_periods": ["2026-10"]})
    with pytest.raises(PeriodClosed):
        await delivered.create_invoice(draft())


async def test_silence_after_the_post_is_an_unknown_outcome(netsuite: Sandbox, delivered: NetSuiteConnector) -> None:
    netsuite.fault(FaultKind.CUT_BEFORE, "GET .*/invoice/", skip=1, times=None)
    with pytest.raises(OutcomeUnknown):
        await delivered.create_invoice(draft())
    netsuite.heal()
    found = await delivered.find_invoice("inv_acme")
    assert found is not None
    assert found.gross == draft().gross


async def test_payments_come_with_the_invoices_they_settle(firm: NetSuiteFirm, delivered: NetSuiteConnector) -> None:
    await delivered.create_invoice(draft())
    row = (await firm.read_invoices())[0]
    for _ in range(2):
        await firm.pay(row.record_id, Decimal("100.05"), date(2026, 11, 20), "PAY-1")
    payments = (await delivered.list_payments(modified_since=None, cursor=None, limit=50)).items
    assert len(payments) == 1
    assert (payments[0].customer_id, payments[0].received_on) == ("cus_acme", date(2026, 11, 20))
    applied = payments[0].applications[0]
    assert (applied.invoice_id, applied.invoice_ref) == ("inv_acme", row.record_id)
    assert applied.amount == Money.of("100.05", "EUR")
    found = await delivered.find_invoice("inv_acme")
    assert found is not None
    assert found.paid == Money.of("100.05", "EUR")
    assert (await firm.read_payments())[0].reference == "PAY-1"
    rest = row.gross - Decimal("100.05")
    await firm.pay(row.record_id, rest, date(2026, 11, 21), "PAY-2")
    settled = await delivered.find_invoice("inv_acme")
    assert settled is not None
    assert settled.state is InvoiceState.PAID


async def test_lists_can_start_at_an_instant(firm: NetSuiteFirm, delivered: NetSuiteConnector) -> None:
    del firm
    await delivered.create_invoice(draft())
    now = datetime.now(UTC)
    for since, count in ((now - timedelta(minutes=1), 1), (now + timedelta(minutes=1), 0)):
        page = await delivered.list_invoices(modified_since=since, cursor=None, limit=50)
        assert len(page.items) == count
    assert await delivered.list_changes(now + timedelta(minutes=5)) == []
    assert {hint.entity for hint in await delivered.list_changes(now)} == {"invoice", "reference_data"}
    with pytest.raises(InvalidRequest):
        await delivered.list_invoices(modified_since=None, cursor="bm90IG91cnM", limit=50)


async def test_a_project_taken_out_of_use_is_none_until_it_is_wanted_again(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    assert set(await firm.read_projects()) == {"prj_acme"}
    await delivered.close_project("prj_acme")
    assert await delivered.find_project("prj_acme") is None
    assert await firm.read_projects() == {}
    project = await delivered.amend_project(plan())
    assert {part.id for part in project.workstreams} == {"wks_prj_acme_1", "wks_prj_acme_2"}
    assert await delivered.find_project("prj_acme") == project
    with pytest.raises(NotFound):
        await delivered.close_project("prj_other")


async def test_a_schedule_keeps_what_was_reached_and_drops_what_was_withdrawn(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    first = await delivered.amend_billing_schedule(schedule(3))
    reached = {"milestone": {"items": [{"milestoneId": 1, "milestoneCompleted": True}]}}
    await firm.ask("PATCH", f"/record/v1/billingSchedule/{first.source.ref}", body=reached)
    assert not (await delivered.amend_billing_schedule(schedule(3))).was_created
    path = f"/record/v1/billingSchedule/{first.source.ref}"
    held = await firm.ask("GET", path, params={"expandSubResources": "true"})
    assert [line.get("milestoneCompleted") for line in held["milestone"]["items"]] == [True, None, None]
    assert [line["milestoneAmount"] for line in held["milestone"]["items"]] == [5000.05] * 3
    await delivered.amend_billing_schedule(schedule(1))
    held = await firm.ask("GET", path, params={"expandSubResources": "true"})
    assert len(held["milestone"]["items"]) == 1


async def test_find_answers_none_before_and_the_place_after(delivered: NetSuiteConnector) -> None:
    assert await delivered.find_contract("con_acme") is None
    assert await delivered.find_billing_schedule("bs-con_acme") is None
    assert await delivered.find_customer("cus_nobody") is None
    written = await delivered.amend_contract(contract())
    assert written.was_created
    found = await delivered.find_contract("con_acme")
    assert found is not None
    assert found.source.ref == written.source.ref


async def test_what_has_no_counterpart_is_named(delivered: NetSuiteConnector) -> None:
    with pytest.raises(UnknownReference, match="HC-XX"):
        await delivered.amend_customer(customer(), "HC-XX")
    strange = draft("inv_x").lines[0].model_copy(update={"item_code": "SVC-NONE"})
    with pytest.raises(UnknownReference, match="SVC-NONE"):
        await delivered.create_invoice(draft("inv_x", amounts=("361.50",)).model_copy(update={"lines": (strange,)}))
    with pytest.raises(NotFound, match="prj_none"):
        await delivered.create_invoice(draft("inv_x", project="prj_none"))
    assert await delivered.find_invoice("inv:with:colons") is None, "an id that cannot be kept is surely not there"
    with pytest.raises(InvalidRequest):
        await delivered.create_invoice(draft("inv:with:colons"))


def test_a_missing_or_unusable_key_is_named() -> None:
    settings = {"base_url": "http://127.0.0.1:1/netsuite", "client_id": "a", "certificate_id": "b"}
    with pytest.raises(Misconfigured, match="private_key"):
        open_connector(Binding("harbour", "netsuite", settings, {"private_key": "not a key"}))
    with pytest.raises(Misconfigured, match="client_id"):
        open_connector(Binding("harbour", "netsuite", {"base_url": "http://127.0.0.1:1"}, {"private_key": "x"}))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"auth": "basic"}, "auth: 'basic' is none of oauth2, token"),
        ({"account": ""}, "setting account is missing"),
        ({"account": "1234567-sb1"}, "account: '1234567-sb1' is not written"),
        ({"consumer_key": ""}, "setting consumer_key is missing"),
        ({"token_id": ""}, "setting token_id is missing"),
        ({"consumer_secret": ""}, "secret consumer_secret is missing"),
        ({"token_secret": ""}, "secret token_secret is missing"),
    ],
)
def test_what_token_based_authentication_lacks_is_named(changed: dict[str, str], named: str) -> None:
    token = asdict(new_token())
    secrets = {name: token.pop(name) for name in ("consumer_secret", "token_secret")}
    settings = {"base_url": "http://127.0.0.1:1/netsuite", "auth": "token", "account": ACCOUNT, **token}
    for given in (settings, secrets):
        given.update({name: value for name, value in changed.items() if name in given})
    with pytest.raises(Misconfigured, match=named):
        open_connector(Binding("harbour", "netsuite", settings, secrets))


async def test_what_others_wrote_is_read_but_never_taken_for_ours(
    firm: NetSuiteFirm, delivered: NetSuiteConnector
) -> None:
    body = {
        "entity": {"externalId": "cus_acme"},
        "tranDate": "2026-10-01",
        "item": {"items": [{"item": {"externalId": "item-SVC-IMPL"}, "amount": 12.5}]},
    }
    await firm.ask("PUT", "/record/v1/invoice/eid:inv_acme", body=body)
    found = (await delivered.list_invoices(modified_since=None, cursor=None, limit=10)).items
    assert [(invoice.gross, invoice.period) for invoice in found] == [(Money.of("12.50", "EUR"), None)]
    assert found[0].id != "inv_acme"
    with pytest.raises(VendorRejected, match="holds another invoice"):
        await delivered.create_invoice(draft())


async def test_what_does_not_fit_our_language_is_drift_with_its_field(
    firm: NetSuiteFirm, connector: NetSuiteConnector
) -> None:
    await firm.ask("PATCH", "/record/v1/subsidiary/eid:HC-DE", body={"country": {"id": "Germany"}})
    with pytest.raises(VendorDrift, match="country"):
        await connector.list_legal_entities()


async def test_many_writers_of_one_invoice_post_it_once(firm: NetSuiteFirm, delivered: NetSuiteConnector) -> None:
    posted = await asyncio.gather(*(delivered.create_invoice(draft()) for _ in range(6)))
    assert len({invoice.source.ref for invoice in posted}) == 1
    assert await firm.count("invoice") == 1


async def test_the_budget_keeps_us_below_the_limit_of_requests_at_once(
    netsuite: Sandbox, delivered: NetSuiteConnector
) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"at_once": 5, "delay": 0.02})
    await asyncio.gather(*(delivered.create_invoice(draft(f"inv_{number}")) for number in range(12)))
    assert netsuite.simulator.counts()["invoice"] == 12


async def test_an_installation_takes_the_vendor_in(serve: Serve) -> None:
    kept = VENDOR.generate()
    assert kept["private_key"] != VENDOR.generate()["private_key"]
    sandbox = await serve(VENDOR.simulator(kept))
    opened = open_connector(
        Binding("harbour", VENDOR.name, VENDOR.settings(sandbox.base_url, kept), VENDOR.secrets(kept))
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        books = VENDOR.erp(sandbox.base_url, http, kept)
        for _ in range(2):
            await books.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
        await opened.amend_customer(customer(), "HC-DE")
        await opened.amend_project(plan())
        posted = await opened.create_invoice(draft())
        (row,) = await books.read_invoices()
        assert (row.record_id, row.gross) == (posted.source.ref, draft().gross.amount)
        await books.pay(row.record_id, row.gross, date(2026, 11, 20), "PAY-1")
        assert set(await books.read_projects()) == {"prj_acme"}
    settled = await opened.find_invoice("inv_acme")
    assert settled is not None
    assert settled.state is InvoiceState.PAID
    await opened.aclose()
    with pytest.raises(LookupError):
        VENDOR.psa(sandbox.base_url, http, kept)


async def test_long_results_are_read_in_pages_side_by_side_and_beyond_the_longest_from_the_last_id(
    firm: NetSuiteFirm, connector: NetSuiteConnector, netsuite: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    del firm
    monkeypatch.setattr("system_apis.connectors.netsuite.client.LARGEST_PAGE", 2)
    route = "POST .*/suiteql"
    before = netsuite.calls(route)
    assert len(await connector.list_rate_cards()) == 2
    assert netsuite.calls(route) - before == 2
    monkeypatch.setattr("system_apis.connectors.netsuite.client.LARGEST_RESULT", 2)
    monkeypatch.setattr("deploy.sandbox.netsuite.address.LONGEST_RESULT", 2)
    assert sum(len(card.rates) for card in await connector.list_rate_cards()) == 3
