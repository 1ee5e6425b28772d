"""A firm's finance people at the pod: setting it up, booking customers' money, reading what stands there."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from deploy.sandbox.kit.firm import ErpInvoiceRow, Row, WireRefused
from shared.outbound.body import as_json

VERSION = "11.13.18.05"
FRAMEWORK = "4"
PAGE = 500
SOURCE = "THROUGHLINE"
ENTITIES, ITEMS = "THROUGHLINE_LEGAL_ENTITY", "THROUGHLINE_SERVICE_ITEM"
_ITEM = "application/vnd.oracle.adf.resourceitem+json"
_ACTION = "application/vnd.oracle.adf.action+json"
_LONGEST_RECEIPT = 30
_TOO_MANY_REQUESTS = 429


def code_of(text: str) -> str:
    """A lookup code for any text; different texts give different codes."""
    plain = "".join(letter if letter.isalnum() else "_" for letter in text).upper()
    is_itself = len(plain) <= 30 and plain == text  # noqa: PLR2004 - the length of a lookup code
    return plain if is_itself else f"{plain[:21]}_{hashlib.sha256(text.encode()).hexdigest()[:8].upper()}"


def receipt_number(reference: str) -> str:
    """A receipt number for any reference; different references give different numbers."""
    if len(reference) <= _LONGEST_RECEIPT:
        return reference
    return f"R-{hashlib.sha256(reference.encode()).hexdigest()[:24].upper()}"


def _set_of(code: str) -> int:
    return 300000000000 + zlib.crc32(code.encode())


class OracleFusionFirm:
    """Finance, signed in as a user of the pod."""

    def __init__(self, base_url: str, http: httpx.AsyncClient, user: str, password: str) -> None:
        """`base_url` is the pod's root."""
        self._root = base_url.rstrip("/")
        self._http = http
        self._auth = (user, password)
        self._lane = asyncio.Semaphore(8)

    # --- setting up ----------------------------------------------------------------------------------------------
    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> dict[str, int]:
        """The rows of `erp/*.csv` as legal entities, units, ledgers, lookups, memo lines, items and rate schedules."""
        if legal_entities:
            await self._structure(legal_entities)
        if service_items:
            await self._items(service_items)
        schedules: dict[tuple[str, str], list[Row]] = {}
        for row in rate_cards:
            schedules.setdefault((row["rate_card"], row["currency"]), []).append(row)
        await asyncio.gather(*(self._schedule(*named, rows) for named, rows in schedules.items()))
        return {
            "legal_entities": len(legal_entities), "service_items": len(service_items), "rate_cards": len(rate_cards),
        }  # fmt: skip

    async def _structure(self, rows: Sequence[Row]) -> None:
        await self._import(
            "GL_MANAGE_PRIMARY_LEDGERS", [{"Name": row["code"], "CurrencyCode": row["currency"]} for row in rows]
        )
        await self._import(
            "XLE_MANAGE_LEGAL_ENTITY",
            [
                {"LegalEntityIdentifier": row["code"], "Name": row["name"], "CountryCode": row["country"]}
                for row in rows
            ],
        )
        ledgers = {row["Name"]: row["LedgerId"] for row in await self.rows("ledgersLOV")}
        entities = {row["LegalEntityIdentifier"]: row["LegalEntityId"] for row in await self.rows("legalEntitiesLOV")}
        await self._import(
            "ORG_BUSINESS_UNIT",
            [
                {
                    "BusinessUnitName": f"{row['code']} Business Unit",
                    "LegalEntityId": str(entities[row["code"]]),
                    "PrimaryLedgerId": str(ledgers[row["code"]]),
                }
                for row in rows
            ],
        )
        await self._lookup(
            ENTITIES, [(row["code"], row["name"], self._entity_facts(row)) for row in rows], "Legal entities"
        )

    @staticmethod
    def _entity_facts(row: Row) -> dict[str, Any]:
        country = row["country"]
        return {
            "businessUnit": f"{row['code']} Business Unit",
            "legalEntityIdentifier": row["code"],
            "approved": "Y" if row["approved"].strip().lower() == "true" else "N",
            "taxRate": Decimal(row["standard_tax_rate"]),
            "taxRegimeCode": f"{country}_SERVICES_TAX",
            "taxRateCode": f"{country}_STANDARD",
            "zeroTaxRateCode": f"{country}_ZERO",
            "customerSetId": _set_of(row["code"]),
        }

    async def _items(self, rows: Sequence[Row]) -> None:
        by_item = {row["item_code"]: row for row in rows}
        await self._import(
            "AR_MANAGE_MEMO_LINES",
            [{"MemoLineName": code, "Description": row["name"][:80]} for code, row in by_item.items()],
        )
        await asyncio.gather(
            *(
                self._upsert(
                    "itemsV2", {"ItemNumber": code, "ItemDescription": row["name"], "OrganizationCode": "MASTER"}
                )
                for code, row in by_item.items()
            )
        )
        codes = [
            (
                code_of(row["product_code"]),
                row["product_code"],
                {"itemCode": row["item_code"], "revenueAccount": row.get("revenue_account") or None},
            )
            for row in rows
        ]
        await self._lookup(ITEMS, codes, "Service items by product code")

    async def _lookup(self, kind: str, codes: Sequence[tuple[str, str, Mapping[str, Any]]], meaning: str) -> None:
        listed = [
            {
                "LookupCode": code,
                "Meaning": label[:80],
                "EnabledFlag": "Y",
                "lookupCodesDFF": [{"__FLEX_Context": "Throughline", **facts}],
            }
            for code, label, facts in codes
        ]
        await self._upsert("standardLookups", {"LookupType": kind, "Meaning": meaning, "lookupCodes": listed})

    async def _schedule(self, card: str, currency: str, rows: Sequence[Row]) -> None:
        rates = [
            {
                "ProjectRoleName": row["role"],
                "Rate": Decimal(row["rate"]),
                "StartDateActive": row["effective_from"],
                "EndDateActive": row["effective_to"] or None,
            }
            for row in rows
        ]
        body = {"ScheduleName": card, "ScheduleTypeCode": "PROJECT_ROLE", "CurrencyCode": currency, "Rates": rates}
        await self._upsert("rateSchedules", body)

    async def _import(self, task: str, rows: Sequence[Mapping[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        content = base64.b64encode(text.getvalue().encode()).decode()
        body = {"TaskCode": task, "SetupTaskCSVImportProcess": [{"FileContent": content}]}
        await self.ask("POST", "setupTaskCSVImports", body=body)

    # --- money ---------------------------------------------------------------------------------------------------
    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """A standard receipt for one invoice, applied to its installment. Repeat: the same receipt."""
        number = receipt_number(reference)
        invoice, held = await asyncio.gather(
            self.ask("GET", f"receivablesInvoices/{record_id}", params={"expand": "receivablesInvoiceInstallments"}),
            self.rows("standardReceipts", q=f"ReceiptNumber='{number}'"),
        )
        receipt = held[0] if held else await self._receipt(invoice, amount, on, number)
        if receipt["State"] == "APPLIED":
            return
        schedule = invoice["receivablesInvoiceInstallments"]["items"][0]["InstallmentId"]
        body = {"appliedPaymentScheduleId": schedule, "amountApplied": amount}
        path = f"standardReceipts/{receipt['StandardReceiptId']}/action/applyReceipt"
        await self.ask("POST", path, body=body, media=_ACTION)

    async def _receipt(self, invoice: Mapping[str, Any], amount: Decimal, on: date, number: str) -> Any:
        body = {
            "ReceiptNumber": number,
            "ReceiptMethod": "Electronic",
            "BusinessUnit": invoice["BusinessUnit"],
            "Amount": amount,
            "Currency": invoice["InvoiceCurrencyCode"],
            "ReceiptDate": on.isoformat(),
            "CustomerAccountNumber": invoice["BillToCustomerNumber"],
        }
        return await self.ask("POST", "standardReceipts", body=body)

    # --- reading -------------------------------------------------------------------------------------------------
    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Every completed invoice that carries an id of ours."""
        rows = await self.rows("receivablesInvoices", expand="receivablesInvoiceDFF,receivablesInvoiceInstallments")
        return [
            found
            for row in rows
            if row["CrossReference"] and row["InvoiceStatus"] == "Complete" and (found := _invoice(row))
        ]

    async def read_projects(self) -> dict[str, str]:
        """Projects in use: our id → record id."""
        rows = await self.rows("projects", q=f"SourceApplicationCode='{SOURCE}' and ProjectStatusCode='ACTIVE'")
        return {row["SourceProjectReference"]: str(row["ProjectId"]) for row in rows}

    async def rows(self, resource: str, **params: str) -> list[dict[str, Any]]:
        """Every item of a collection."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.ask(
                "GET", resource, params={**params, "limit": str(PAGE), "offset": str(len(found)), "onlyData": "true"}
            )
            found += page["items"]
            if not page["hasMore"]:
                return found

    async def _upsert(self, resource: str, body: Mapping[str, Any]) -> None:
        await self.ask("POST", resource, body=body, headers={"Upsert-Mode": "true"})

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        media: str = _ITEM,
        root: str = "fscmRestApi",
    ) -> Any:
        """One request to the pod; `path` is below the version. Raises WireRefused."""
        url = f"{self._root}/{root}/resources/{VERSION}/{path}"
        sent = {"REST-Framework-Version": FRAMEWORK, "Content-Type": media, **(headers or {})}
        content = None if body is None else as_json(body)
        async with self._lane:
            for attempt in range(6):
                answer = await self._http.request(
                    method, url, params=params, headers=sent, content=content, auth=self._auth
                )
                if answer.is_success:
                    return json.loads(answer.content, parse_float=Decimal) if answer.content else None
                if answer.status_code != _TOO_MANY_REQUESTS:
                    raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
                await asyncio.sleep(0.1 * 2**attempt)
        raise WireRefused(f"{method} {path}: refused again and again")


def _invoice(row: Mapping[str, Any]) -> ErpInvoiceRow | None:
    own = row["receivablesInvoiceDFF"]["items"]
    if not own or not own[0]["throughlinePeriod"]:
        return None
    installments: list[Any] = row["receivablesInvoiceInstallments"]["items"]

    def total(name: str) -> Decimal:
        return sum((Decimal(one[name]) for one in installments), Decimal(0))

    return ErpInvoiceRow(
        invoice_id=row["CrossReference"],
        record_id=str(row["CustomerTransactionId"]),
        period=own[0]["throughlinePeriod"],
        legal_entity=row["LegalEntityIdentifier"],
        currency=row["InvoiceCurrencyCode"],
        net=total("InstallmentLineAmountOriginal"),
        tax=total("InstallmentTaxAmountOriginal"),
        gross=total("OriginalAmount"),
        paid=total("AmountPaid"),
        contract_id=own[0]["throughlineContract"] or "",
        project_id=own[0]["throughlineProject"] or "",
        posted_on=date.fromisoformat(row["TransactionDate"]),
    )
