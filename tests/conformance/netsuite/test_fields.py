"""Fields of a tenant's own, SuiteTax, and what the account's metadata tells."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.tokens import MachineCredentials
from shared.canonical.invoices import InvoiceState
from shared.errors.taxonomy import Misconfigured, VendorRejected
from system_apis.connectors.netsuite.bodies import tax_shares
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.served import Sandbox

Opening = Callable[..., AbstractAsyncContextManager[NetSuiteConnector]]


@pytest.fixture
def opened(netsuite: Sandbox, credentials: MachineCredentials, tmp_path: Path) -> Opening:
    @asynccontextmanager
    async def open_with(overrides: dict[str, Any] | None = None, **settings: str) -> AsyncGenerator[NetSuiteConnector]:
        file = tmp_path / "own.yaml"
        file.write_text(json.dumps(overrides or {}), encoding="utf-8")
        known = {
            "base_url": netsuite.base_url,
            "client_id": credentials.client_id,
            "certificate_id": credentials.certificate_id,
        }
        secrets = {"private_key": credentials.private_key}
        one = open_connector(Binding("harbour", "netsuite", {**known, **settings}, secrets, file))
        try:
            await one.amend_customer(customer(), "HC-DE")
            await one.amend_project(plan())
            yield one
        finally:
            await one.aclose()

    return open_with


def _switch(netsuite: Sandbox, **switches: object) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure(dict(switches))


async def test_what_is_written_stands_in_the_tenants_own_fields(firm: NetSuiteFirm, opened: Opening) -> None:
    own = {
        "customer": {"industry": "custentity_firm_branch"},
        "invoice": {"period": "custbody_firm_period"},
        "contract": {"purchase_order": "location"},
    }
    async with opened(own) as connector:
        posted = await connector.create_invoice(draft())
        assert posted.period == "2026-10"
        assert (await connector.create_invoice(draft())).source == posted.source
        listed = await connector.list_invoices(modified_since=None, cursor=None, limit=10)
        assert [(one.id, one.period) for one in listed.items] == [("inv_acme", "2026-10")]
        await connector.amend_contract(contract())
    record = await firm.ask("GET", "/record/v1/invoice/eid:inv_acme")
    assert (record.get("custbody_firm_period"), record.get("custbody_tl_period")) == ("2026-10", None)
    order = await firm.ask("GET", "/record/v1/salesOrder/eid:con_acme")
    assert (order["location"], order.get("otherRefNum")) == ("PO-7", None)


async def test_states_in_another_language_are_read_by_the_tenants_table(
    netsuite: Sandbox, firm: NetSuiteFirm, opened: Opening
) -> None:
    del firm
    _switch(netsuite, status_as="label")
    values = {"Open": "pending_approval", "Paid In Full": "paid"}
    async with opened({"invoice": {"state": {"path": "status.id", "values": values}}}) as connector:
        assert (await connector.create_invoice(draft())).state is InvoiceState.PENDING_APPROVAL


async def test_tax_details_add_up_to_the_draft_with_suite_tax(
    netsuite: Sandbox, firm: NetSuiteFirm, opened: Opening
) -> None:
    _switch(netsuite, suite_tax=True)
    wanted = draft(amounts=("0.03", "0.03", "0.03", "361.50"))
    async with opened(suite_tax_type="7", suite_tax_code="18") as connector:
        posted = await connector.create_invoice(wanted)
    assert (posted.net, posted.tax, posted.gross) == (wanted.net, wanted.tax, wanted.gross)
    record = await firm.ask("GET", "/record/v1/invoice/eid:inv_acme", params={"expandSubResources": "true"})
    assert [line["taxAmount"] for line in record["taxDetails"]["items"]] == [0.01, 0.01, 0.01, 68.67]


async def test_a_tax_that_the_account_makes_itself_leaves_no_wrong_invoice(
    netsuite: Sandbox, firm: NetSuiteFirm, opened: Opening
) -> None:
    _switch(netsuite, suite_tax=True)
    async with opened() as connector:
        with pytest.raises(VendorRejected, match="tax is"):
            await connector.create_invoice(draft())
    assert await firm.count("invoice") == 0


def test_the_largest_line_carries_what_rounding_leaves() -> None:
    wanted = draft(amounts=("10.01", "0.03", "0.03"))
    shares = tax_shares(wanted)
    assert sum(shares) == wanted.tax.amount
    assert shares[1:] == [Decimal("0.01"), Decimal("0.01")]


async def test_lines_are_replaced_whole_whatever_put_does_with_them(
    netsuite: Sandbox, firm: NetSuiteFirm, opened: Opening
) -> None:
    _switch(netsuite, put_replaces=False)
    async with opened() as connector:
        for _ in range(3):
            await connector.amend_contract(contract(amounts=("20000.10",)))
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_billing_schedule(schedule(2))
        await connector.amend_billing_schedule(schedule(1))
    for path, sublist in (
        ("salesOrder/eid:con_acme", "item"),
        ("customer/eid:cus_acme", "addressBook"),
        ("billingSchedule/eid:bs-con_acme", "milestone"),
    ):
        record = await firm.ask("GET", f"/record/v1/{path}", params={"expandSubResources": "true"})
        assert len(record[sublist]["items"]) == 1, path


async def test_metadata_tells_fields_lines_and_what_cannot_be_written(firm: NetSuiteFirm, opened: Opening) -> None:
    del firm
    async with opened() as connector:
        told = await connector.describe(["invoice", "invoice.item", "invoice.nothing", "unheardOf"])
    assert set(told) == {"invoice", "invoice.item"}
    facts = {one.name: one for one in told["invoice"]}
    assert (facts["total"].is_writable, facts["entity"].is_required, facts["tranDate"].kind) == (
        False,
        True,
        "string date",
    )
    assert facts["approvalStatus"].values == ("1", "2", "3", "11")
    assert "custcol_tl_line" in {one.name for one in told["invoice.item"]}


def test_a_tax_type_without_its_code_is_misconfigured() -> None:
    settings = {"base_url": "http://127.0.0.1:1", "client_id": "a", "certificate_id": "b", "suite_tax_type": "7"}
    with pytest.raises(Misconfigured):
        open_connector(Binding("harbour", "netsuite", settings, {"private_key": "x"}))
