"""A firm's finance people over the product's own wire: set-up loaded as a data package, customers paying, results."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import httpx

from deploy.sandbox.dynamics_finance import packages
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.dynamics_finance.values import written
from deploy.sandbox.kit.firm import ErpInvoiceRow, Row, WireRefused
from shared.canonical.money import minor_digits

Json = dict[str, Any]
GROUP: Final = "Throughline set-up"
CHART: Final = "Shared"
STANDARD_TAX: Final = "TL-STD"
NO_TAX: Final = "TL-NUL"
_TERMS: Final = (0, 7, 10, 14, 15, 20, 21, 28, 30, 45, 60, 90)
_COMPANY: Final = 4
_ATTEMPTS: Final = 40
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Login:
    """An application of the directory that the firm's people use."""

    tenant: str
    client_id: str
    secret: str


def companies_of(codes: Iterable[str]) -> dict[str, str]:
    """A company id of at most four letters for every code of a legal entity."""
    found: dict[str, str] = {}
    for code in dict.fromkeys(codes):
        letters = re.sub(r"[^a-z0-9]", "", code.lower()) or "co"
        base = letters if len(letters) <= _COMPANY else letters[:2] + letters[-2:]
        name, number = base, 1
        while name in found.values() or name == "dat":
            number += 1
            name = base[: _COMPANY - len(str(number))] + str(number)
        found[code] = name
    return found


class DynamicsFinanceFirm:
    """The people and programs of the firm that work in the product directly."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, login: Login) -> None:
        """`base_url` is the environment's root."""
        self._root = base_url.rstrip("/")
        self._client = client
        self._login = login
        self._token = ""
        self._signing = asyncio.Lock()
        self._lane = asyncio.Semaphore(8)

    # --- set-up ----------------------------------------------------------------------------------------------------
    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> dict[str, int]:
        """Everything in one package; how many of each. Repeat: the same records again."""
        companies = companies_of(row["code"] for row in legal_entities)
        currencies = sorted({row["currency"] for row in (*legal_entities, *rate_cards)})
        accounts = sorted({row["revenue_account"] for row in service_items if row.get("revenue_account")} | {"40000"})
        parts: dict[str, list[Json]] = {
            "Currencies": [_currency(code) for code in currencies],
            "Legal entities": [_legal_entity(row, companies[row["code"]]) for row in legal_entities],
            "Ledgers": [_ledger(row, companies[row["code"]]) for row in legal_entities],
            "Main accounts": [_account(number) for number in accounts],
            "Customer groups": [
                {"dataAreaId": company, "CustomerGroupId": "TL", "Description": "Services"}
                for company in companies.values()
            ],
            "Terms of payment": [
                {"dataAreaId": company, "Name": f"Net{days}", "NumberOfDays": days, "Description": f"{days} days"}
                for company in companies.values()
                for days in _TERMS
            ],
            "Project groups": [
                {"dataAreaId": company, "ProjectGroup": group, "Name": name, "ProjectType": kind}
                for company in companies.values()
                for group, name, kind in (
                    ("TL-TM", "Time and material", "TimeMaterial"),
                    ("TL-FP", "Fixed price", "FixedPrice"),
                )
            ],
            **_taxes(legal_entities, companies),
            "Project categories": [
                _category(item, codes, company)
                for company in companies.values()
                for item, codes in _items(service_items)
            ],
            "Released products V2": [
                _product(item, codes, company) for company in companies.values() for item, codes in _items(service_items)
            ],
            "Project hour sales prices V2": [
                _price(row, _company_of_card(row, legal_entities, companies)) for row in rate_cards
            ],
        }
        await self.import_package({label: rows for label, rows in parts.items() if rows})
        return {
            "legal_entities": len(legal_entities),
            "service_items": len(service_items),
            "rate_cards": len(rate_cards),
        }

    async def import_package(self, parts: Mapping[str, Sequence[Mapping[str, Any]]], company: str = "dat") -> str:
        """Run one package to its end; its execution id. Raises WireRefused with what the framework says of its rows."""
        place = json.loads(await self._act("GetAzureWriteUrl", {"uniqueFileName": "set-up.zip"}))
        answer = await self._client.put(
            place["BlobUrl"], content=packages.compose(GROUP, parts), headers={"x-ms-blob-type": "BlockBlob"}
        )
        if not answer.is_success:
            raise WireRefused(f"PUT blob: {answer.status_code} {answer.text[:300]}")
        body = {
            "packageUrl": place["BlobUrl"],
            "definitionGroupId": GROUP,
            "executionId": "",
            "execute": True,
            "overwrite": True,
            "legalEntityId": company,
        }
        execution = str(await self._act("ImportFromPackage", body))
        status = await self._ended(execution)
        if status != "Succeeded":
            errors = await self._act("GetExecutionErrors", {"executionId": execution})
            raise WireRefused(f"ImportFromPackage: {status} {str(errors)[:500]}")
        return execution

    async def _ended(self, execution: str) -> str:
        for attempt in range(_ATTEMPTS):
            status = str(await self._act("GetExecutionSummaryStatus", {"executionId": execution}))
            if status not in {"NotRun", "Executing", "Unknown"}:
                return status
            await asyncio.sleep(min(1.0, 0.01 * 2**attempt))
        raise WireRefused(f"the execution {execution} does not end")

    async def _act(self, action: str, body: Json) -> Any:
        return (await self.ask("POST", f"/data/DataManagementDefinitionGroups/{NAMESPACE}.{action}", body=body))["value"]

    # --- money -----------------------------------------------------------------------------------------------------
    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """A payment journal with one line that marks the invoice, and posted."""
        company, _, number = record_id.partition(":")
        known = f"dataAreaId eq '{company}' and PaymentReference eq '{_quoted(reference)}'"
        lines = [row async for row in self.rows("CustomerPaymentJournalLines", known)]
        if lines:
            batch = lines[0]["JournalBatchNumber"]
        else:
            invoice = await self._invoice(company, number)
            header = {"dataAreaId": company, "JournalName": "CustPay", "Description": reference[:60]}
            batch = (await self.ask("POST", "/data/CustomerPaymentJournalHeaders", body=header))["JournalBatchNumber"]
            line = {
                "dataAreaId": company,
                "JournalBatchNumber": batch,
                "AccountType": "Cust",
                "AccountDisplayValue": invoice["AccountNum"],
                "Company": company,
                "CurrencyCode": invoice["CurrencyCode"],
                "CreditAmount": amount,
                "TransactionDate": f"{on.isoformat()}T12:00:00Z",
                "PaymentReference": reference,
                "MarkedInvoice": number,
                "MarkedInvoiceCompany": company,
            }
            await self.ask("POST", "/data/CustomerPaymentJournalLines", body=line)
        await self.post("CustomerPaymentJournal", company, batch)

    async def _invoice(self, company: str, number: str) -> Json:
        wanted = f"dataAreaId eq '{company}' and Invoice eq '{_quoted(number)}'"
        async for row in self.rows("CustTransactions", wanted):
            return row
        raise WireRefused(f"{company} has no invoice {number}")

    async def post(self, kind: str, company: str, document: str) -> None:
        """Post a document; one that is posted already stays so. Raises WireRefused with the infolog."""
        body = {"documentType": kind, "company": company, "document": document}
        answer = await self.ask("POST", "/api/services/TLServices/TLPostingService/post", body=body)
        if answer["IsPosted"] != "Yes" and "posted already" not in answer["Infolog"]:
            raise WireRefused(f"{kind} {company} {document}: {answer['Infolog']}")

    # --- what they see ---------------------------------------------------------------------------------------------
    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Every posted invoice that carries an id of ours and was not taken back."""
        posted = f"IsPosted eq {NAMESPACE}.NoYes'Yes' and ExternalInvoiceId ne ''"
        texts = [row async for row in self.rows("FreeTextInvoiceHeaders", posted)]
        proposals = [
            row async for row in self.rows("ProjectInvoiceProposalHeaders", "TLInvoiceId ne '' and Invoice ne ''")
        ]
        back = {(row["dataAreaId"], row["CorrectedInvoiceId"]) for row in texts}
        back |= {(row["dataAreaId"], row["TLCorrectedInvoiceId"]) for row in proposals}
        booked = {
            (row["dataAreaId"], row["Invoice"]): row async for row in self.rows("CustTransactions", "Invoice ne ''")
        }
        nets = await self._nets(proposals)
        taxes = {
            (row["dataAreaId"], row["InvoiceNumber"]): _amount(row["TotalTaxAmount"])
            async for row in self.rows("SalesInvoiceHeadersV2", "")
        }
        codes = {row["LegalEntityId"].lower(): row["TLCode"] async for row in self.rows("LegalEntities", "")}
        seen: list[ErpInvoiceRow] = []
        for row in (*texts, *proposals):
            number = row.get("InvoiceId") or row.get("Invoice")
            place = (row["dataAreaId"], number)
            if place in back or row.get("IsCorrection") == "Yes" or row.get("TLCorrectedInvoiceId"):
                continue
            entry = booked[place]
            gross = _amount(entry["AmountCur"])
            tax = taxes[place] if place in taxes else gross - nets[row["InvoiceProposalId"], row["dataAreaId"]]
            seen.append(
                ErpInvoiceRow(
                    invoice_id=row.get("ExternalInvoiceId") or row.get("TLInvoiceId") or "",
                    record_id=f"{row['dataAreaId']}:{number}",
                    period=row["TLPeriod"],
                    legal_entity=codes[row["dataAreaId"]],
                    currency=entry["CurrencyCode"],
                    net=gross - tax,
                    tax=tax,
                    gross=gross,
                    paid=_amount(entry["SettleAmountCur"]),
                    contract_id=row["TLContractId"],
                    project_id=row["TLProjectId"],
                    posted_on=date.fromisoformat(entry["TransDate"][:10]),
                )
            )
        return seen

    async def _nets(self, proposals: Sequence[Json]) -> dict[tuple[str, str], Decimal]:
        nets: dict[tuple[str, str], Decimal] = {}
        if proposals:
            async for line in self.rows("ProjectInvoiceProposalOnAccountLines", ""):
                place = (line["InvoiceProposalId"], line["dataAreaId"])
                nets[place] = nets.get(place, Decimal(0)) + _amount(line["LineAmount"])
        return nets

    async def read_projects(self) -> dict[str, str]:
        """Projects in use, of either set: our id → record id."""
        found: dict[str, str] = {}
        for name, key, parent in (
            ("Projects", "ProjectID", "ParentProject"),
            ("ProjectsV2", "ProjectId", "ParentProjectId"),
        ):
            used = f"TLExternalId ne '' and {parent} eq '' and ProjectStage ne {NAMESPACE}.ProjStatus'Completed'"
            async for row in self.rows(name, used):
                found[row["TLExternalId"]] = f"{row['dataAreaId']}:{row[key]}"
        return found

    async def count(self, name: str, wanted: str = "") -> int:
        """How many rows of an entity set a filter finds."""
        answer = await self.ask("GET", f"/data/{name}", params=_query(wanted) | {"$count": "true", "$top": "1"})
        return int(answer["@odata.count"])

    async def rows(self, name: str, wanted: str) -> AsyncIterator[Json]:
        """Rows of all companies, every page."""
        params: dict[str, str] | None = _query(wanted)
        path = f"/data/{name}"
        while True:
            answer = await self.ask("GET", path, params=params)
            for row in answer["value"]:
                yield row
            following = answer.get("@odata.nextLink")
            if not following:
                return
            path, params = following.removeprefix(self._root), None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """One request, signed in; `path` is below the root. Raises WireRefused."""
        async with self._lane:
            for attempt in range(6):
                token = await self._signed_in()
                sent = {"authorization": f"Bearer {token}", "content-type": "application/json", **(headers or {})}
                content = None if body is None else written(body)
                answer = await self._client.request(
                    method, self._root + path, params=params, headers=sent, content=content
                )
                if answer.is_success:
                    return json.loads(answer.content, parse_float=Decimal) if answer.content else None
                if answer.status_code == _UNAUTHORIZED:
                    self._token = ""
                elif answer.status_code == _TOO_MANY:
                    await asyncio.sleep(0.1 * 2**attempt)
                else:
                    break
            raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")

    async def _signed_in(self) -> str:
        async with self._signing:
            if not self._token:
                form = {
                    "grant_type": "client_credentials",
                    "client_id": self._login.client_id,
                    "client_secret": self._login.secret,
                    "scope": f"{self._root}/.default",
                }
                answer = await self._client.post(f"{self._root}/{self._login.tenant}/oauth2/v2.0/token", data=form)
                if not answer.is_success:
                    raise WireRefused(f"no token: {answer.status_code} {answer.text[:300]}")
                self._token = str(answer.json()["access_token"])
            return self._token


def _query(wanted: str) -> dict[str, str]:
    return {"cross-company": "true", **({"$filter": wanted} if wanted else {})}


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _amount(value: Any) -> Decimal:
    return Decimal(str(value))


def _currency(code: str) -> Json:
    step = Decimal(1).scaleb(-minor_digits(code))
    return {"CurrencyCode": code, "Name": code, "Symbol": code, "GeneralRoundingRule": step}


def _legal_entity(row: Row, company: str) -> Json:
    return {
        "LegalEntityId": company,
        "Name": row["name"],
        "NameAlias": row["code"],
        "AddressCountryRegionId": row["country"],
        "TLCode": row["code"],
        "TLIsApproved": "Yes" if row["approved"].strip().lower() == "true" else "No",
        "TLStandardTaxRate": Decimal(row["standard_tax_rate"]),
    }


def _ledger(row: Row, company: str) -> Json:
    return {
        "LegalEntityId": company,
        "Name": company.upper(),
        "AccountingCurrency": row["currency"],
        "ChartOfAccounts": CHART,
    }


def _account(number: str) -> Json:
    return {"ChartOfAccounts": CHART, "MainAccountId": number, "Name": f"Service revenue {number}"}


def _taxes(legal_entities: Sequence[Row], companies: Mapping[str, str]) -> dict[str, list[Json]]:
    groups: list[Json] = []
    codes: list[Json] = []
    values: list[Json] = []
    for row in legal_entities:
        company = companies[row["code"]]
        for group, rate in ((STANDARD_TAX, Decimal(row["standard_tax_rate"])), (NO_TAX, Decimal(0))):
            groups.append({"dataAreaId": company, "TaxGroupCode": group, "Description": f"{rate * 100:f} %"})
            codes.append({"dataAreaId": company, "TaxGroupId": group, "TaxCodeId": group})
            values.append({"dataAreaId": company, "TaxCodeId": group, "Value": rate * 100})
    return {"Sales tax groups": groups, "Sales tax group codes": codes, "Sales tax code values V2": values}


def _items(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    codes: dict[str, list[str]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["item_code"], row)
        codes.setdefault(row["item_code"], []).append(row["product_code"])
    return [(first[item], ";".join(listed)) for item, listed in codes.items()]


def _category(row: Row, codes: str, company: str) -> Json:
    return {
        "dataAreaId": company,
        "Category": row["item_code"],
        "CategoryName": row["name"],
        "CategoryGroup": "Services",
        "ItemSalesTaxGroup": "TL-SVC",
        "ActiveInJournals": "Yes",
        "TLProductCodes": codes,
        "TLRevenueAccount": row.get("revenue_account") or "40000",
    }


def _product(row: Row, codes: str, company: str) -> Json:
    return {
        "dataAreaId": company,
        "ItemNumber": row["item_code"],
        "ProductType": "Service",
        "ProductSearchName": row["name"],
        "ProjectCategoryId": row["item_code"],
        "SalesSalesTaxItemGroupCode": "TL-SVC",
        "TLProductCodes": codes,
    }


def _company_of_card(row: Row, legal_entities: Sequence[Row], companies: Mapping[str, str]) -> str:
    """The company that keeps a card's prices: one of its currency, the one it is named after before others."""
    alike = [one["code"] for one in legal_entities if one["currency"] == row["currency"]]
    codes = alike or [one["code"] for one in legal_entities]
    return companies[next((code for code in codes if row["rate_card"].endswith(code)), codes[0])]


def _price(row: Row, company: str) -> Json:
    return {
        "dataAreaId": company,
        "PriceGroup": row["rate_card"],
        "ResourceCategoryId": row["role"],
        "CurrencyId": row["currency"],
        "TransDate": f"{row['effective_from']}T12:00:00Z",
        "EndDate": f"{row['effective_to'] or '1900-01-01'}T12:00:00Z",
        "SalesPriceModel": "SalesPrice",
        "SalesPricing": Decimal(row["rate"]),
    }
