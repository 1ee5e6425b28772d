"""Names and codes to Tryton's ids: companies with their books, items, terms, works, people; kept for a minute."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from shared.canonical.references import Ref
from shared.errors.taxonomy import FieldFinding, MappingMissing, UnknownReference
from system_apis.connectors.tryton.client import TrytonClient, parsed
from system_apis.connectors.tryton.payloads import (
    Company,
    Person,
    Price,
    Product,
    Tax,
    Term,
    TimesheetWork,
    Work,
)
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import to_tags

_KEPT: Final = 60.0
_MOST_LEVELS: Final = 20
_RECEIVABLE = "default_account_receivable"


@dataclass(frozen=True, slots=True)
class Books:
    """What an invoice of one company needs."""

    company: int
    currency: str
    receivable: int
    journal: int
    tax: int
    tax_account: int
    tax_name: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where booked time belongs: our project and workstream."""

    project_id: str
    workstream_id: str | None
    root: int


class Directory:
    """Looks up and remembers; a name that is missing is looked up afresh before it is refused."""

    def __init__(self, client: TrytonClient, library: Library, *, tax: str) -> None:
        self._client = client
        self._library = library
        self._tax_name = tax
        self._companies: tuple[float, list[Company]] = (0.0, [])
        self._taxes: tuple[float, list[Tax]] = (0.0, [])
        self._books: dict[str, Books] = {}
        self._products: dict[tuple[int, str], tuple[int, int, int]] = {}
        self._terms: dict[int, int] = {}
        self._currencies: dict[str, int] = {}
        self._countries: dict[str, int] = {}
        self._statuses: dict[str, int] = {}
        self._works: dict[int, Placed | None] = {}
        self._people: dict[int, tuple[float, str | None]] = {}

    def forget(self) -> None:
        """What is known may no longer hold."""
        self._companies, self._taxes = (0.0, []), (0.0, [])
        for kept in (self._books, self._products, self._terms, self._currencies, self._statuses):
            kept.clear()

    # --- companies -------------------------------------------------------------------------------------------------
    async def companies(self, *, fresh: bool = False) -> list[Company]:
        """Every company that our user works in."""
        at, held = self._companies
        if fresh or not held or time.monotonic() - at > _KEPT:
            records = self._library["legal_entity"]
            rows = await self._client.find_all(records.model, [], records.columns)
            held = parsed(Company, records.take_all(rows))
            self._companies = (time.monotonic(), held)
        return held

    async def company(self, code: str) -> Company:
        """A company by our code of the legal entity. Raises UnknownReference."""
        for fresh in (False, True):
            for company in await self.companies(fresh=fresh):
                if company.party.code == code:
                    return company
        raise _unknown("legal_entity_code", code, "company")

    async def taxes(self, *, fresh: bool = False) -> dict[int, Tax]:
        """The standard tax of every company that has one."""
        at, held = self._taxes
        if fresh or not held or time.monotonic() - at > _KEPT:
            records = self._library["tax"]
            wanted = [[records.column("name"), "=", self._tax_name], ["active", "=", True]]
            held = parsed(Tax, records.take_all(await self._client.find_all(records.model, wanted, records.columns)))
            self._taxes = (time.monotonic(), held)
        return {tax.company: tax for tax in held}

    async def rate_of(self, company: int) -> Decimal:
        """The share of the net a company adds as standard tax; a company without that tax adds none."""
        tax = (await self.taxes()).get(company)
        return Decimal(0) if tax is None or tax.rate is None else tax.rate

    async def books(self, code: str) -> Books:
        """Accounts, journal and tax of a company. Raises UnknownReference, MappingMissing."""
        if code not in self._books:
            company = await self.company(code)
            number = company.id
            tax = (await self.taxes(fresh=True)).get(number)
            if tax is None or tax.invoice_account is None:
                raise MappingMissing(f"tryton: company {code} has no tax {self._tax_name!r} with an account.")
            config = await self._client.find("account.configuration", [], [_RECEIVABLE], limit=1, company=number)
            journals = await self._client.find(
                "account.journal", [["type", "=", "revenue"]], ["name"], limit=1, company=number
            )
            receivable = config[0].get(_RECEIVABLE) if config else None
            if not receivable or not journals:
                raise MappingMissing(f"tryton: company {code} has no default receivable account or revenue journal.")
            self._books[code] = Books(
                company=number,
                currency=company.currency.code or "",
                receivable=int(receivable),
                journal=int(journals[0]["id"]),
                tax=tax.id,
                tax_account=tax.invoice_account,
                tax_name=tax.name,
            )
        return self._books[code]

    async def home(self) -> int | None:
        """The company our user works in."""
        told: Any = await self._client.ask("model.res.user.get_preferences", True)
        return int(told["company"]) if told and told.get("company") else None

    # --- names -----------------------------------------------------------------------------------------------------
    async def products(self, company: int, codes: Iterable[str]) -> dict[str, tuple[int, int, int]]:
        """Item code → (product, unit, the company's revenue account). Raises UnknownReference."""
        wanted = list(dict.fromkeys(codes))
        if any((company, code) not in self._products for code in wanted):
            for product in await self.items(company):
                account = product.account_category.account_revenue if product.account_category else None
                if product.code and account:
                    self._products[company, product.code] = (product.id, product.default_uom, account.id)
        for code in wanted:
            if (company, code) not in self._products:
                raise _unknown("item_code", code, "service with a revenue account")
        return {code: self._products[company, code] for code in wanted}

    async def items(self, company: int) -> list[Product]:
        """Services that one company can invoice: those in an accounting category."""
        records = self._library["service_item"]
        wanted = [["template.type", "=", "service"], ["account_category", "!=", None]]
        rows = await self._client.find_all(records.model, wanted, records.columns, company=company)
        return parsed(Product, records.take_all(rows))

    async def prices(self) -> list[Price]:
        """Every price of every list."""
        records = self._library["rate_card"]
        return parsed(Price, records.take_all(await self._client.find_all(records.model, [], records.columns)))

    async def term(self, days: int) -> int:
        """The payment term of so many net days, made where Tryton has none: without one an invoice is due at once."""
        async with self._client.alone(f"term {days}"):
            if days not in self._terms:
                columns = [
                    "lines.type",
                    *(f"lines.relativedeltas.{part}" for part in ("days", "months", "weeks", "day")),
                ]
                rows = await self._client.find_all("account.invoice.payment_term", [], columns)
                terms = parsed(Term, rows)
                self._terms |= {term.days: term.id for term in reversed(terms) if term.days is not None}
            if days not in self._terms:
                deltas = [["create", [{"days": days}]]]
                lines = [["create", [{"type": "remainder", "relativedeltas": deltas}]]]
                body = {"name": f"Net {days} days", "lines": lines}
                self._terms[days] = (await self._client.create("account.invoice.payment_term", [body]))[0]
            return self._terms[days]

    async def days_of(self, term: int | None) -> int:
        """Net days of a payment term; none is due at once. Raises MappingMissing for a term of another kind."""
        if term is None:
            return 0
        if term not in self._terms.values():
            self._terms.clear()
            await self.term(0)
        for days, number in self._terms.items():
            if number == term:
                return days
        raise MappingMissing(f"tryton: payment term {term} is no plain number of days.")

    async def currency(self, code: str) -> int:
        """A currency by its code. Raises UnknownReference."""
        return await self._named(self._currencies, "currency.currency", "code", code)

    async def country(self, code: str) -> int:
        """A country by its two letters. Raises UnknownReference."""
        return await self._named(self._countries, "country.country", "code", code)

    async def status(self, name: str) -> int:
        """A status of works by its name. Raises UnknownReference."""
        return await self._named(self._statuses, "project.work.status", "name", name)

    async def _named(self, kept: dict[str, int], model: str, field: str, value: str) -> int:
        if value not in kept:
            rows = await self._client.find_all(model, [], [field])
            kept.update({str(row[field]): int(row["id"]) for row in rows})
        if value not in kept:
            raise _unknown(field, value, model)
        return kept[value]

    # --- work ------------------------------------------------------------------------------------------------------
    async def places(self, works: Iterable[int]) -> dict[int, Placed]:
        """Timesheet work → where it belongs among our projects; works of other projects are left out."""
        wanted = set(works)
        unknown = [number for number in wanted if number not in self._works]
        if unknown:
            rows = await self._client.find_all("timesheet.work", [["id", "in", unknown]], ["origin"])
            origins = {one.id: _project_work(one.origin) for one in parsed(TimesheetWork, rows)}
            found = await self.lineage({number for number in origins.values() if number})
            for number in unknown:
                self._works[number] = found.get(origins.get(number) or 0)
        return {number: place for number in wanted if (place := self._works[number]) is not None}

    async def lineage(self, works: Iterable[int]) -> dict[int, Placed]:
        """Project or task → the project and workstream of ours it stands below."""
        records = self._library["project"]
        known: dict[int, Work] = {}
        missing = set(works)
        wanted = set(missing)
        for _ in range(_MOST_LEVELS):
            if not missing:
                break
            rows = await self._client.find_all(records.model, [["id", "in", sorted(missing)]], records.columns)
            known |= {work.id: work for work in parsed(Work, records.take_all(rows))}
            missing = {work.parent for work in known.values() if work.parent and work.parent not in known}
        placed = {number: _placed(number, known) for number in wanted}
        return {number: place for number, place in placed.items() if place}

    async def roles(self, people: Iterable[int]) -> dict[int, str]:
        """Party → the role it usually works in: a tag among its identifiers."""
        wanted = set(people)
        now = time.monotonic()
        stale = [number for number in wanted if now - self._people.get(number, (-_KEPT, None))[0] >= _KEPT]
        if stale:
            records = self._library["person"]
            rows = await self._client.find_all(records.model, [["id", "in", stale]], records.columns)
            for person in parsed(Person, records.take_all(rows)):
                roles = [role for one in person.identifiers if (role := to_tags(one.code).get("role"))]
                self._people[person.id] = (now, roles[0] if roles else None)
        return {number: role for number in wanted if (role := self._people.get(number, (0.0, None))[1])}


def _project_work(origin: str | None) -> int | None:
    model, _, number = (origin or "").partition(",")
    return int(number) if model == "project.work" and number.isdigit() else None


def _placed(number: int, known: dict[int, Work]) -> Placed | None:
    workstream: str | None = None
    at: int | None = number
    for _ in range(_MOST_LEVELS):
        work = known.get(at or 0)
        if work is None:
            return None
        workstream = workstream or work.comment.workstream
        if work.comment.project:
            return Placed(work.comment.project, workstream, work.id)
        at = work.parent
    return None


def _unknown(field: str, value: Ref, what: str) -> UnknownReference:
    reason = f"tryton has no {what} {value}"
    return UnknownReference(reason, findings=[FieldFinding(field, reason)])
