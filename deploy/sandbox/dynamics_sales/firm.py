"""The sample firm's deals, contracts and customers in the environment, and what it shows of them; vendor wire only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from deploy.sandbox.dynamics_sales.session import DataverseSession, Write, loader_session
from deploy.sandbox.dynamics_sales.simulator import TENANT
from deploy.sandbox.kit.firm import DealRow, InvoiceStatusRow, Row

Json = dict[str, Any]
WON = "Closed Won"
_ONLY_THERE = {"if-match": "*"}
_STAGES = {727000000: "in_review", 727000001: "exception", 727000002: "activated", 727000003: "cancelled"}
_INVOICE_STAGES = {727000000: "posted", 727000001: "partly_paid", 727000002: "paid"}
_APPROVALS = {"approved": 727000001, "rejected": 727000002}
_IN_REVIEW = 727000000
_MODELS = {"time_and_materials": 0, "fixed_fee": 1, "milestone": 2, "retainer": 3, "subscription": 4}
_MODEL_BASE = 727000000
_SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "BRL": "R$"}
_RATES = {"EUR": "0.90", "GBP": "0.80", "JPY": "110", "BRL": "5"}
_NO_MINOR_UNIT = {"JPY"}
_FIXES = ("contract_status", "po_number", "tax_id", "billing_address")


def _text(value: str) -> str:
    """A text as a key in an address."""
    return quote("'" + value.replace("'", "''") + "'", safe="'")


def _sum(text: str) -> Decimal | None:
    return Decimal(text) if text.strip() else None


def _whole(text: str) -> int | None:
    return int(Decimal(text)) if text.strip() else None


def _bound(set_name: str, key: str, value: str) -> str:
    return f"/{set_name}({key}={_text(value)})"


def _currency(code: str) -> str:
    return _bound("transactioncurrencies", "isocurrencycode", code)


def _account(row: Row, sectors: Mapping[str, int]) -> Write:
    body: Json = {
        "name": row["name"],
        "industrycode": sectors.get(row.get("sector", "")),
        "address1_country": row["billing_country"],
        "address1_city": row["billing_city"],
        "address1_line1": row["billing_street"],
        "address1_postalcode": row["billing_postal_code"],
        "thl_taxid": row["tax_id"],
        "thl_porequired": row["po_required"].strip().lower() == "true",
        "thl_paymentshare": _sum(row.get("payment_share", "")),
        "thl_paymentafterdays": _whole(row.get("payment_after_days", "")),
    }
    if row["parent_account_id"]:
        body["parentaccountid@odata.bind"] = _bound("accounts", "accountnumber", row["parent_account_id"])
    return Write("PATCH", f"accounts(accountnumber={_text(row['account_id'])})", body)


def _opportunity(row: Row) -> Write:
    body: Json = {
        "name": row["name"],
        "parentaccountid@odata.bind": _bound("accounts", "accountnumber", row["account_id"]),
        "transactioncurrencyid@odata.bind": _currency(row["currency"]),
        "isrevenuesystemcalculated": False,
        "estimatedvalue": _sum(row["amount"]),
        "estimatedclosedate": row["close_date"],
        "thl_region": row.get("region", ""),
        "thl_legalentity": row["legal_entity"],
        "thl_salesowner": row.get("owner", ""),
        "thl_revision": _whole(row["revision"]),
    }
    return Write("PATCH", f"opportunities(thl_reference={_text(row['opportunity_id'])})", body)


def _line(row: Row) -> Write:
    quantity = _sum(row["quantity"]) or Decimal(1)
    amount = _sum(row["amount"]) or Decimal(0)
    price = _sum(row["unit_price"]) or Decimal(0)
    body: Json = {
        "opportunityid@odata.bind": _bound("opportunities", "thl_reference", row["opportunity_id"]),
        "productid@odata.bind": _bound("products", "productnumber", row["product_code"]),
        "uomid@odata.bind": "",
        "quantity": quantity,
        "ispriceoverridden": True,
        "priceperunit": price,
        "manualdiscountamount": price * quantity - amount,
        "thl_workstream": row["workstream"],
        "thl_billingmodel": _MODEL_BASE + _MODELS[row["billing_model"]],
        "thl_starton": row["start_date"],
    }
    return Write("PATCH", f"opportunityproducts(thl_reference={_text(row['line_id'])})", body)


def _contract(row: Row, deal: Row) -> Write:
    body: Json = {
        "thl_name": f"Statement of work {row['contract_id']}",
        "thl_OpportunityId@odata.bind": _bound("opportunities", "thl_reference", row["opportunity_id"]),
        "transactioncurrencyid@odata.bind": _currency(deal["currency"]),
        "thl_approval": _APPROVALS.get(row["status"], _IN_REVIEW),
        "thl_signedon": row["signed_on"] or None,
        "thl_capamount": _sum(row["cap_amount"]),
        "thl_ponumber": row["po_number"],
        "thl_ratecard": row["rate_card"],
        "thl_paymenttermsdays": _whole(row["payment_terms_days"]),
        "thl_revision": _whole(row["revision"]),
    }
    return Write("PATCH", f"thl_contracts(thl_reference={_text(row['contract_id'])})", body)


def _milestone(row: Row, contract: Row, currency: str) -> Write:
    body: Json = {
        "thl_name": row["name"],
        "thl_ContractId@odata.bind": _bound("thl_contracts", "thl_reference", contract["contract_id"]),
        "transactioncurrencyid@odata.bind": _currency(currency),
        "thl_linereference": row["line_id"],
        "thl_workstream": row["workstream"],
        "thl_amount": _sum(row["amount"]),
        "thl_dueon": row["due_date"],
    }
    return Write("PATCH", f"thl_milestones(thl_reference={_text(row['milestone_id'])})", body)


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


class DataverseFirm:
    """Loads a firm's CRM and contract tables; loading twice leaves the same rows."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, tenant_id: str = TENANT) -> None:
        """The loader's session with the environment there."""
        self._wire: DataverseSession = loader_session(base_url, client, tenant_id)

    async def load(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Everything, all deals open: those that were closed are reopened first."""
        deals = {row["opportunity_id"]: row for row in tables["opportunities"]}
        contracts = {row["opportunity_id"]: row for row in tables["contracts"]}
        await self._reopen(deals)
        await self._load_currencies({row["currency"] for row in deals.values()})
        await self._load_products(tables)
        sectors = await self._sectors()
        for wave in _parents_first(tables["accounts"]):
            await self._wire.write_all([_account(row, sectors) for row in wave])
        await self._wire.write_all([_opportunity(row) for row in deals.values()])
        await self._load_lines(tables["opportunity_lines"])
        await self._wire.write_all([_contract(row, deals[row["opportunity_id"]]) for row in tables["contracts"]])
        await self._wire.write_all(
            [
                _milestone(row, contracts[row["opportunity_id"]], deals[row["opportunity_id"]]["currency"])
                for row in tables["milestones"]
            ]
        )

    async def close(self, opportunities: Sequence[Row]) -> None:
        """Deals are won by the vendor's own action; those at another stage stay open."""
        found = await self._deal_states()
        writes: list[Write] = []
        for row in opportunities:
            deal_id, state = found[row["opportunity_id"]]
            if row["stage"] == WON and state == 0:
                close: Json = {
                    "subject": f"Won {row['opportunity_id']}",
                    "opportunityid@odata.bind": f"/opportunities({deal_id})",
                    "actualrevenue": _sum(row["amount"]),
                    "actualend": f"{row['close_date']}T00:00:00Z",
                }
                writes.append(Write("POST", "WinOpportunity", {"Status": 3, "OpportunityClose": close}))
        await self._wire.write_all(writes)

    async def apply_fix(self, kind: str, subject: str, value: str) -> None:
        """What a person would correct in the CRM. Raises ValueError for a kind that is not corrected here."""
        if kind not in _FIXES:
            raise ValueError(f"{kind} is not corrected in the CRM")
        street, city, postal_code = value.split("|") if kind == "billing_address" else ("", "", "")
        address = {"address1_line1": street, "address1_city": city, "address1_postalcode": postal_code}
        changes: Mapping[str, Json] = {
            "contract_status": {"thl_approval": _APPROVALS.get(value, _IN_REVIEW)},
            "po_number": {"thl_ponumber": value},
            "tax_id": {"thl_taxid": value},
            "billing_address": address,
        }
        key = f"thl_contracts(thl_reference={_text(subject)})"
        path = key if kind in _FIXES[:2] else f"accounts(accountnumber={_text(subject)})"
        await self._wire.call("PATCH", path, changes[kind], _ONLY_THERE)

    async def count_accounts(self) -> int:
        """How many customers there are."""
        return len([row async for row in self._wire.rows("accounts", select="accountid")])

    async def read_deals(self) -> dict[str, DealRow]:
        """Every deal by the id the firm knows it by, with the delivery status that stands beside it."""
        columns = "thl_deliverystage,thl_projectid,thl_psaprojectid,thl_deliverymessage"
        beside = {
            row["_thl_opportunityid_value"]: row
            async for row in self._wire.rows("thl_deliverystatuses", select=f"_thl_opportunityid_value,{columns}")
        }
        deals: dict[str, DealRow] = {}
        async for row in self._wire.rows("opportunities", select=f"thl_reference,{columns}", orderby="thl_reference"):
            shown = beside.get(row["opportunityid"], row)
            known = row["thl_reference"] or row["opportunityid"]
            deals[known] = DealRow(
                opportunity_id=known,
                record_id=row["opportunityid"],
                delivery_stage=_STAGES.get(shown["thl_deliverystage"]),
                project_id=shown["thl_projectid"],
                project_ref=shown["thl_psaprojectid"],
                message=shown["thl_deliverymessage"],
            )
        return deals

    async def read_invoice_statuses(self) -> list[InvoiceStatusRow]:
        """Every invoice the account team sees."""
        columns = "thl_invoiceid,thl_invoiceref,thl_period,thl_stage,thl_gross,thl_paid"
        expand = "thl_OpportunityId($select=thl_reference),transactioncurrencyid($select=isocurrencycode)"
        return [
            InvoiceStatusRow(
                invoice_id=row["thl_invoiceid"],
                opportunity_id=row["thl_OpportunityId"]["thl_reference"],
                invoice_ref=row["thl_invoiceref"],
                period=row["thl_period"],
                stage=_INVOICE_STAGES.get(row["thl_stage"]),
                currency=row["transactioncurrencyid"]["isocurrencycode"],
                gross=Decimal(row["thl_gross"] or 0),
                paid=Decimal(row["thl_paid"] or 0),
            )
            async for row in self._wire.rows(
                "thl_invoicestatuses", select=columns, expand=expand, orderby="thl_invoiceid"
            )
        ]

    async def _deal_states(self) -> dict[str, tuple[str, int]]:
        listed = self._wire.rows("opportunities", select="thl_reference,statecode")
        return {row["thl_reference"]: (row["opportunityid"], row["statecode"]) async for row in listed}

    async def _reopen(self, deals: Mapping[str, Row]) -> None:
        closed = [
            Write("PATCH", f"opportunities({deal_id})", {"statecode": 0, "statuscode": 1}, _ONLY_THERE)
            for reference, (deal_id, state) in (await self._deal_states()).items()
            if reference in deals and state != 0
        ]
        await self._wire.write_all(closed)

    async def _load_currencies(self, codes: set[str]) -> None:
        there = {
            row["isocurrencycode"] async for row in self._wire.rows("transactioncurrencies", select="isocurrencycode")
        }
        for code in sorted(codes - there):
            body = {
                "currencyname": code,
                "isocurrencycode": code,
                "currencysymbol": _SYMBOLS.get(code, code),
                "currencyprecision": 0 if code in _NO_MINOR_UNIT else 2,
                "exchangerate": Decimal(_RATES.get(code, "1")),
            }
            await self._wire.call("POST", "transactioncurrencies", body)

    async def _load_products(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Products as sold, also those the list lacks."""
        names = {row["product_code"]: row["product_code"] for row in tables["opportunity_lines"]}
        names |= {row["product_code"]: row["name"] for row in tables["products"]}
        writes = [
            Write(
                "PATCH",
                f"products(productnumber={_text(code)})",
                {"name": name, "quantitydecimal": 2, "producttypecode": 3},
            )
            for code, name in names.items()
        ]
        await self._wire.write_all(writes)

    async def _load_lines(self, rows: Sequence[Row]) -> None:
        unit = (await self._wire.call("GET", "uoms", select="uomid", top="1"))["value"][0]["uomid"]
        lines = [_line(row) for row in rows]
        for line in lines:
            line.body["uomid@odata.bind"] = f"/uoms({unit})"
        await self._wire.write_all(lines)

    async def _sectors(self) -> dict[str, int]:
        """Label → value of the accounts' industries, as the environment's metadata has them."""
        path = "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
        told = await self._wire.call("GET", path, select="LogicalName", expand="OptionSet($select=Options)")
        options = [one["OptionSet"]["Options"] for one in told["value"] if one["LogicalName"] == "industrycode"]
        return {o["Label"]["UserLocalizedLabel"]["Label"]: o["Value"] for o in options[0]}
