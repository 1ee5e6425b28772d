"""Ways in, settings, troubles on the wire, and fields a tenant keeps elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from shared.errors.taxonomy import (
    CredentialsRefused,
    Misconfigured,
)
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from tests.conformance.erp_firm import LEGAL_ENTITIES, contract, customer, draft, plan
from tests.conformance.oracle_fusion.beginnings import set_up, switch
from tests.conformance.oracle_fusion.pods import binding, listen
from tests.conformance.served import Sandbox

pytestmark = pytest.mark.usefixtures("firm")


# --- doors and troubles ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("flow", ["basic", "jwt_assertion", "client_credentials"])
async def test_every_door_lets_in_and_keeps_out(fusion: Sandbox, flow: str) -> None:
    good = open_connector(binding(fusion.base_url, auth_flow=flow))
    await good.ping()
    await good.aclose()
    bad = open_connector(binding(fusion.base_url, is_known=False, auth_flow=flow))
    with pytest.raises(CredentialsRefused):
        await bad.ping()
    await bad.aclose()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auth_flow", "magic"),
        ("item_kind", "stone"),
        ("contract_type_id", "Services"),
        ("payment_terms_days", "thirty"),
        ("project_template", ""),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(key: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=key):
        open_connector(binding("http://127.0.0.1:1/pod", **{key: value}))


async def test_a_token_that_ends_between_pages_is_renewed(
    connector: OracleFusionConnector, fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    rows = [
        {"rate_card": "RC-LONG", "role": f"Role {n}", "currency": "EUR", "rate": "1.5", "effective_from": "2026-01-01",
         "effective_to": ""}
        for n in range(1, 1102)
    ]  # fmt: skip
    await firm.load([], [], rows)
    fault = fusion.fault(FaultKind.SESSION_EXPIRED, "/child/Rates.*offset=500")
    cards = {card.code: card for card in await connector.list_rate_cards()}
    assert len(cards["RC-LONG"].rates) == 1101
    assert fusion.has_struck(fault)


async def test_a_record_somebody_holds_is_asked_for_again(connector: OracleFusionConnector, fusion: Sandbox) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    switch(fusion, locked=["contracts"])

    async def let_go() -> None:
        await asyncio.sleep(0.2)
        switch(fusion, locked=[])

    written, _ = await asyncio.gather(connector.amend_contract(contract()), let_go())
    assert written.was_created


async def test_two_writers_of_one_customer_make_one_account(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    written = await asyncio.gather(*(connector.amend_customer(customer(), "HC-DE") for _ in range(5)))
    assert [one.was_created for one in written].count(True) == 1
    assert len(await firm.rows("customerAccountSitesLOV")) == 1


async def test_every_call_names_the_framework_version_and_pins_the_resource_version(
    connector: OracleFusionConnector, fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    recorder = listen(fusion)
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    await firm.pay(invoice.source.ref, Decimal("1.00"), date(2026, 11, 5), "PAY-1")
    await connector.list_payments(modified_since=None, cursor=None, limit=10)
    await connector.describe(["projects"])
    rest = [one for one in recorder.heard if "/resources/" in one.path and "throughline" in one.headers["user-agent"]]
    assert len(rest) > 15
    assert {one.headers.get("rest-framework-version") for one in rest} == {"4"}
    assert all("/resources/11.13.18.05/" in one.path for one in rest)


async def test_a_tenants_own_field_is_written_where_the_tenant_keeps_it(
    fusion: Sandbox, firm: OracleFusionFirm, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "invoice:\n  id: SpecialInstructions\n"
        "task:\n  billing_model: {path: TaskDescription, values: {TM: time_and_materials, FF: fixed_fee}}\n"
    )
    connector = open_connector(replace(binding(fusion.base_url), overrides=file))
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    assert invoice.id == "inv_acme"
    assert await connector.find_invoice("inv_acme") == invoice
    assert (await connector.create_invoice(draft())).source.ref == invoice.source.ref
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["SpecialInstructions"], row["CrossReference"]) == ("inv_acme", None)
    project = await connector.find_project("prj_acme")
    assert project
    tasks = await firm.rows(f"projects/{project.source.ref}/child/Tasks")
    assert [task["TaskDescription"] for task in tasks[:2]] == ["TM", "FF"]
    await connector.aclose()


async def test_reference_data_changed_by_finance_is_seen_at_once_when_missing(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    late = [*LEGAL_ENTITIES, {**LEGAL_ENTITIES[0], "code": "HC-AT", "name": "Harbour AT", "country": "AT"}]
    await firm.load(late, [], [])
    written = await connector.amend_customer(customer(), "HC-AT")
    assert not written.was_created
