"""Sales orders as the ERP's contracts: found by our id, made as quotations, never billing anything by themselves."""

from __future__ import annotations

from shared.canonical.billing import ErpContract
from shared.canonical.references import Written
from shared.errors.taxonomy import VendorRejected
from system_apis.connectors.tryton import mapping, receivables
from system_apis.connectors.tryton.client import Json, TrytonClient, parsed
from system_apis.connectors.tryton.customers import Customers
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.payloads import Sale
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import holds
from system_apis.ports.binding import Binding

_DRAFT, _QUOTED = "draft", "quotation"
_LIVE = [["state", "!=", "cancelled"]]


class Orders:
    """A quotation can go back to a draft and be amended; a confirmed order cannot."""

    def __init__(
        self, binding: Binding, client: TrytonClient, library: Library, directory: Directory, customers: Customers
    ) -> None:
        self._binding = binding
        self._client = client
        self._library = library
        self._records = library["contract"]
        self._directory = directory
        self._customers = customers

    async def find(self, contract_id: str) -> Sale | None:
        """The order that carries our id."""
        return await self._first([[self._records.folded, *holds("contract_id", contract_id)]])

    async def amend(self, contract: ErpContract) -> Written:
        """Mark the CRM's own order, or make a quotation, or bring ours to the given state."""
        async with self._client.alone(contract.id):
            held = await self.find(contract.id)
            if held is None and (own := await self._of_the_crm(contract)) is not None:
                tags = {"contract_id": contract.id, "project": contract.project_id}
                await self._records.retag(self._client, own.id, tags)
                return await self._written(contract.id, was_created=False)
            body, company = await self._body(contract)
            if held is None:
                made = await self._client.create(self._records.model, [self._given(body)], company=company)
                await self._client.press(self._records.model, "quote", made, company=company)
                return await self._written(contract.id, was_created=True)
            if held.origin is None:
                await self._amend(held, body, company, contract)
            return await self._written(contract.id, was_created=False)

    async def _amend(self, held: Sale, body: Json, company: int, contract: ErpContract) -> None:
        """Bring our own order to the contract; what stands already is not written again."""
        if held.state not in {_DRAFT, _QUOTED}:
            raise VendorRejected(f"tryton: order {held.id} of contract {contract.reference} is {held.state}: no draft")
        lines = await self._lines(held.id)
        wanted = [(line["description"], line["unit_price"], line["product"]) for line in body["lines"]]
        if lines != wanted or held.reference != body["reference"] or held.payment_term != body["payment_term"]:
            if held.state == _QUOTED:
                await self._client.press(self._records.model, "draft", [held.id], company=company)
            old = [row["id"] for row in await self._client.find_all("sale.line", [["sale", "=", held.id]], ["id"])]
            given = self._given(body)
            given["lines"] = [*([["delete", old]] if old else []), *given["lines"]]
            await self._client.write(self._records.model, held.id, given, company=company)
            await self._client.press(self._records.model, "quote", [held.id], company=company)
        elif held.state == _DRAFT:  # the answer to the quotation got lost
            await self._client.press(self._records.model, "quote", [held.id], company=company)

    async def _lines(self, sale: int) -> list[tuple[object, object, object]]:
        columns = ["description", "unit_price", "product", "sequence"]
        rows = await self._client.find_all("sale.line", [["sale", "=", sale], ["type", "=", "line"]], columns)
        return [(row.get("description"), row.get("unit_price"), row.get("product")) for row in rows]

    async def _body(self, contract: ErpContract) -> tuple[Json, int]:
        company = await self._directory.company(contract.legal_entity_code)
        party, address = await self._customers.billed(contract.customer_id)
        products = await self._directory.products(company.id, (line.item_code for line in contract.lines))
        body = receivables.from_contract(
            contract,
            party=party,
            address=address,
            currency=await self._directory.currency(contract.currency),
            term=await self._directory.term(contract.payment_terms_days),
            products={code: found[:2] for code, found in products.items()},
        )
        return {**body, "company": company.id}, company.id

    def _given(self, body: Json) -> Json:
        lines = [self._library["contract_line"].give(line) for line in body["lines"]]
        return self._records.give({**body, "lines": [["create", lines]]})

    async def _of_the_crm(self, contract: ErpContract) -> Sale | None:
        """The order that the CRM role of this very Tryton told as this contract: its id gives the same id of ours."""
        wanted = [[self._records.folded, *holds("contract", contract.reference)], *_LIVE]
        rows = await self._client.find_all(self._records.model, wanted, self._records.columns)
        for sale in parsed(Sale, self._records.take_all(rows)):
            if self._binding.identify("contract", str(sale.id)) == contract.id:
                return sale
        return None

    async def _first(self, wanted: list[object]) -> Sale | None:
        rows = await self._client.find(self._records.model, [*wanted, *_LIVE], self._records.columns, limit=1)
        return parsed(Sale, self._records.take_all(rows))[0] if rows else None

    async def _written(self, contract_id: str, *, was_created: bool) -> Written:
        held = await self.find(contract_id)
        if held is None:
            raise mapping.vanished("contract", contract_id)
        return mapping.to_written(self._binding, contract_id, held, was_created=was_created)
