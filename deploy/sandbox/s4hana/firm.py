"""A firm's finance people over S/4HANA's own wire: reference data, money at the bank, results read back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx

from deploy.sandbox.kit.firm import ErpInvoiceRow, Row, WireRefused
from deploy.sandbox.s4hana.sessions import CommunicationUser

ODATA = "/sap/opu/odata/sap/"
ENTITIES = "YY1_TLLEGALENTITY_CDS/YY1_TLLEGALENTITY"
RATES = "YY1_TLRATE_CDS/YY1_TLRATE"
PRODUCTS = "API_PRODUCT_SRV/A_Product"
TAXES = "API_SLSPRICINGCONDITIONRECORD_SRV/A_SlsPrcgConditionRecord"
VALIDITIES = "API_SLSPRICINGCONDITIONRECORD_SRV/A_SlsPrcgCndnRecdValidity"
LEDGER = "API_GLACCOUNTLINEITEM/GLAccountLineItem"
BILLING = "API_BILLING_DOCUMENT_SRV/A_BillingDocument"
PROJECTS = "API_ENTERPRISE_PROJECT_SRV;v=0002/A_EnterpriseProject"
SAFE = {"GET", "HEAD"}
FORBIDDEN, TOO_MANY, NOT_FOUND = 403, 429, 404
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LANES = 8
_ATTEMPTS = 6
_CHEQUE = 13


class S4Firm:
    """The people of the firm who work in S/4HANA themselves."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, user: CommunicationUser) -> None:
        """`base_url` is the root of the API host."""
        self._root = base_url.rstrip("/")
        self._client = client
        self._user = user
        self._pair: dict[str, str] = {}
        self._lane = asyncio.Semaphore(_LANES)
        self._fetching = asyncio.Lock()

    # --- loading -------------------------------------------------------------------------------------------------
    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> dict[str, int]:
        """Put the rows of `erp/*.csv` into the tenant; how many of each. Repeat: the same records again."""
        companies = await self.rows("API_COMPANYCODE_SRV/A_CompanyCode")
        held = {row["Code"]: row for row in await self.rows(ENTITIES)}
        taken = {row["CompanyCode"] for row in held.values()}
        for row in legal_entities:
            known = held.get(row["code"])
            company = known["CompanyCode"] if known else _company_of(row, companies, taken)
            taken.add(company)
            await self._legal_entity(row, company, known)
            await self._tax_rate(row["country"], Decimal(row["standard_tax_rate"]) * 100)
        codes = {row["item_code"]: row for row in reversed(service_items) if row.get("item_code")}
        await asyncio.gather(*(self._product(row, service_items) for row in codes.values()))
        await self._rates(rate_cards)
        return {
            "legal_entities": len(legal_entities), "service_items": len(service_items), "rate_cards": len(rate_cards),
        }  # fmt: skip

    async def _legal_entity(self, row: Row, company: str, known: Mapping[str, Any] | None) -> None:
        body = {
            "Code": row["code"],
            "LegalName": row["name"],
            "CompanyCode": company,
            "SalesOrganization": company,
            "DistributionChannel": "10",
            "Division": "00",
            "ResponsibleCostCenter": f"{company}1301",
            "IsApproved": row["approved"].strip().lower() == "true",
            "StandardTaxRate": row["standard_tax_rate"],
        }
        if known is None:
            await self.ask("POST", ENTITIES, body=body)
        else:
            await self.ask("PATCH", f"{ENTITIES}(guid'{known['SAP_UUID']}')", body=body, version=_version(known))

    async def _tax_rate(self, country: str, per_cent: Decimal) -> None:
        """The record by which output tax of a country is found; left alone where it stands already."""
        for validity in await self.rows(VALIDITIES, where=f"DepartureCountry eq '{country}'"):
            record = await self.ask("GET", f"{TAXES}('{validity['ConditionRecord']}')")
            if Decimal(record["ConditionRateValue"]) == per_cent:
                return
        validity = {
            "ConditionType": "TTX1",
            "ConditionValidityStartDate": "2000-01-01T00:00:00",
            "ConditionValidityEndDate": "9999-12-31T00:00:00",
            "DepartureCountry": country,
            "CustomerTaxClassification1": "1",
            "ProductTaxClassification1": "1",
        }
        body = {
            "ConditionTable": "002",
            "ConditionType": "TTX1",
            "ConditionRateValue": format(per_cent.normalize(), "f"),
            "ConditionRateValueUnit": "%",
            "to_SlsPrcgCndnRecdValidity": {"results": [validity]},
        }
        await self.ask("POST", TAXES, body=body)

    async def _product(self, row: Row, rows: Sequence[Row]) -> None:
        codes = [other["product_code"] for other in rows if other["item_code"] == row["item_code"]]
        fields = {
            "YY1_TLProductCodes_PRD": "\n".join(codes),
            "YY1_TLRevenueAccount_PRD": row.get("revenue_account") or "",
        }
        path = f"{PRODUCTS}('{row['item_code']}')"
        held = await self.find(f"{path}?$expand=to_Description")
        if held is None:
            description = {"Language": "EN", "ProductDescription": row["name"][:40]}
            fresh = {"Product": row["item_code"], "ProductType": "SERV", "BaseUnit": "EA"}
            await self.ask("POST", PRODUCTS, body={**fresh, **fields, "to_Description": {"results": [description]}})
        elif any(held[name] != value for name, value in fields.items()):
            await self.ask("PATCH", path, body=fields, version=_version(held))

    async def _rates(self, rows: Sequence[Row]) -> None:
        held = {
            (one["RateCard"], one["Role"], one["Rate_C"], _day(one["ValidFrom"])): one for one in await self.rows(RATES)
        }
        acts: list[Any] = []
        for row in rows:
            body = {
                "RateCard": row["rate_card"],
                "Role": row["role"],
                "Rate_V": row["rate"],
                "Rate_C": row["currency"],
                "ValidFrom": f"{row['effective_from']}T00:00:00",
                "ValidTo": f"{row['effective_to']}T00:00:00" if row["effective_to"] else None,
            }
            known = held.get(
                (row["rate_card"], row["role"], row["currency"], date.fromisoformat(row["effective_from"]))
            )
            if known is None:
                acts.append(self.ask("POST", RATES, body=body))
            elif Decimal(known["Rate_V"]) != Decimal(row["rate"]) or _day(known["ValidTo"]) != _ends(row):
                acts.append(
                    self.ask("PATCH", f"{RATES}(guid'{known['SAP_UUID']}')", body=body, version=_version(known))
                )
        await asyncio.gather(*acts)

    # --- money ---------------------------------------------------------------------------------------------------
    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """The customer's cheque for one invoice, through the lockbox. Repeat: the same cheque is not taken twice."""
        cheque = hashlib.sha256(reference.encode()).hexdigest()[:_CHEQUE].upper()
        if await self.rows(LEDGER, where=f"AssignmentReference eq '{cheque}'", top=1):
            return
        invoice = await self.ask("GET", f"{BILLING}('{record_id}')")
        money = {"AmountInTransactionCurrency": format(amount, "f"), "Currency": invoice["TransactionCurrency"]}
        clearing = {
            "PaymentReference": record_id,
            "NetPaymentAmountInPaytCurrency": format(amount, "f"),
            "DeductionAmountInPaytCurrency": "0.00",
            "Currency": invoice["TransactionCurrency"],
        }
        item = {
            "LockboxBatch": "001",
            "LockboxBatchItem": "00001",
            "Cheque": cheque,
            **money,
            "to_LockboxClearing": {"results": [clearing]},
        }
        body = {
            "Lockbox": "1000163",
            "DepositDateTime": f"{on.isoformat()}T00:00:00",
            "LockboxBatchOrigin": "LOCKBOXORI",
            "LockboxBatchDestination": "LOCKBOXDES",
            **money,
            "to_Item": {"results": [item]},
        }
        await self.ask("POST", "API_LOCKBOXPOST_IN/LockboxBatch", body=body)

    # --- results -------------------------------------------------------------------------------------------------
    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Every standing invoice that carries an id of ours."""
        where = "YY1_TLInvoice_BDH ne '' and CancelledBillingDocument eq '' and BillingDocumentIsCancelled eq false"
        rows = await self.rows(BILLING, where=where)
        entities = {row["CompanyCode"]: row["Code"] for row in await self.rows(ENTITIES)}
        paid: dict[tuple[str, str], Decimal] = {}
        where = "AccountingDocumentType eq 'DZ' and FinancialAccountType eq 'D' and InvoiceReference ne ''"
        for line in await self.rows(LEDGER, where=where):
            key = (line["CompanyCode"], line["InvoiceReference"])
            paid[key] = paid.get(key, Decimal(0)) - Decimal(line["AmountInTransactionCurrency"])
        return [
            ErpInvoiceRow(
                invoice_id=row["YY1_TLInvoice_BDH"],
                record_id=row["BillingDocument"],
                period=row["YY1_TLPeriod_BDH"],
                legal_entity=entities[row["CompanyCode"]],
                currency=row["TransactionCurrency"],
                net=Decimal(row["TotalNetAmount"]),
                tax=Decimal(row["TaxAmount"]),
                gross=Decimal(row["TotalGrossAmount"]),
                paid=Decimal(row["TotalGrossAmount"])
                if row["InvoiceClearingStatus"] == "C"
                else paid.get((row["CompanyCode"], row["AccountingDocument"]), Decimal(0)),
                contract_id=row["YY1_TLContract_BDH"],
                project_id=row["YY1_TLProject_BDH"],
                posted_on=cast("date", _day(row["BillingDocumentDate"])),
            )
            for row in rows
        ]

    async def read_projects(self) -> dict[str, str]:
        """Projects in use: our id → record id."""
        rows = await self.rows(PROJECTS, where="ProcessingStatus ne '42'")
        return {row["Project"].lower(): row["ProjectUUID"] for row in rows}

    # --- the wire ------------------------------------------------------------------------------------------------
    async def count(self, path: str, where: str = "") -> int:
        """How many rows of a set there are, or fulfil a filter."""
        answer = await self._send("GET", f"{path}/$count", params={"$filter": where} if where else {})
        return int(answer.text)

    async def rows(self, path: str, *, where: str = "", top: int | None = None) -> list[dict[str, Any]]:
        """Every row of a set that fulfils a filter."""
        params = {"$format": "json", **({"$filter": where} if where else {}), **({"$top": str(top)} if top else {})}
        answer = (await self._send("GET", path, params=params)).json()["d"]
        found: list[dict[str, Any]] = list(answer["results"])
        while "__next" in answer:
            answer = (await self._send("GET", answer["__next"])).json()["d"]
            found += answer["results"]
        return found

    async def find(self, path: str) -> dict[str, Any] | None:
        """The row at an address, or None."""
        answer = await self._send("GET", path, may_be_missing=True)
        return None if answer.status_code == NOT_FOUND else answer.json()["d"]

    async def ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, version: str | None = None
    ) -> Any:
        """One request; `path` is below the OData root. Raises WireRefused."""
        answer = await self._send(method, path, body=body, version=version)
        return answer.json()["d"] if answer.content else None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        version: str | None = None,
        may_be_missing: bool = False,
    ) -> httpx.Response:
        url = path if "://" in path else f"{self._root}{ODATA}{path}"
        content = None if body is None else json.dumps(body)
        said = "was never answered"
        async with self._lane:
            for attempt in range(_ATTEMPTS):
                if method not in SAFE:
                    await self._fetch()
                headers = {"content-type": "application/json", "accept": "application/json", **self._pair}
                headers |= {"if-match": version} if version else {}
                answer = await self._client.request(
                    method,
                    url,
                    params=params,
                    headers=headers,
                    content=content,
                    auth=(self._user.name, self._user.password),
                )
                if answer.is_success or (may_be_missing and answer.status_code == NOT_FOUND):
                    return answer
                said = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code == FORBIDDEN and answer.headers.get("x-csrf-token", "").lower() == "required":
                    self._pair = {}
                elif answer.status_code == TOO_MANY:
                    await asyncio.sleep(0.05 * 2**attempt)
                else:
                    break
            raise WireRefused(f"{method} {path}: {said}")

    async def _fetch(self) -> None:
        """Token and cookies for writing, once for all who write."""
        async with self._fetching:
            if self._pair:
                return
            answer = await self._client.get(
                f"{self._root}{ODATA}API_COMPANYCODE_SRV/",
                headers={"x-csrf-token": "Fetch"},
                auth=(self._user.name, self._user.password),
            )
            if not answer.is_success:
                raise WireRefused(f"no token: {answer.status_code} {answer.text[:500]}")
            cookies = [cookie.split(";", 1)[0] for cookie in answer.headers.get_list("set-cookie")]
            self._pair = {"x-csrf-token": answer.headers["x-csrf-token"], "cookie": "; ".join(cookies)}


def _company_of(row: Row, companies: Iterable[Mapping[str, Any]], taken: set[str]) -> str:
    """A company code of the entity's country and currency, one of its own while there are any. Raises WireRefused."""
    fitting = [
        one["CompanyCode"]
        for one in companies
        if (one["Country"], one["Currency"]) == (row["country"], row["currency"])
    ]
    if not fitting:
        raise WireRefused(f"no company code in {row['country']} with {row['currency']} for {row['code']}")
    return next((code for code in fitting if code not in taken), fitting[0])


def _version(row: Mapping[str, Any]) -> str:
    return str(row["__metadata"]["etag"])


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    return (_EPOCH + timedelta(milliseconds=int(text[6:].split(")", 1)[0].split("+", 1)[0]))).date()


def _ends(row: Row) -> date | None:
    return date.fromisoformat(row["effective_to"]) if row["effective_to"] else None
