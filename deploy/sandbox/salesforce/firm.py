"""The sample firm's deals, contracts and customers in the org, and what the org shows of them; vendor wire only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from deploy.sandbox.kit.firm import DealRow, InvoiceStatusRow, Row
from deploy.sandbox.salesforce.session import API, SalesforceSession, loader_session

Json = dict[str, Any]
KEY = "Reference__c"
OPEN_STAGE = "Negotiation/Review"
CONTRACT_STATUS = {"approved": "Activated", "rejected": "Rejected", "draft": "Draft"}
_IN_REVIEW = "In Approval Process"


def _sum(text: str) -> Decimal | None:
    return Decimal(text) if text.strip() else None


def _link(value: str) -> Json:
    return {KEY: value}


def _account(row: Row) -> Json:
    return {
        KEY: row["account_id"],
        "Name": row["name"],
        "Industry": row.get("sector", ""),
        "BillingCountryCode": row["billing_country"],
        "BillingCity": row["billing_city"],
        "BillingStreet": row["billing_street"],
        "BillingPostalCode": row["billing_postal_code"],
        "Tax_Id__c": row["tax_id"],
        "PO_Required__c": row["po_required"].strip().lower() == "true",
        "Payment_Share__c": _sum(row.get("payment_share", "")),
        "Payment_After_Days__c": _sum(row.get("payment_after_days", "")),
    } | ({"Parent": _link(row["parent_account_id"])} if row["parent_account_id"] else {})


def _opportunity(row: Row, pricebook_id: str) -> Json:
    return {
        KEY: row["opportunity_id"],
        "Name": row["name"],
        "Account": _link(row["account_id"]),
        "StageName": OPEN_STAGE,
        "Amount": _sum(row["amount"]),
        "CurrencyIsoCode": row["currency"],
        "CloseDate": row["close_date"],
        "Pricebook2Id": pricebook_id,
        "Region__c": row.get("region", ""),
        "Legal_Entity__c": row["legal_entity"],
        "Sales_Owner__c": row.get("owner", ""),
        "Revision__c": _sum(row["revision"]),
    }


def _line(row: Row) -> Json:
    return {
        KEY: row["line_id"],
        "Opportunity": _link(row["opportunity_id"]),
        "Product2": _link(row["product_code"]),
        "Quantity": _sum(row["quantity"]),
        "TotalPrice": _sum(row["amount"]),
        "ServiceDate": row["start_date"],
        "Workstream__c": row["workstream"],
        "Billing_Model__c": row["billing_model"],
    }


def _contract(row: Row, opportunity: Row) -> Json:
    return {
        KEY: row["contract_id"],
        "Account": _link(opportunity["account_id"]),
        "Opportunity__r": _link(row["opportunity_id"]),
        "CurrencyIsoCode": opportunity["currency"],
        "CustomerSignedDate": row["signed_on"],
        "Cap_Amount__c": _sum(row["cap_amount"]),
        "PO_Number__c": row["po_number"],
        "Rate_Card__c": row["rate_card"],
        "Payment_Terms_Days__c": _sum(row["payment_terms_days"]),
        "Revision__c": _sum(row["revision"]),
    }


def _milestone(row: Row, contract: Row, currency: str) -> Json:
    return {
        KEY: row["milestone_id"],
        "Name": row["name"],
        "Contract__r": _link(contract["contract_id"]),
        "CurrencyIsoCode": currency,
        "Line_Reference__c": row["line_id"],
        "Workstream__c": row["workstream"],
        "Amount__c": _sum(row["amount"]),
        "Due_Date__c": row["due_date"],
    }


def _parents_first(accounts: Sequence[Row]) -> list[list[Row]]:
    """Accounts in waves, each of which only needs the ones before it."""
    waves: list[list[Row]] = []
    waiting, done = list(accounts), {""}
    while waiting:
        ready = [row for row in waiting if row["parent_account_id"] in done]
        if not ready:
            names = ", ".join(row["account_id"] for row in waiting[:5])
            raise ValueError(f"accounts: parent_account_id of {names} is not in the table or runs in a circle")
        waves.append(ready)
        done |= {row["account_id"] for row in ready}
        waiting = [row for row in waiting if row["account_id"] not in done]
    return waves


class SalesforceFirm:
    """Loads a firm's CRM and contract tables; loading twice leaves the same rows."""

    def __init__(self, base_url: str, client: httpx.AsyncClient) -> None:
        self._wire: SalesforceSession = loader_session(base_url, client)

    async def load(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Everything; every deal is still being sold afterwards, so that winning it is a change."""
        deals = {row["opportunity_id"]: row for row in tables["opportunities"]}
        contracts = {row["opportunity_id"]: row for row in tables["contracts"]}
        pricebook_id = await self._load_products(tables, deals)
        for wave in _parents_first(tables["accounts"]):
            await self._wire.upsert("Account", KEY, [_account(row) for row in wave])
        await self._wire.upsert("Opportunity", KEY, [_opportunity(row, pricebook_id) for row in deals.values()])
        await self._load_lines(tables["opportunity_lines"])
        agreed = [_contract(row, deals[row["opportunity_id"]]) for row in tables["contracts"]]
        await self._wire.upsert("Contract", KEY, agreed)
        due = [
            _milestone(row, contracts[row["opportunity_id"]], deals[row["opportunity_id"]]["currency"])
            for row in tables["milestones"]
        ]
        await self._wire.upsert("Billing_Milestone__c", KEY, due)
        states = [
            {KEY: row["contract_id"], "Status": CONTRACT_STATUS.get(row["status"], _IN_REVIEW)}
            for row in tables["contracts"]
        ]
        await self._wire.upsert("Contract", KEY, states)

    async def close(self, opportunities: Sequence[Row]) -> None:
        """Every deal comes to the stage of its row; one that stands there already is left alone."""
        soql = f"SELECT {KEY}, StageName FROM Opportunity WHERE {KEY} != null"
        stands = {row[KEY]: row["StageName"] async for row in self._wire.query(soql)}
        moved = [
            {KEY: row["opportunity_id"], "StageName": row["stage"]}
            for row in opportunities
            if stands.get(row["opportunity_id"]) != row["stage"]
        ]
        await self._wire.upsert("Opportunity", KEY, moved)

    async def apply_fix(self, kind: str, subject: str, value: str) -> None:
        """What a person would correct in the CRM. Raises ValueError for a kind that is not corrected here."""
        if kind == "contract_status":
            await self._amend("Contract", subject, {"Status": CONTRACT_STATUS.get(value, _IN_REVIEW)})
        elif kind == "po_number":
            await self._amend("Contract", subject, {"PO_Number__c": value})
        elif kind == "tax_id":
            await self._amend("Account", subject, {"Tax_Id__c": value})
        elif kind == "billing_address":
            street, city, postal_code = value.split("|")
            parts = {"BillingStreet": street, "BillingCity": city, "BillingPostalCode": postal_code}
            await self._amend("Account", subject, parts)
        else:
            raise ValueError(f"{kind} is not corrected in the CRM")

    async def count_accounts(self) -> int:
        """How many customers the org holds."""
        answer = await self._wire.call("GET", f"{API}/query", q="SELECT COUNT() FROM Account")
        return int(answer["totalSize"])

    async def read_deals(self) -> dict[str, DealRow]:
        """Every deal by the id the firm knows it by."""
        soql = f"SELECT Id, {KEY}, Delivery_Stage__c, Throughline_Project_Id__c, PSA_Project_Id__c, Delivery_Message__c"
        return {
            row[KEY] or row["Id"]: DealRow(
                opportunity_id=row[KEY] or row["Id"],
                record_id=row["Id"],
                delivery_stage=row["Delivery_Stage__c"],
                project_id=row["Throughline_Project_Id__c"],
                project_ref=row["PSA_Project_Id__c"],
                message=row["Delivery_Message__c"],
            )
            async for row in self._wire.query(f"{soql} FROM Opportunity ORDER BY {KEY}")
        }

    async def read_invoice_statuses(self) -> list[InvoiceStatusRow]:
        """Every invoice the account team sees."""
        soql = "SELECT Invoice_Id__c, Opportunity__r.Reference__c, Invoice_Reference__c, Period__c, Stage__c, "
        soql += "CurrencyIsoCode, Gross_Amount__c, Paid_Amount__c FROM Invoice_Status__c ORDER BY Invoice_Id__c"
        return [
            InvoiceStatusRow(
                invoice_id=row["Invoice_Id__c"],
                opportunity_id=row["Opportunity__r"][KEY],
                invoice_ref=row["Invoice_Reference__c"],
                period=row["Period__c"],
                stage=row["Stage__c"],
                currency=row["CurrencyIsoCode"],
                gross=Decimal(str(row["Gross_Amount__c"] or 0)),
                paid=Decimal(str(row["Paid_Amount__c"] or 0)),
            )
            async for row in self._wire.query(soql)
        ]

    async def _amend(self, sobject: str, reference: str, changes: Json) -> None:
        await self._wire.call("PATCH", f"{API}/sobjects/{sobject}/{KEY}/{reference}", changes, updateOnly="true")

    async def _load_products(self, tables: Mapping[str, Sequence[Row]], deals: Mapping[str, Row]) -> str:
        """Products as sold (also those the list lacks), priced in every currency they are sold in; the price book."""
        names = {row["product_code"]: row["product_code"] for row in tables["opportunity_lines"]}
        names |= {row["product_code"]: row["name"] for row in tables["products"]}
        products = [{KEY: code, "ProductCode": code, "Name": name, "IsActive": True} for code, name in names.items()]
        await self._wire.upsert("Product2", KEY, products)
        books = [row async for row in self._wire.query("SELECT Id FROM Pricebook2 WHERE IsStandard = TRUE")]
        pricebook_id = str(books[0]["Id"])
        soql = f"SELECT Product2.{KEY}, CurrencyIsoCode FROM PricebookEntry WHERE Pricebook2Id = '{pricebook_id}'"
        priced = {(row["Product2"][KEY], row["CurrencyIsoCode"]) async for row in self._wire.query(soql)}
        sold = {(row["product_code"], deals[row["opportunity_id"]]["currency"]) for row in tables["opportunity_lines"]}
        entries = [
            {
                "Pricebook2Id": pricebook_id,
                "Product2": _link(code),
                "CurrencyIsoCode": currency,
                "UnitPrice": 0,
                "IsActive": True,
            }
            for code, currency in sorted(sold - priced)
        ]
        await self._wire.create("PricebookEntry", entries)
        return pricebook_id

    async def _load_lines(self, rows: Sequence[Row]) -> None:
        """Lines by reference; the product of a line that stands already cannot be set again."""
        there = {row[KEY] async for row in self._wire.query(f"SELECT {KEY} FROM OpportunityLineItem")}
        new = [_line(row) for row in rows if row["line_id"] not in there]
        known = [_line(row) for row in rows if row["line_id"] in there]
        for line in known:
            del line["Opportunity"], line["Product2"]
        await self._wire.upsert("OpportunityLineItem", KEY, [*new, *known])
