"""What must stand in a Tryton before a firm can work there: companies, books, products, price lists, the users."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.tryton.session import TrytonSession

Row = Mapping[str, str]
APPROVED = "Approved legal entity"
CUSTOMERS = "Customers"
CLOSED = "Closed"
INTEGRATION, PEOPLE = "throughline", "people"
COUNTRIES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA "
    "CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA "
    "GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP "
    "KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS "
    "MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS "
    "RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW "
    "TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
PO_REQUIRED = "Purchase order required"
INDUSTRIES, ROLES = "Industries", "Roles"
STANDARD_TAX = "Standard"
ACCEPTED = "Accepted"
UNIT = "Part"
ABOVE, BELOW = "is a subsidiary of", "is the parent of"
_RATES_FROM = date(2000, 1, 1)
_DOLLAR = {"USD": "1", "EUR": "0.90", "GBP": "0.80", "JPY": "110", "BRL": "5", "CHF": "0.95", "CAD": "1.35"}
_NO_CENTS = frozenset({"JPY", "KRW", "CLP", "ISK", "VND"})
_MONTHS = 12
_LOOKS, _MOST_LOOKS, _PAUSE = 12, 200, 0.1  # looks at once, how often, seconds between


class Ground:
    """Finds or makes each piece; doing it twice leaves the same records."""

    def __init__(self, session: TrytonSession) -> None:
        """The session must be an administrator's."""
        self._tryton = session

    async def ensure(self, model: str, domain: Sequence[Any], values: Mapping[str, Any], **context: Any) -> int:
        """The record that fits, made if there is none."""
        found: list[int] = await self._tryton.call(
            f"model.{model}.search", list(domain), 0, 1, [["id", "ASC"]], context=context
        )
        return found[0] if found else (await self._tryton.create(model, [values], **context))[0]

    # --- the world ---------------------------------------------------------------------------------------------------
    async def currency(self, code: str) -> int:
        """A currency, with its rate to the dollar where we know one."""
        digits = 0 if code in _NO_CENTS else 2
        values = {
            "name": code,
            "code": code,
            "symbol": code,
            "digits": digits,
            "rounding": Decimal(1).scaleb(-digits),
            "rates": [["create", [{"date": _RATES_FROM, "rate": Decimal(_DOLLAR.get(code, "1"))}]]],
        }
        return await self.ensure("currency.currency", [["code", "=", code]], values)

    async def country(self, code: str) -> int:
        """A country by its two letters."""
        return await self.ensure("country.country", [["code", "=", code]], {"name": code, "code": code})

    async def category(self, name: str, above: str | None = None) -> int:
        """A category of parties."""
        parent = await self.category(above) if above else None
        wanted = [["name", "=", name], ["parent", "=", parent]]
        return await self.ensure("party.category", wanted, {"name": name, "parent": parent})

    async def unit(self) -> int:
        """A unit of services that takes fractions; the stock unit rounds to whole ones."""
        group = await self._tryton.known("product", "uom_cat_unit")
        shape = {"symbol": "part", "rate": 1.0, "factor": 1.0, "rounding": 0.0001, "digits": 4, "category": group}
        return await self.ensure("product.uom", [["name", "=", UNIT]], {"name": UNIT, **shape})

    async def acceptance(self) -> int:
        """The status of tasks that somebody accepted."""
        values = {"name": ACCEPTED, "types": ["task"], "progress": 1.0, "sequence": 90}
        return await self.ensure("project.work.status", [["name", "=", ACCEPTED]], values)

    async def closing(self) -> int:
        """The status of projects taken out of use."""
        values = {"name": CLOSED, "types": ["project"], "progress": None, "count": False, "sequence": 95}
        return await self.ensure("project.work.status", [["name", "=", CLOSED]], values)

    async def hierarchy(self) -> int:
        """The relation of a party to the one above it."""
        found = await self._tryton.find("party.relation.type", [["name", "=", ABOVE]])
        if found:
            return int(found[0]["id"])
        up, down = await self._tryton.create("party.relation.type", [{"name": ABOVE}, {"name": BELOW}])
        await self._tryton.write("party.relation.type", [up], {"reverse": down})
        await self._tryton.write("party.relation.type", [down], {"reverse": up})
        return up

    # --- legal entities ----------------------------------------------------------------------------------------------
    async def company(self, code: str, name: str, currency: str, country: str | None = None) -> int:
        """A company of the firm; every user works in all of them."""
        found = await self._tryton.find("company.company", [["party.code", "=", code]])
        if found:
            return int(found[0]["id"])
        address: dict[str, Any] = {"country": await self.country(country)} if country else {}
        party = {"name": name, "code": code, "addresses": [["create", [address]]]}
        person = await self.ensure("party.party", [["code", "=", code]], party)
        money = await self.currency(currency)
        made = (await self._tryton.create("company.company", [{"party": person, "currency": money}]))[0]
        users = await self._tryton.find("res.user", [["login", "not in", ["root"]]], ["company"])
        ids = [user["id"] for user in users]
        await self._tryton.write("res.user", ids, {"companies": [["add", [made]]], "company_filter": "all"})
        homeless = [user["id"] for user in users if not user["company"]]
        if homeless:
            await self._tryton.write("res.user", homeless, {"company": made})
        await self._seen_by_all_workers(made)
        return made

    async def _seen_by_all_workers(self, company: int) -> None:
        """The workers of a server tell each other what changed a moment later; ours must know who works where."""
        for _ in range(_MOST_LOOKS):
            looks = (self._tryton.call("model.res.user.get_preferences", True) for _ in range(_LOOKS))
            if all(company in told["companies"] for told in await asyncio.gather(*looks)):
                return
            await asyncio.sleep(_PAUSE)
        raise WireRefused(f"company {company} was made, but not all workers of the server know who works in it")

    async def legal_entity(self, row: Row, years: Iterable[int]) -> int:
        """A company with its books and its standard tax, approved or not."""
        company = await self.company(row["code"], row["name"], row["currency"], row["country"])
        owner = (await self._tryton.find("company.company", [["id", "=", company]], ["party"]))[0]["party"]
        approved = await self.category(APPROVED)
        how = "add" if row["approved"] == "true" else "remove"
        await self._tryton.write("party.party", [owner], {"categories": [[how, [approved]]]})
        accounts = await self.chart(company)
        for year in sorted(set(years)):
            await self.fiscal_year(company, row["code"], year)
        tax = {
            "name": STANDARD_TAX,
            "description": STANDARD_TAX,
            "company": company,
            "type": "percentage",
            "rate": Decimal(row["standard_tax_rate"]),
            "invoice_account": accounts["tax"],
            "credit_note_account": accounts["tax"],
        }
        wanted = [["name", "=", STANDARD_TAX], ["company", "=", company]]
        await self.ensure("account.tax", wanted, tax, company=company)
        await self._cash(company, accounts["cash"])
        return company

    async def chart(self, company: int) -> dict[str, int]:
        """The universal chart of accounts; the accounts that are used, by what for."""
        if not await self._tryton.count("account.account", [["company", "=", company]], company=company):
            template = await self._tryton.known("account", "account_template_root_en")
            wanted = {"company": company, "account_template": template}
            await self._tryton.wizard("account.create_chart", [("create_account", "account", wanted)], company=company)
            found = await self._accounts(company)
            values = {
                "account_receivable": found["receivable"],
                "account_payable": found["payable"],
                "category_account_revenue": found["revenue"],
                "category_account_expense": found["expense"],
            }
            for name, account in values.items():
                config = "default_" + name
                await self._configure(company, config, account)
        return await self._accounts(company)

    async def _configure(self, company: int, field: str, account: int) -> None:
        await self._tryton.write("account.configuration", [1], {field: account}, company=company)

    async def _accounts(self, company: int) -> dict[str, int]:
        codes = {"receivable": "1.2.1", "payable": "2.1.1", "revenue": "4.1.2", "expense": "5.1.3"}
        codes |= {"cash": "1.1.1", "tax": "6.3.4"}
        wanted = [["company", "=", company], ["code", "in", list(codes.values())]]
        lacking = set(codes.values())
        for _ in range(_MOST_LOOKS):
            rows = await self._tryton.find("account.account", wanted, ["code"], company=company)
            by_code = {row["code"]: int(row["id"]) for row in rows}
            if not (lacking := set(codes.values()) - by_code.keys()):
                return {use: by_code[code] for use, code in codes.items()}
            await asyncio.sleep(_PAUSE)  # a worker that has not heard of the company yet does not show its accounts
        raise WireRefused(f"the chart of accounts of company {company} lacks {', '.join(sorted(lacking))}")

    async def fiscal_year(self, company: int, code: str, year: int) -> None:
        """A year with twelve months; each month numbers its invoices itself, as dates may not go back in a sequence."""
        wanted = [["name", "=", str(year)], ["company", "=", company]]
        if await self._tryton.count("account.fiscalyear", wanted, company=company):
            return
        moves, invoices = await asyncio.gather(
            self._tryton.known("account", "sequence_type_account_move"),
            self._tryton.known("account_invoice", "sequence_type_account_invoice"),
        )
        months = range(1, _MONTHS + 1)
        sequence = {"company": company, "padding": 4}
        rows = [
            {**sequence, "name": f"Moves {year}", "sequence_type": moves, "prefix": f"{year}-", "padding": 6},
            *(
                {
                    **sequence,
                    "name": f"Invoices {year}-{m:02}",
                    "sequence_type": invoices,
                    "prefix": f"{code}-{year}-{m:02}-",
                }
                for m in months
            ),
        ]
        made = await self._tryton.create("ir.sequence.strict", rows, company=company)
        kinds = ("out_invoice", "out_credit_note", "in_invoice", "in_credit_note")
        first = {"company": company, **{f"{kind}_sequence": made[1] for kind in kinds}}
        body = {
            "name": str(year),
            "company": company,
            "start_date": date(year, 1, 1),
            "end_date": date(year, _MONTHS, 31),
            "move_sequence": made[0],
            "invoice_sequences": [["create", [first]]],
        }
        opened = await self._tryton.create("account.fiscalyear", [body], company=company)
        await self._tryton.press("account.fiscalyear", "create_period", opened, company=company)
        periods = await self._tryton.find(
            "account.period", [["fiscalyear", "=", opened[0]]], ["start_date"], company=company
        )
        by_month = {period["start_date"].month: period["id"] for period in periods}
        (january,) = await self._tryton.find(
            "account.fiscalyear.invoice_sequence", [["fiscalyear", "=", opened[0]]], company=company
        )
        await self._tryton.write(
            "account.fiscalyear.invoice_sequence", [january["id"]], {"period": by_month[1]}, company=company
        )
        numbered = [
            {
                "fiscalyear": opened[0],
                "company": company,
                "period": by_month[month],
                **{f"{kind}_sequence": made[month] for kind in kinds},
            }
            for month in months
            if month > 1
        ]
        await self._tryton.create("account.fiscalyear.invoice_sequence", numbered, company=company)

    async def _cash(self, company: int, account: int) -> None:
        journal = await self.ensure("account.journal", [["type", "=", "cash"]], {"name": "Cash", "type": "cash"})
        values = {
            "name": "Bank transfer",
            "company": company,
            "journal": journal,
            "credit_account": account,
            "debit_account": account,
        }
        wanted = [["name", "=", "Bank transfer"], ["company", "=", company]]
        await self.ensure("account.invoice.payment.method", wanted, values, company=company)

    # --- what is sold ------------------------------------------------------------------------------------------------
    async def service_items(self, rows: Sequence[Row], companies: Sequence[int]) -> None:
        """One product per item code, with the product codes it is sold under; its revenue account in every company."""
        unit = await self.unit()
        for account in sorted({row["revenue_account"] for row in rows}):
            await self._revenue(account, companies)
        groups = {row["name"]: row["id"] for row in await self._tryton.find("product.category", [], ["name"])}
        there = {row["code"] for row in await self._tryton.find("product.template", [["code", "!=", None]], ["code"])}
        codes: dict[str, list[str]] = {}
        for row in rows:
            codes.setdefault(row["item_code"], []).append(row["product_code"])
        first = {row["item_code"]: row for row in reversed(rows)}
        fresh = [
            {
                "name": row["name"],
                "code": code,
                "type": "service",
                "default_uom": unit,
                "sale_uom": unit,
                "salable": True,
                "list_price": Decimal(0),
                "account_category": groups[f"Revenue {row['revenue_account']}"],
                "products": [["create", [{"identifiers": [["create", [{"code": sold} for sold in codes[code]]]]}]]],
            }
            for code, row in first.items()
            if code not in there
        ]
        home = companies[0] if companies else None
        await self._tryton.create("product.template", fresh, **({"company": home} if home else {}))

    async def _revenue(self, number: str, companies: Sequence[int]) -> None:
        name = f"Revenue {number}"
        category = await self.ensure("product.category", [["name", "=", name]], {"name": name, "accounting": True})
        for company in companies:
            model = (
                await self._tryton.find(
                    "account.account",
                    [["code", "=", "4.1.2"], ["company", "=", company]],
                    ["type", "parent"],
                    company=company,
                )
            )[0]
            values = {
                "name": f"Services {number}",
                "code": number,
                "company": company,
                "type": model["type"],
                "parent": model["parent"],
            }
            wanted = [["code", "=", number], ["company", "=", company]]
            account = await self.ensure("account.account", wanted, values, company=company)
            await self._tryton.write("product.category", [category], {"account_revenue": account}, company=company)

    async def rate_cards(
        self, rows: Sequence[Row], companies: Mapping[str, int], currencies: Mapping[int, str]
    ) -> None:
        """A price list per card in a company of its currency, with a dated line per role."""
        hour = await self._tryton.known("product", "uom_hour")
        roles = sorted({row["role"] for row in rows})
        held = await self._tryton.find("product.product", [["code", "like", "ROLE-%"]], ["name"])
        there = {row["name"] for row in held}
        products: list[dict[str, Any]] = [
            {
                "name": role,
                "code": "ROLE-" + role.upper().replace(" ", "-"),
                "type": "service",
                "default_uom": hour,
                "list_price": Decimal(0),
                "products": [["create", [{}]]],
            }
            for role in roles
            if role not in there
        ]
        home = next(iter(companies.values()))
        await self._tryton.create("product.template", products, company=home)
        held = await self._tryton.find("product.product", [["code", "like", "ROLE-%"]], ["name"])
        priced = {row["name"]: row["id"] for row in held}
        cards: dict[str, list[Row]] = {}
        for row in rows:
            cards.setdefault(row["rate_card"], []).append(row)
        for card, prices in cards.items():
            company = _of_currency(card, prices[0]["currency"], companies, currencies)
            if company is None:
                continue  # nobody of this house sends invoices in that currency
            lines = [_price(row, priced[row["role"]], number) for number, row in enumerate(prices, 1)]
            body = {"name": card, "company": company, "unit": "product_default", "lines": [["create", lines]]}
            wanted = [["name", "=", card], ["company", "=", company]]
            await self.ensure("product.price_list", wanted, body, company=company)


async def prepare(session: TrytonSession) -> None:
    """What every database begins with: countries, statuses, categories, and the two users beside the administrator."""
    ground = Ground(session)
    there = {row["code"] for row in await session.find("country.country", [], ["code"])}
    await session.create("country.country", [{"name": c, "code": c} for c in COUNTRIES.split() if c not in there])
    await ground.acceptance()
    await ground.closing()
    await ground.hierarchy()
    await ground.unit()
    for name in (APPROVED, CUSTOMERS, PO_REQUIRED, INDUSTRIES, ROLES):
        await ground.category(name)
    groups = [row["id"] for row in await session.find("res.group", [])]
    for login in (INTEGRATION, PEOPLE):
        user = {"name": login, "login": login, "company_filter": "all", "groups": [["add", groups]]}
        await ground.ensure("res.user", [["login", "=", login]], {**user, "password": f"first-password-of-{login}"})


def _of_currency(card: str, currency: str, companies: Mapping[str, int], currencies: Mapping[int, str]) -> int | None:
    """The company a card is kept in: the one it is named after, else the first that has its currency."""
    fitting = {code: number for code, number in companies.items() if currencies[number] == currency}
    return next((number for code, number in fitting.items() if card.endswith(code)), next(iter(fitting.values()), None))


def _price(row: Row, product: int, number: int) -> dict[str, Any]:
    price = Decimal(row["rate"])
    return {
        "product": product,
        "formula": f"{price:f}" if "." in f"{price:f}" else f"{price:f}.0",  # a bare integer is no Decimal to Tryton
        "start_date": date.fromisoformat(row["effective_from"]),
        "end_date": date.fromisoformat(row["effective_to"]) if row["effective_to"] else None,
        "sequence": number,
    }


def firm_years(rate_cards: Sequence[Row]) -> range:
    """The calendar years that need books: from the first price to two years after the last change, and this one."""
    days = [row[column] for row in rate_cards for column in ("effective_from", "effective_to") if row[column]]
    now = datetime.now(UTC).year
    years = [int(day[:4]) for day in days] or [now]
    return range(min(years), min(max(years) + 2, now) + 1)
