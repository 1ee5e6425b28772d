"""The connector's directory: our codes and ids to companies, items, terms and accounts; kept a while, reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from shared.errors.taxonomy import FieldFinding, NotFound, UnknownReference, VendorDrift
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.payloads import (
    CategoryRow,
    CustomerRow,
    LedgerRow,
    LegalEntityRow,
    ProductRow,
    ProjectRow,
    TaxGroupRow,
    TaxValueRow,
    TermRow,
)
from system_apis.connectors.dynamics_finance.rows import VENDOR, chunks
from system_apis.ports.kept import Kept, keep

_HUNDRED: Final = Decimal(100)


class Directory:
    """What is kept is at most a minute old, and read afresh when something is not found in it."""

    def __init__(self, client: FinanceClient, options: Options) -> None:
        self._client = client
        self._options = options
        self._companies = Kept(self.read_companies)
        self._categories = Kept(self._read_categories)
        self._terms = Kept(self._read_terms)
        self._tax_groups = Kept(self._read_tax_groups)
        self._accounts: dict[tuple[str, str], str] = {}
        self._projects: dict[str, ProjectRow] = {}
        self._operations: bool | None = None

    def forget(self) -> None:
        """The product refused a reference: nothing kept is trusted any more."""
        for kept in (self._companies, self._categories, self._terms, self._tax_groups):
            kept.forget()
        self._accounts.clear()
        self._projects.clear()
        self._operations = None

    # --- companies ---------------------------------------------------------------------------------------------------
    async def read_companies(self) -> dict[str, tuple[LegalEntityRow, str]]:
        """Companies that carry a code of ours, with the currency of their ledgers, as they are now."""
        ledgers = {row.id.lower(): row.currency for row in await self._client.select("ledger", LedgerRow)}
        rows = await self._client.select("legal_entity", LegalEntityRow)
        found: dict[str, tuple[LegalEntityRow, str]] = {}
        for row in rows:
            if not row.code:
                continue
            if row.id.lower() not in ledgers:
                raise VendorDrift(f"{VENDOR} has no ledger of company {row.id}", findings=[_finding("Ledgers")])
            found[row.code] = (row, ledgers[row.id.lower()])
        return found

    async def company(self, code: str) -> str:
        """The company (dataAreaId) of a legal entity. Raises UnknownReference."""
        return (await self._company(code))[0].id.lower()

    async def currency(self, code: str) -> str:
        """The currency of a legal entity. Raises UnknownReference."""
        return (await self._company(code))[1]

    async def _company(self, code: str) -> tuple[LegalEntityRow, str]:
        found = await self._companies.find(lambda held: held.get(code))
        if found is None:
            raise _unknown("legal_entity_code", f"{VENDOR} has no legal entity {code}")
        return found

    async def codes(self) -> dict[str, str]:
        """Company → our code."""
        return {row.id.lower(): code for code, (row, _) in (await self._companies.get()).items()}

    # --- what is sold ------------------------------------------------------------------------------------------------
    async def read_items(self) -> list[CategoryRow]:
        """What services are sold as, company by company, as it is now."""
        categories = await self._client.select("service_item", CategoryRow)
        if self._options.service_items == "project_categories":
            return categories
        accounts = {(row.company, row.code): row for row in categories}
        products = await self._client.select("product", ProductRow)
        return [
            accounts[row.company, row.category].model_copy(
                update={
                    "code": row.code,
                    "name": row.name,
                    "product_codes": row.product_codes,
                    "modified_at": max(row.modified_at, accounts[row.company, row.category].modified_at),
                    "etag": row.etag,
                }
            )
            for row in products
            if (row.company, row.category) in accounts
        ]

    async def _read_categories(self) -> dict[tuple[str, str], tuple[CategoryRow, str]]:
        items = {(row.company, row.code): row for row in await self.read_items()}
        if self._options.service_items == "project_categories":
            return {place: (row, row.code) for place, row in items.items()}
        products = await self._client.select("product", ProductRow)
        categories = {(row.company, row.code): row.category for row in products}
        return {place: (row, categories[place]) for place, row in items.items()}

    async def items(self, company: str, codes: Iterable[str]) -> Mapping[str, tuple[CategoryRow, str]]:
        """Item → its row and project category in a company. Raises UnknownReference naming one that is not there."""
        places = {(company, code) for code in codes}
        kept = await self._categories.holding(lambda held: places <= held.keys())
        if missing := places - kept.keys():
            raise _unknown("item_code", f"{VENDOR} has no service item {min(missing)[1]} in company {company}")
        found = {code: kept[company, code] for _, code in places}
        if bare := [code for code, (row, _) in found.items() if not row.revenue_account]:
            raise _unknown("item_code", f"{VENDOR} keeps no revenue account for service item {min(bare)}")
        return found

    # --- terms and taxes ---------------------------------------------------------------------------------------------
    async def _read_terms(self) -> dict[tuple[str, int], str]:
        rows = await self._client.select("payment_term", TermRow)
        return {(row.company, row.days): row.name for row in rows if not row.months}

    async def term(self, company: str, days: int) -> str:
        """Terms of so many days, or nothing where the company has none: the due day is always given."""
        return (await self._terms.get()).get((company, days), "")

    async def _read_tax_groups(self) -> dict[tuple[str, Decimal], str]:
        groups, values = await asyncio.gather(
            self._client.select("tax_group", TaxGroupRow), self._client.select("tax_value", TaxValueRow)
        )
        percents = {(row.company, row.tax_code): row.percent for row in values}
        rates: dict[tuple[str, str], Decimal] = {}
        for row in groups:
            place = (row.company, row.group)
            rates[place] = rates.get(place, Decimal(0)) + percents.get((row.company, row.tax_code), Decimal(0))
        return {(company, rate.normalize()): group for (company, group), rate in sorted(rates.items(), reverse=True)}

    async def tax_group(self, company: str, rate: Decimal) -> str:
        """The sales tax group of that rate. Raises UnknownReference where tax is due and there is none."""
        percent = (rate * _HUNDRED).normalize()
        found = await self._tax_groups.find(lambda held: held.get((company, percent)))
        if found:
            return found
        if not rate:
            return ""
        raise _unknown("tax_rate", f"{VENDOR} has no sales tax group of {percent:f} % in company {company}")

    # --- records of ours ---------------------------------------------------------------------------------------------
    async def uses_operations(self) -> bool:
        """Whether Project Operations integration is on: then only its entities take writes."""
        if self._options.project_operations != "auto":
            return self._options.project_operations == "on"
        if self._operations is None:
            self._operations = await self._client.has_rows("ProjectParameterV2")
        return self._operations

    async def project_entity(self) -> str:
        """Which of the two project entities takes writes."""
        return "project_in_operations" if await self.uses_operations() else "project"

    async def contract_entity(self) -> str:
        """Which of the two contract entities takes writes."""
        return "contract_in_operations" if await self.uses_operations() else "contract"

    async def account(self, company: str, customer_id: str) -> str:
        """The customer's account in a company. Raises NotFound: it must be written first."""
        known = self._accounts.get((company, customer_id))
        if known is not None:
            return known
        found = await self._client.one("customer", CustomerRow, {"company": company, "external_id": customer_id})
        if found is None:
            raise NotFound(f"{VENDOR} has no customer with our id {customer_id} in company {company}")
        self.keep_account(company, customer_id, found.account)
        return found.account

    def keep_account(self, company: str, customer_id: str, account: str) -> None:
        """Remember an account that was just seen."""
        keep(self._accounts, (company, customer_id), account)

    async def customers(self, accounts: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """(Company, account) → our id, of those that carry one."""
        by_company: dict[str, list[str]] = {}
        for company, account in accounts:
            by_company.setdefault(company, []).append(account)
        found = await asyncio.gather(
            *(
                self._client.select("customer", CustomerRow, {"company": company, "account": list(part)})
                for company, listed in by_company.items()
                for part in chunks(listed)
            )
        )
        return {(row.company, row.account): row.external_id for rows in found for row in rows if row.external_id}

    async def project(self, project_id: str) -> ProjectRow:
        """The project that carries our id; where it stands never changes. Raises NotFound: it must be written first."""
        if known := self._projects.get(project_id):
            return known
        found = await self._client.one(await self.project_entity(), ProjectRow, {"external_id": project_id})
        if found is None:
            raise NotFound(f"{VENDOR} has no project with our id {project_id}; it must be written first")
        return keep(self._projects, project_id, found)


def _finding(field: str) -> FieldFinding:
    return FieldFinding(field, "not in the answer")


def _unknown(field: str, sentence: str) -> UnknownReference:
    return UnknownReference(sentence, findings=[FieldFinding(f"body.{field}", sentence)])
