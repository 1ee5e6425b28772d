"""A firm's ERP side over NetSuite's own wire: loading reference data, customers paying, results read back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.sandbox.kit.firm import ErpInvoiceRow, Row, WireRefused
from deploy.sandbox.netsuite.tokens import ASSERTION_TYPE, MachineCredentials

__all__ = ["ErpInvoiceRow", "ErpPaymentRow", "FirmRefused", "NetSuiteFirm", "external_id"]

REST = "/services/rest"
PAGE = 1000
UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
FirmRefused = WireRefused


@dataclass(frozen=True, slots=True)
class ErpPaymentRow:
    """A payment as the ERP shows it."""

    record_id: str
    reference: str
    currency: str
    amount: Decimal
    received_on: date


def external_id(*parts: str) -> str:
    """An external id (letters, digits, hyphen, underscore) for any text; different texts give different ids."""
    text = "-".join(parts)
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", text)
    return slug if slug == text else f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class NetSuiteFirm:
    """The people and programs of the firm that work in NetSuite directly."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, credentials: MachineCredentials) -> None:
        """`base_url` is the account's root, without `/services/rest`."""
        self._root = base_url.rstrip("/") + REST
        self._client = client
        self._credentials = credentials
        self._token = ""
        self._lane = asyncio.Semaphore(8)

    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> dict[str, int]:
        """Put the rows of `erp/*.csv` into the account; how many of each. Repeat: the same records again."""
        currencies = {row["currency"] for row in (*legal_entities, *rate_cards)}
        await self._all(self._currency(code) for code in sorted(currencies))
        await self._all(self._legal_entity(row) for row in legal_entities)
        await self._all(self._account(row["revenue_account"]) for row in _by(service_items, "revenue_account"))
        await self._all(self._service_item(row, service_items) for row in _by(service_items, "item_code"))
        await self._all(self._rate_card(row["rate_card"]) for row in _by(rate_cards, "rate_card"))
        await self._all(self._rate(row) for row in rate_cards)
        return {
            "legal_entities": len(legal_entities), "service_items": len(service_items), "rate_cards": len(rate_cards),
        }  # fmt: skip

    async def _currency(self, code: str) -> None:
        digits = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3}.get(code, 2)
        body = {"name": code, "symbol": code, "currencyPrecision": digits}
        if code not in {"USD", "GBP", "EUR", "CAD"}:
            await self._put("currency", external_id(code), body)

    async def _legal_entity(self, row: Row) -> None:
        body = {
            "name": row["name"],
            "country": {"id": row["country"]},
            "currency": {"externalId": external_id(row["currency"])},
            "custrecord_tl_code": row["code"],
            "custrecord_tl_approved": row["approved"].strip().lower() == "true",
            "custrecord_tl_tax_rate": float(Decimal(row["standard_tax_rate"])),
        }
        await self._put("subsidiary", external_id(row["code"]), body)

    async def _account(self, number: str) -> None:
        body = {"acctNumber": number, "acctName": f"Service revenue {number}", "acctType": {"id": "Income"}}
        await self._put("account", external_id("acct", number), body)

    async def _service_item(self, row: Row, rows: Sequence[Row]) -> None:
        codes = [other["product_code"] for other in rows if other["item_code"] == row["item_code"]]
        body: dict[str, Any] = {
            "itemId": row["item_code"],
            "displayName": row["name"],
            "custitem_tl_product_codes": "\n".join(codes),
        }
        if row.get("revenue_account"):
            body["incomeAccount"] = {"externalId": external_id("acct", row["revenue_account"])}
        await self._put("serviceSaleItem", external_id("item", row["item_code"]), body)

    async def _rate_card(self, code: str) -> None:
        await self._put("billingRateCard", external_id(code), {"name": code})

    async def _rate(self, row: Row) -> None:
        body = {
            "name": f"{row['rate_card']} {row['role']} {row['effective_from']}",
            "custrecord_tl_rate_card": {"externalId": external_id(row["rate_card"])},
            "custrecord_tl_role": row["role"],
            "custrecord_tl_currency": {"externalId": external_id(row["currency"])},
            "custrecord_tl_rate": float(Decimal(row["rate"])),
            "custrecord_tl_from": row["effective_from"],
            "custrecord_tl_until": row["effective_to"] or None,
        }
        key = external_id("rate", row["rate_card"], row["role"], row["currency"], row["effective_from"])
        await self._put("customrecord_tl_rate", key, body)

    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """The customer's money for one invoice, applied to it. Repeat: the same payment."""
        invoice = await self.ask("GET", f"/record/v1/invoice/{record_id}", params={"fields": "entity,currency"})
        line = {"doc": {"id": record_id}, "apply": True, "amount": float(amount)}
        body = {
            "customer": {"id": invoice["entity"]["id"]},
            "currency": {"id": invoice["currency"]["id"]},
            "payment": float(amount),
            "tranDate": on.isoformat(),
            "memo": reference,
            "apply": {"items": [line]},
        }
        await self._put("customerPayment", external_id("pay", reference), body)

    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Every invoice of the account that carries a period of ours."""
        rows = await self._query(
            "SELECT t.id, t.externalid, t.custbody_tl_period, t.custbody_tl_contract, t.custbody_tl_project, "
            "TO_CHAR(t.trandate, 'YYYY-MM-DD') AS posted, t.foreigntotal, t.taxtotal, t.foreignamountpaid, "
            "s.custrecord_tl_code AS entity, c.symbol FROM transaction t "
            "JOIN subsidiary s ON s.id = t.subsidiary JOIN currency c ON c.id = t.currency "
            "WHERE t.type = 'CustInvc' AND t.custbody_tl_period IS NOT NULL ORDER BY t.id"
        )
        return [
            ErpInvoiceRow(
                invoice_id=row.get("externalid", ""),
                record_id=row["id"],
                period=row["custbody_tl_period"],
                legal_entity=row["entity"],
                currency=row["symbol"],
                net=Decimal(row["foreigntotal"]) - Decimal(row["taxtotal"]),
                tax=Decimal(row["taxtotal"]),
                gross=Decimal(row["foreigntotal"]),
                paid=Decimal(row["foreignamountpaid"]),
                contract_id=row.get("custbody_tl_contract", ""),
                project_id=row.get("custbody_tl_project", ""),
                posted_on=date.fromisoformat(row["posted"]),
            )
            for row in rows
        ]

    async def read_projects(self) -> dict[str, str]:
        """Projects in use: our id → record id."""
        rows = await self._query(
            "SELECT id, externalid FROM job WHERE externalid IS NOT NULL AND isinactive = 'F' ORDER BY id"
        )
        return {row["externalid"]: row["id"] for row in rows}

    async def read_payments(self) -> list[ErpPaymentRow]:
        """Every customer payment."""
        rows = await self._query(
            "SELECT t.id, t.memo, t.foreigntotal, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS received, c.symbol "
            "FROM transaction t JOIN currency c ON c.id = t.currency WHERE t.type = 'CustPymt' ORDER BY t.id"
        )
        return [
            ErpPaymentRow(
                record_id=row["id"],
                reference=row.get("memo", ""),
                currency=row["symbol"],
                amount=Decimal(row["foreigntotal"]),
                received_on=date.fromisoformat(row["received"]),
            )
            for row in rows
        ]

    async def count(self, record: str, query: str = "") -> int:
        """How many records of a type there are, or fulfil a `q` filter."""
        params = {"limit": "1", **({"q": query} if query else {})}
        return int((await self.ask("GET", f"/record/v1/{record}", params=params))["totalResults"])

    async def _all(self, acts: Iterable[Awaitable[None]]) -> None:
        await asyncio.gather(*acts)

    async def _query(self, text: str) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = []
        while True:
            page = await self.ask(
                "POST",
                "/query/v1/suiteql",
                params={"limit": str(PAGE), "offset": str(len(rows))},
                headers={"prefer": "transient"},
                body={"q": text},
            )
            rows += page["items"]
            if not page["hasMore"]:
                return rows

    async def _put(self, record: str, key: str, body: Mapping[str, Any]) -> None:
        await self.ask("PUT", f"/record/v1/{record}/eid:{key}", body=body)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """One request to the account, signed in; `path` is below `/services/rest`. Raises WireRefused."""
        async with self._lane:
            for attempt in range(6):
                token = self._token or await self.sign_in()
                sent = {"authorization": f"Bearer {token}", "content-type": "application/json", **(headers or {})}
                content = None if body is None else json.dumps(body)
                answer = await self._client.request(
                    method, self._root + path, params=params, headers=sent, content=content
                )
                if answer.is_success:
                    return answer.json() if answer.content else None
                if answer.status_code == UNAUTHORIZED:
                    self._token = ""
                elif answer.status_code == TOO_MANY_REQUESTS:
                    await asyncio.sleep(0.1 * 2**attempt)
                else:
                    raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            raise WireRefused(f"{method} {path}: refused again and again")

    async def sign_in(self) -> str:
        """A fresh bearer token for our signed assertion."""
        url = f"{self._root}/auth/oauth2/v1/token"
        now = int(time.time())
        claims = {
            "iss": self._credentials.client_id,
            "scope": "rest_webservices",
            "aud": url,
            "iat": now,
            "exp": now + 300,
            "jti": uuid.uuid4().hex,
        }
        header = {"typ": "JWT", "alg": "ES256", "kid": self._credentials.certificate_id}
        assertion = jwt.encode(header, claims, ECKey.import_key(self._credentials.private_key))
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = await self._client.post(url, data=form)
        if not answer.is_success:
            raise WireRefused(f"no token: {answer.status_code} {answer.text[:500]}")
        self._token = str(answer.json()["access_token"])
        return self._token


def _by(rows: Sequence[Row], column: str) -> list[Row]:
    """The first row of each value of a column; blanks left out."""
    return list({row[column]: row for row in reversed(rows) if row.get(column)}.values())
