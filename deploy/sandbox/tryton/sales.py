"""Sales people at Tryton: customers, deals with their orders and contracts, corrections, what is seen of delivery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from deploy.sandbox.kit.firm import DealRow, InvoiceStatusRow
from deploy.sandbox.tryton.markings import marked, markings, remainder, remarked
from deploy.sandbox.tryton.seed import CUSTOMERS, INDUSTRIES, PO_REQUIRED, Ground
from deploy.sandbox.tryton.session import TrytonSession

Row = Mapping[str, str]
Json = dict[str, Any]
WON = "Closed Won"
_AT_ONCE = 20
_DEAL = "sale.opportunity"
_FIXED_IN = {"contract_status": "approval", "po_number": "reference"}


class TrytonSales:
    """Loading twice leaves the same records."""

    def __init__(self, session: TrytonSession) -> None:
        self._tryton = session
        self._ground = Ground(session)

    async def load(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Every deal ends as a quotation: converted into an order, its contract in the order's comment."""
        deals = {row["opportunity_id"]: row for row in tables["opportunities"]}
        companies = await self._companies(tables["opportunities"])
        await self._load_accounts(tables["accounts"])
        await self._load_products(tables)
        employees = await self._owners(tables["opportunities"], companies)
        held = await self._tryton.find(_DEAL, [["reference", "!=", None]], ["reference"])
        known = {row["reference"] for row in held}
        parties = await self._parties()
        currencies = {row["code"]: row["id"] for row in await self._tryton.find("currency.currency", [], ["code"])}
        fresh: dict[int, list[Json]] = defaultdict(list)
        for deal, row in deals.items():
            if deal not in known:
                body = _deal(row, parties[row["account_id"]], currencies[row["currency"]])
                company = companies[row["legal_entity"]]
                body |= {"company": company, "employee": employees[company, row["owner"]]}
                fresh[company].append(body)
        for company, bodies in fresh.items():
            for some in _slices(bodies, _AT_ONCE):
                made = await self._tryton.create(_DEAL, some, company=company)
                await self._tryton.press(_DEAL, "opportunity", made, company=company)
                await self._tryton.press(_DEAL, "convert", made, company=company)
        await self._agree(tables, deals)

    # --- who ---------------------------------------------------------------------------------------------------------
    async def _companies(self, rows: Sequence[Row]) -> dict[str, int]:
        """Legal entity → company; one that finance has not set up yet is made bare."""
        currencies = sorted({row["currency"] for row in rows})
        for currency in currencies:
            await self._ground.currency(currency)
        wanted: dict[str, str] = {}
        for row in rows:
            wanted.setdefault(row["legal_entity"], row["currency"])
        return {code: await self._ground.company(code, code, currency) for code, currency in wanted.items()}

    async def _parties(self) -> dict[str, int]:
        rows = await self._tryton.find("party.party", [["categories.name", "=", CUSTOMERS]], ["code"])
        return {row["code"]: row["id"] for row in rows}

    async def _load_accounts(self, rows: Sequence[Row]) -> None:
        known = await self._parties()
        customers, wants = await self._ground.category(CUSTOMERS), await self._ground.category(PO_REQUIRED)
        sectors = {row.get("sector", "") for row in rows} - {""}
        industries = {
            name: await self._ground.category(name.replace(" / ", "/"), INDUSTRIES) for name in sorted(sectors)
        }
        countries = {row["code"]: row["id"] for row in await self._tryton.find("country.country", [], ["code"])}
        bodies: list[Json] = []
        for row in rows:
            if row["account_id"] in known:
                continue
            groups = [customers]
            groups += [wants] if row["po_required"].strip().lower() == "true" else []
            groups += [industries[row["sector"]]] if row.get("sector") else []
            address = {
                "street": row["billing_street"],
                "city": row["billing_city"],
                "postal_code": row["billing_postal_code"],
                "country": countries[row["billing_country"]] if row["billing_country"] else None,
            }
            body: Json = {
                "name": row["name"],
                "code": row["account_id"],
                "addresses": [["create", [address]]],
                "categories": [["add", groups]],
            }
            if row["tax_id"]:
                body["identifiers"] = [["create", [{"code": marked(tax=row["tax_id"])}]]]
            bodies.append(body)
        await self._tryton.create("party.party", bodies)
        parties = await self._parties()
        related = [
            {"from_": parties[row["account_id"]], "to": parties[row["parent_account_id"]]}
            for row in rows
            if row["parent_account_id"] and row["account_id"] not in known
        ]
        kind = await self._ground.hierarchy()
        await self._tryton.create("party.relation.all", [{**one, "type": kind} for one in related])

    async def _owners(self, rows: Sequence[Row], companies: Mapping[str, int]) -> dict[tuple[int, str], int]:
        """Whoever sold a deal is an employee of the company it was sold for."""
        wanted = {(companies[row["legal_entity"]], row["owner"]) for row in rows}
        code = "SALES-{}".format
        names = sorted({name for _, name in wanted})
        held = await self._tryton.find("party.party", [["code", "like", "SALES-%"]], ["code"])
        people = {row["code"]: row["id"] for row in held}
        missing = [name for name in names if code(name) not in people]
        made = await self._tryton.create(
            "party.party", [{"name": name or "Sales", "code": code(name)} for name in missing]
        )
        people |= {code(name): number for name, number in zip(missing, made, strict=True)}
        employed = await self._tryton.find(
            "company.employee", [["party", "in", list(people.values())]], ["company", "party"]
        )
        known = {(row["company"], row["party"]): row["id"] for row in employed}
        told: dict[tuple[int, str], int] = {}
        for company, name in sorted(wanted):
            party = people[code(name)]
            if (company, party) not in known:
                body = {"party": party, "company": company}
                known[company, party] = (await self._tryton.create("company.employee", [body], company=company))[0]
            told[company, name] = known[company, party]
        return told

    # --- what --------------------------------------------------------------------------------------------------------
    async def _load_products(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Products as sold, also those the product list lacks."""
        names = {row["product_code"]: row["product_code"] for row in tables["opportunity_lines"]}
        names |= {row["product_code"]: row["name"] for row in tables["products"]}
        held = await self._tryton.find("product.template", [["code", "!=", None]], ["code"])
        known = {row["code"] for row in held}
        unit = await self._ground.unit()
        body = {"type": "service", "default_uom": unit, "sale_uom": unit, "salable": True, "list_price": Decimal(0)}
        companies = await self._tryton.find("company.company", [])
        fresh: list[Json] = [
            {**body, "name": name, "code": code, "products": [["create", [{}]]]}
            for code, name in names.items()
            if code not in known
        ]
        await self._tryton.create("product.template", fresh, company=companies[0]["id"])

    async def _agree(self, tables: Mapping[str, Sequence[Row]], deals: Mapping[str, Row]) -> None:
        """Fill in the orders that are drafts, and make quotations of them."""
        contracts = {row["opportunity_id"]: row for row in tables["contracts"]}
        lines, due = _by_deal(tables["opportunity_lines"]), _by_deal(tables["milestones"])
        terms = {
            days: await self._term(days) for days in sorted({row["payment_terms_days"] for row in contracts.values()})
        }
        products = {
            row["code"]: (row["id"], row["default_uom"])
            for row in await self._tryton.find("product.product", [["code", "!=", None]], ["code", "default_uom"])
        }
        orders = await self._orders([["state", "=", "draft"]])
        addresses = await self._addresses()
        given: dict[int, list[Any]] = defaultdict(list)
        for deal, order in orders.items():
            if deal not in deals:
                continue
            body = _order(deals[deal], contracts.get(deal), terms, addresses.get(order["party"]))
            sold = [_sold(row, *products[row["product_code"]]) for row in lines[deal]]
            body["lines"] = [["create", [*sold, *(_milestone(row) for row in due[deal])]]]
            given[order["company"]] += [([order["id"]], body)]
        for company, pairs in given.items():
            for some in _slices(pairs, _AT_ONCE):
                flat = [part for pair in some for part in pair]
                await self._tryton.call("model.sale.sale.write", *flat, context={"company": company})
                await self._tryton.press("sale.sale", "quote", [ids[0] for ids, _ in some], company=company)

    async def _term(self, days: str) -> int:
        delta = [["create", [{"days": int(days)}]]]
        lines = [["create", [{"type": "remainder", "relativedeltas": delta}]]]
        name = f"Net {int(days)} days"
        wanted = [["name", "=", name]]
        return await self._ground.ensure("account.invoice.payment_term", wanted, {"name": name, "lines": lines})

    async def _orders(self, domain: Sequence[Any]) -> dict[str, Json]:
        """Deal's reference → its order."""
        rows = await self._tryton.find(
            "sale.sale", [["origin", "like", f"{_DEAL},%"], *domain], ["origin", "party", "company", "state"]
        )
        held = await self._tryton.find(_DEAL, [["reference", "!=", None]], ["reference"])
        names = {f"{_DEAL},{row['id']}": row["reference"] for row in held}
        return {names[row["origin"]]: row for row in rows if row["origin"] in names}

    async def _addresses(self) -> dict[int, int]:
        rows = await self._tryton.find("party.address", [["party.categories.name", "=", CUSTOMERS]], ["party"])
        return {row["party"]: row["id"] for row in reversed(rows)}

    async def close(self, opportunities: Sequence[Row]) -> None:
        """A confirmed order wins its deal, a cancelled one loses it."""
        orders = await self._orders([["state", "in", ["draft", "quotation"]]])
        acts: dict[tuple[int, str], list[int]] = defaultdict(list)
        for row in opportunities:
            if order := orders.get(row["opportunity_id"]):
                acts[order["company"], "confirm" if row["stage"] == WON else "cancel"].append(order["id"])
        for (company, button), ids in acts.items():
            for some in _slices(ids, _AT_ONCE):
                await self._tryton.press("sale.sale", button, some, company=company)

    # --- corrections -------------------------------------------------------------------------------------------------
    async def apply_fix(self, kind: str, subject: str, value: str) -> None:
        """What a person would correct here. Raises ValueError for a kind that is not corrected here."""
        if kind in _FIXED_IN:
            wanted = [["comment", "like", f"%[contract: {subject}]%"]]
            order = (await self._tryton.find("sale.sale", wanted, ["comment"]))[0]
            changes = (
                {"reference": value} if kind == "po_number" else {"comment": remarked(order["comment"], approval=value)}
            )
            await self._tryton.write("sale.sale", [order["id"]], changes)
            return
        if kind not in {"tax_id", "billing_address"}:
            raise ValueError(f"{kind} is not corrected in the CRM")
        party = (await self._tryton.find("party.party", [["code", "=", subject]], ["addresses", "identifiers.code"]))[0]
        if kind == "tax_id":
            old = [one["id"] for one in party["identifiers."] if "tax" in markings(one["code"])]
            changes = [*([["delete", old]] if old else []), ["create", [{"code": marked(tax=value)}]]]
            await self._tryton.write("party.party", [party["id"]], {"identifiers": changes})
        else:
            street, city, postal_code = value.split("|")
            parts = {"street": street, "city": city, "postal_code": postal_code}
            await self._tryton.write(
                "party.party", [party["id"]], {"addresses": [["write", party["addresses"][:1], parts]]}
            )

    # --- reading back ------------------------------------------------------------------------------------------------
    async def count_accounts(self) -> int:
        """Parties in the category of customers."""
        return await self._tryton.count("party.party", [["categories.name", "=", CUSTOMERS]])

    async def read_deals(self) -> dict[str, DealRow]:
        """Every deal with the note on its delivery."""
        rows = await self._tryton.find(_DEAL, [], ["reference"])
        notes = await self._tryton.find("ir.note", [["message", "like", "[delivery: %"]], ["resource", "message"])
        told = {note["resource"]: note["message"] for note in notes}
        deals: dict[str, DealRow] = {}
        for row in rows:
            message = told.get(f"{_DEAL},{row['id']}")
            facts = markings(message)
            name = row["reference"] or str(row["id"])
            deals[name] = DealRow(
                opportunity_id=name,
                record_id=str(row["id"]),
                delivery_stage=facts.get("delivery"),
                project_id=facts.get("project"),
                project_ref=facts.get("project_ref"),
                message=remainder(message) or None,
            )
        return deals

    async def read_invoice_statuses(self) -> list[InvoiceStatusRow]:
        """Every note on an invoice."""
        notes = await self._tryton.find("ir.note", [["message", "like", "[invoice: %"]], ["resource", "message"])
        rows = await self._tryton.find(_DEAL, [], ["reference"])
        names = {f"{_DEAL},{row['id']}": row["reference"] or str(row["id"]) for row in rows}
        marked = [(names[note["resource"]], markings(note["message"])) for note in notes]
        told = {facts["invoice"]: (deal, facts) for deal, facts in marked}  # of two notes the younger one
        return [
            InvoiceStatusRow(
                invoice_id=facts["invoice"],
                opportunity_id=deal,
                invoice_ref=facts.get("invoice_ref"),
                period=facts.get("period"),
                stage=facts.get("stage"),
                currency=facts["currency"],
                gross=Decimal(facts["gross"]),
                paid=Decimal(facts["paid"]),
            )
            for deal, facts in told.values()
        ]


def _deal(row: Row, party: int, currency: int) -> Json:
    closed_on = date.fromisoformat(row["close_date"])
    return {
        "reference": row["opportunity_id"],
        "description": row["name"],
        "party": party,
        "currency": currency,
        "amount": Decimal(row["amount"]),
        "start_date": closed_on,
        "end_date": closed_on,
        "comment": marked(region=row.get("region", ""), revision=row["revision"]),
    }


def _order(deal: Row, contract: Row | None, terms: Mapping[str, int], address: int | None) -> Json:
    body: Json = {
        "sale_date": date.fromisoformat(deal["close_date"]),
        "invoice_method": "manual",
        "shipment_method": "manual",
        "invoice_address": address,
        "shipment_address": address,
    }
    if contract is None:
        return body
    facts = {
        "contract": contract["contract_id"],
        "approval": contract["status"],
        "signed": contract["signed_on"],
        "cap": contract["cap_amount"],
        "rate_card": contract["rate_card"],
        "revision": contract["revision"],
    }
    return body | {
        "description": contract["contract_id"],
        "reference": contract["po_number"] or None,
        "payment_term": terms[contract["payment_terms_days"]],
        "comment": marked(**facts),
    }


def _sold(row: Row, product: int, unit: int) -> Json:
    quantity, amount = Decimal(row["quantity"]), Decimal(row["amount"])
    facts = {"line": row["line_id"], "workstream": row["workstream"], "billing_model": row["billing_model"]}
    return {
        "type": "line",
        "product": product,
        "unit": unit,
        "quantity": float(quantity),
        "unit_price": amount / quantity,
        "description": row["workstream"],
        "note": marked(**facts, start=row["start_date"]),
    }


def _milestone(row: Row) -> Json:
    facts = {"milestone": row["milestone_id"], "line": row["line_id"], "workstream": row["workstream"]}
    note = marked(**facts, amount=row["amount"], due=row["due_date"])
    return {"type": "comment", "description": row["name"], "note": note}


def _by_deal(rows: Sequence[Row]) -> defaultdict[str, list[Row]]:
    held: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        held[row["opportunity_id"]].append(row)
    return held


def _slices(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]
