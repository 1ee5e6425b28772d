"""Several ERPs behind one port: every legal entity's business goes to its own, nothing is asked of the wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pytest

from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.references import Page, SourceRef, Written
from shared.errors.taxonomy import InvalidRequest, Misconfigured, NotFound, UnknownReference
from system_apis.ports.erp import ErpPort
from system_apis.routed_erp import RoutedErp
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule


@dataclass
class Books:
    """One ERP that remembers what it was given."""

    name: str
    entities: tuple[str, ...]
    rate: str = "100"
    held: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: list[str] = field(default_factory=list[str])

    def source(self, ref: str) -> SourceRef:
        return SourceRef(system=self.name, ref=ref, version="1")

    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        return tuple(
            LegalEntity(
                tenant="harbour",
                id=f"ent-{self.name}-{code}",
                source=self.source(code),
                code=code,
                name=code,
                country="DE",
                currency="EUR",
                is_approved=True,
                standard_tax_rate=Decimal("0.19"),
            )
            for code in self.entities
        )

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        number = f"svc-{self.name}"
        return (
            ServiceItem(
                tenant="harbour",
                id=number,
                source=self.source(number),
                product_code="GTX Pro",
                item_code=f"{self.name}-IMPL",
                name="Implementation",
            ),
        )

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        rate = Rate(role="Engineer", rate=Decimal(self.rate), effective_from=date(2026, 1, 1))
        return (
            RateCard(
                tenant="harbour",
                id=f"rat-{self.name}",
                source=self.source("RC"),
                code="RC-DE",
                currency="EUR",
                rates=(rate,),
            ),
        )

    def _written(self, number: str) -> Written:
        self.held[number] = True
        return Written(id=number, source=self.source(number), was_created=True)

    async def amend_customer(self, customer: Any, legal_entity_code: str) -> Written:
        return self._written(f"{customer.id}:{legal_entity_code}")

    async def amend_project(self, plan: Any) -> Any:
        return self._written(plan.id)

    async def amend_contract(self, contract: Any) -> Written:
        return self._written(contract.id)

    async def amend_billing_schedule(self, schedule: Any) -> Written:
        return self._written(schedule.id)

    async def create_invoice(self, draft: Any) -> Any:
        return self._written(draft.id)

    async def _find(self, number: str) -> Any:
        self.asked.append(number)
        return Written(id=number, source=self.source(number), was_created=False) if number in self.held else None

    find_project = find_contract = find_invoice = find_billing_schedule = find_customer = _find

    async def close_project(self, project_id: str) -> None:
        del self.held[project_id]

    async def list_payments(self, *, modified_since: Any, cursor: str | None, limit: int) -> Page[Any]:
        del modified_since
        rows = self.held.get("payments", [])
        start = int(cursor or 0)
        more = str(start + limit) if start + limit < len(rows) else None
        return Page(items=tuple(rows[start : start + limit]), next_cursor=more)

    list_invoices = list_payments


@dataclass
class House:
    general: Books = field(default_factory=lambda: Books("alpha", ("HC-US", "HC-DE")))
    german: Books = field(default_factory=lambda: Books("beta", ("HC-DE", "HC-XX")))

    @property
    def routed(self) -> RoutedErp:
        erps = {books.name: cast("ErpPort", books) for books in (self.general, self.german)}
        return RoutedErp(erps, "alpha", {"HC-DE": "beta"})


async def test_every_erp_tells_its_own_legal_entities_only() -> None:
    found = await House().routed.list_legal_entities()
    assert [(one.source.system, one.code) for one in found] == [("alpha", "HC-US"), ("beta", "HC-DE")]


async def test_items_name_the_entities_that_may_sell_them() -> None:
    found = {one.item_code: one.legal_entity_codes for one in await House().routed.list_service_items()}
    assert found == {"alpha-IMPL": ("HC-US",), "beta-IMPL": ("HC-DE",)}


async def test_a_card_is_told_once_and_never_with_two_prices() -> None:
    house = House()
    assert [card.code for card in await house.routed.list_rate_cards()] == ["RC-DE"]
    house.german.rate = "101"
    with pytest.raises(Misconfigured, match="RC-DE has other prices in alpha than in beta"):
        await house.routed.list_rate_cards()


async def test_a_deals_records_stand_in_the_erp_of_its_entity() -> None:
    house = House()
    erp = house.routed
    await erp.amend_customer(customer(), "HC-DE")
    await erp.amend_project(plan())
    await erp.amend_contract(contract())
    await erp.amend_billing_schedule(schedule())
    await erp.create_invoice(draft())
    assert set(house.german.held) == {"cus_acme:HC-DE", "prj_acme", "con_acme", "bs-con_acme", "inv_acme"}
    assert not house.general.held
    assert not house.general.asked, "who wrote it knows where it stands"


async def test_a_new_process_finds_what_another_wrote() -> None:
    house = House()
    await house.routed.amend_project(plan())
    await house.routed.amend_contract(contract())
    fresh = house.routed
    await fresh.amend_billing_schedule(schedule())
    assert "bs-con_acme" in house.german.held
    assert (await fresh.find_project("prj_acme")) is not None
    asked = len(house.general.asked)
    await fresh.find_project("prj_acme")
    assert len(house.general.asked) == asked, "found once, it is not looked for elsewhere again"
    await fresh.close_project("prj_acme")
    assert "prj_acme" not in house.german.held


async def test_what_stands_nowhere_is_said() -> None:
    erp = House().routed
    assert await erp.find_invoice("inv_none") is None
    with pytest.raises(NotFound):
        await erp.close_project("prj_none")
    with pytest.raises(UnknownReference):
        await erp.amend_billing_schedule(schedule())


async def test_lists_go_through_every_erp_whole_and_once() -> None:
    house = House()
    house.general.held["payments"] = [f"a{n}" for n in range(5)]
    house.german.held["payments"] = [f"b{n}" for n in range(3)]
    seen: list[Any] = []
    cursor: str | None = None
    for _ in range(20):
        page = await house.routed.list_payments(modified_since=None, cursor=cursor, limit=2)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2"]
    with pytest.raises(InvalidRequest):
        await house.routed.list_payments(modified_since=None, cursor="bm9wZQ", limit=2)
