"""The sample firm's deals, contracts and customers in the portal, and what it shows of them; vendor wire only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import httpx

from deploy.sandbox.hubspot.session import HubspotSession
from deploy.sandbox.hubspot.setup import custom_objects, set_up
from deploy.sandbox.hubspot.simulator import PEOPLE
from deploy.sandbox.kit.firm import DealRow, InvoiceStatusRow, Row

KEY = "tl_reference"
OPEN_STAGE = "contractsent"
PRIMARY_COMPANY, CHILD_TO_PARENT = 5, 14
_DELIVERY = ("tl_delivery_stage", "tl_project_id", "tl_project_ref", "tl_delivery_message")
_STATUS = (
    "tl_invoice_id",
    "tl_invoice_ref",
    "tl_period",
    "tl_stage",
    "tl_currency",
    "tl_gross_amount",
    "tl_paid_amount",
)
_FIXED = {"contract_status": "tl_approval", "po_number": "tl_po_number"}
Texts = dict[str, str]


def _company(row: Row) -> Texts:
    return {
        KEY: row["account_id"],
        "name": row["name"],
        "tl_sector": row.get("sector", ""),
        "address": row["billing_street"],
        "city": row["billing_city"],
        "zip": row["billing_postal_code"],
        "tl_country_code": row["billing_country"],
        "tl_tax_id": row["tax_id"],
        "tl_po_required": row["po_required"].strip().lower(),
        "tl_payment_share": row.get("payment_share", ""),
        "tl_payment_after_days": row.get("payment_after_days", ""),
    }


def _deal(row: Row) -> Texts:
    return {
        KEY: row["opportunity_id"],
        "dealname": row["name"],
        "pipeline": "default",
        "dealstage": OPEN_STAGE,
        "amount": row["amount"],
        "deal_currency_code": row["currency"],
        "closedate": row["close_date"],
        "tl_region": row.get("region", ""),
        "tl_legal_entity": row["legal_entity"],
        "tl_sales_owner": row.get("owner", ""),
        "tl_revision": row["revision"],
    }


def _line(row: Row, currency: str, product_id: str) -> Texts:
    return {
        KEY: row["line_id"],
        "name": row["product_code"],
        "hs_sku": row["product_code"],
        "hs_product_id": product_id,
        "price": row["unit_price"],
        "quantity": row["quantity"],
        "hs_line_item_currency_code": currency,
        "tl_workstream": row["workstream"],
        "tl_billing_model": row["billing_model"],
        "tl_start_on": row["start_date"],
    }


def _contract(row: Row, currency: str) -> Texts:
    return {
        KEY: row["contract_id"],
        "tl_approval": row["status"],
        "tl_currency": currency,
        "tl_signed_on": row["signed_on"],
        "tl_payment_terms_days": row["payment_terms_days"],
        "tl_cap_amount": row["cap_amount"],
        "tl_po_number": row["po_number"],
        "tl_rate_card": row["rate_card"],
        "tl_revision": row["revision"],
    }


def _milestone(row: Row, currency: str) -> Texts:
    return {
        KEY: row["milestone_id"],
        "tl_name": row["name"],
        "tl_line_reference": row["line_id"],
        "tl_workstream": row["workstream"],
        "tl_currency": currency,
        "tl_amount": row["amount"],
        "tl_due_on": row["due_date"],
    }


class HubspotFirm:
    """Loads a firm's CRM and contract tables; loading twice leaves the same records."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, token: str = PEOPLE.token) -> None:
        self._wire = HubspotSession(base_url, client, token)

    async def load(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Everything; every deal is still being sold afterwards."""
        custom = await set_up(self._wire)
        deals = {row["opportunity_id"]: row for row in tables["opportunities"]}
        currencies = {deal: row["currency"] for deal, row in deals.items()}
        products = await self._load_products(tables)
        companies = await self._load_companies(tables["accounts"])
        deal_ids = await self._wire.upsert("deals", KEY, map(_deal, deals.values()))
        bought = [(deal_ids[deal], companies[row["account_id"]]) for deal, row in deals.items()]
        await self._wire.link("deals", "companies", bought, PRIMARY_COMPANY)
        lines = tables["opportunity_lines"]
        sold = (_line(row, currencies[row["opportunity_id"]], products[row["product_code"]]) for row in lines)
        line_ids = await self._wire.upsert("line_items", KEY, sold)
        belongs = [(deal_ids[row["opportunity_id"]], line_ids[row["line_id"]]) for row in lines]
        await self._wire.link("deals", "line_items", belongs)
        await self._load_contracts(tables, custom, deal_ids, currencies)

    async def close(self, opportunities: Sequence[Row]) -> None:
        """Every deal comes to the stage of its row; what is won and lost the pipeline itself says."""
        answer = await self._wire.call("GET", "/crm/v3/pipelines/deals/default")
        labels: Texts = {stage["label"]: stage["id"] for stage in answer["stages"]}
        closed = [stage for stage in answer["stages"] if stage["metadata"]["isClosed"] == "true"]
        for label, chance in (("Closed Won", 1), ("Closed Lost", 0)):
            labels[label] = next(one["id"] for one in closed if float(one["metadata"]["probability"]) == chance)
        moved = [
            {KEY: row["opportunity_id"], "dealstage": labels.get(row["stage"], OPEN_STAGE)} for row in opportunities
        ]
        await self._wire.upsert("deals", KEY, moved)

    async def apply_fix(self, kind: str, subject: str, value: str) -> None:
        """What a person would correct in the CRM. Raises ValueError for a kind that is not corrected here."""
        if kind in _FIXED:
            contract = (await custom_objects(self._wire))["tl_contract"]
            await self._amend(contract, subject, {_FIXED[kind]: value})
        elif kind == "tax_id":
            await self._amend("companies", subject, {"tl_tax_id": value})
        elif kind == "billing_address":
            street, city, postal_code = value.split("|")
            await self._amend("companies", subject, {"address": street, "city": city, "zip": postal_code})
        else:
            raise ValueError(f"{kind} is not corrected in the CRM")

    async def count_accounts(self) -> int:
        """How many companies there are."""
        return len([row async for row in self._wire.every("companies", ["name"])])

    async def read_deals(self) -> dict[str, DealRow]:
        """Every deal by the id the firm knows it by."""
        found: dict[str, DealRow] = {}
        async for row in self._wire.every("deals", (KEY, *_DELIVERY)):
            held = row["properties"]
            stage, project_id, project_ref, message = (held.get(name) for name in _DELIVERY)
            reference = held.get(KEY) or row["id"]
            found[reference] = DealRow(reference, row["id"], stage, project_id, project_ref, message)
        return found

    async def read_invoice_statuses(self) -> list[InvoiceStatusRow]:
        """Every invoice the account team sees."""
        kind = (await custom_objects(self._wire)).get("tl_invoice_status")
        if kind is None:
            return []
        rows = {row["id"]: row["properties"] async for row in self._wire.every(kind, _STATUS)}
        deals = {row["id"]: row["properties"][KEY] async for row in self._wire.every("deals", [KEY])}
        linked = await self._wire.linked(kind, "deals", list(rows))
        return [
            InvoiceStatusRow(
                invoice_id=held["tl_invoice_id"],
                opportunity_id=deals[linked[record][0]] if record in linked else "",
                invoice_ref=held["tl_invoice_ref"],
                period=held["tl_period"],
                stage=held["tl_stage"],
                currency=held["tl_currency"],
                gross=Decimal(held["tl_gross_amount"]),
                paid=Decimal(held["tl_paid_amount"]),
            )
            for record, held in sorted(rows.items(), key=lambda item: str(item[1]["tl_invoice_id"]))
        ]

    async def _load_products(self, tables: Mapping[str, Sequence[Row]]) -> Texts:
        """Products as sold, those among them that the list lacks too."""
        names = {row["product_code"]: row["product_code"] for row in tables["opportunity_lines"]}
        names |= {row["product_code"]: row["name"] for row in tables["products"]}
        rows = ({KEY: code, "hs_sku": code, "name": name} for code, name in names.items())
        return await self._wire.upsert("products", KEY, rows)

    async def _load_companies(self, accounts: Sequence[Row]) -> Texts:
        companies = await self._wire.upsert("companies", KEY, map(_company, accounts))
        above = [
            (companies[row["account_id"]], companies[row["parent_account_id"]])
            for row in accounts
            if row["parent_account_id"]
        ]
        await self._wire.link("companies", "companies", above, CHILD_TO_PARENT)
        return companies

    async def _load_contracts(
        self, tables: Mapping[str, Sequence[Row]], custom: Texts, deals: Texts, currencies: Texts
    ) -> None:
        contract, milestone = custom["tl_contract"], custom["tl_milestone"]
        agreed = {row["opportunity_id"]: row for row in tables["contracts"]}
        rows = (_contract(row, currencies[deal]) for deal, row in agreed.items())
        contracts = await self._wire.upsert(contract, KEY, rows)
        of_deals = [(contracts[row["contract_id"]], deals[deal]) for deal, row in agreed.items()]
        await self._wire.link(contract, "deals", of_deals)
        due = tables["milestones"]
        rows = (_milestone(row, currencies[row["opportunity_id"]]) for row in due)
        milestones = await self._wire.upsert(milestone, KEY, rows)
        of_contracts = [
            (milestones[row["milestone_id"]], contracts[agreed[row["opportunity_id"]]["contract_id"]]) for row in due
        ]
        await self._wire.link(milestone, contract, of_contracts)

    async def _amend(self, kind: str, reference: str, changes: Texts) -> None:
        body = {"properties": changes}
        await self._wire.call("PATCH", f"/crm/v3/objects/{kind}/{reference}", body, idProperty=KEY)
