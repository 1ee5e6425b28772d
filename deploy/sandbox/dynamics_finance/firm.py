"""A firm's finance people over the product's own wire: set-up loaded as a data package, customers paying, results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import httpx

from deploy.sandbox.dynamics_finance import packages
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.dynamics_finance.set_up import set_up
from deploy.sandbox.dynamics_finance.values import written
from deploy.sandbox.kit.firm import ErpInvoiceRow, Row, WireRefused

Json = dict[str, Any]
GROUP: Final = "Throughline set-up"
_ATTEMPTS: Final = 40
_TRIES: Final = 6
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class Login:
    """An application of the directory that the firm's people use."""

    tenant: str
    client_id: str
    secret: str


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
        parts = set_up(legal_entities, service_items, rate_cards)
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
        return (await self.ask("POST", f"/data/DataManagementDefinitionGroups/{NAMESPACE}.{action}", body=body))[
            "value"
        ]

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
            said = ""
            for attempt in range(_TRIES):
                token = await self._signed_in()
                sent = {"authorization": f"Bearer {token}", "content-type": "application/json", **(headers or {})}
                content = None if body is None else written(body)
                answer = await self._client.request(
                    method, self._root + path, params=params, headers=sent, content=content
                )
                if answer.is_success:
                    return json.loads(answer.content, parse_float=Decimal) if answer.content else None
                said = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code == _UNAUTHORIZED:
                    self._token = ""
                elif answer.status_code == _TOO_MANY:
                    await asyncio.sleep(0.1 * 2**attempt)
                else:
                    break
            raise WireRefused(f"{method} {path}: {said}")

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
