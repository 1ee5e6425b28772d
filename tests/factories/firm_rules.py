"""What must come out by the sample firm's README, in plain Python; shares no code with the product."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

Row = dict[str, str]
Tables = dict[str, list[Row]]
EU = {"BE", "DE", "IT", "PL", "RO"}
FACTORS = {"USD": "1", "GBP": "0.80", "EUR": "0.90", "JPY": "110", "BRL": "5"}
FILES = (
    "crm/accounts crm/opportunities crm/opportunity_lines crm/products clm/contracts clm/milestones psa/users "
    "psa/time_entries psa/milestone_completions erp/service_items erp/legal_entities erp/rate_cards fixes"
).split()


@dataclass
class Outcome:
    """The four report tables."""

    projects: list[Row] = field(default_factory=list)
    invoices: list[Row] = field(default_factory=list)
    time_states: list[Row] = field(default_factory=list)
    totals: list[Row] = field(default_factory=list)

    def tables(self) -> Tables:
        return {
            "projects.csv": self.projects,
            "invoices.csv": self.invoices,
            "time_states.csv": self.time_states,
            "totals.csv": self.totals,
        }


def read_tables(folder: Path) -> Tables:
    tables: Tables = {}
    for name in FILES:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = list(csv.DictReader(file))
    return tables


def _cents(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1) if currency == "JPY" else Decimal("0.01"), rounding=ROUND_HALF_UP)


def after_fixes(tables: Tables) -> tuple[Tables, dict[str, str]]:
    """The tables as they are once people have corrected them, and the product aliases."""
    fixed = {name: [dict(row) for row in rows] for name, rows in tables.items()}
    accounts = {row["account_id"]: row for row in fixed["crm/accounts"]}
    contracts = {row["contract_id"]: row for row in fixed["clm/contracts"]}
    aliases: dict[str, str] = {}
    for fix in tables["fixes"]:
        kind, subject, value = fix["kind"], fix["subject"], fix["value"]
        if kind == "product_alias":
            aliases[subject] = value
        elif kind == "contract_status":
            contracts[subject]["status"] = value
        elif kind == "po_number":
            contracts[subject]["po_number"] = value
        elif kind == "tax_id":
            accounts[subject]["tax_id"] = value
        else:
            street, city, code = value.split("|")
            accounts[subject].update(billing_street=street, billing_city=city, billing_postal_code=code)
    return fixed, aliases


def expected(tables: Tables, aliases: dict[str, str] | None = None) -> Outcome:
    """What one phase must report."""
    accounts = {row["account_id"]: row for row in tables["crm/accounts"]}
    entities = {row["code"]: row for row in tables["erp/legal_entities"]}
    contracts = {row["opportunity_id"]: row for row in tables["clm/contracts"]}
    outcome = Outcome()
    active: list[Row] = []
    for deal in tables["crm/opportunities"]:
        if deal["stage"] != "Closed Won":
            continue
        found = _findings(
            deal,
            accounts[deal["account_id"]],
            entities[deal["legal_entity"]],
            contracts[deal["opportunity_id"]],
            _unmapped(tables, deal, aliases or {}),
        )
        if not found:
            active.append(deal)
        outcome.projects.append(
            {
                "opportunity_id": deal["opportunity_id"],
                "outcome": "exception" if found else "activated",
                "findings": ";".join(found),
                "approvals": "" if found else _approvals(deal, entities[deal["legal_entity"]]),
            }
        )
    states: dict[str, list[Decimal]] = {}
    sums: dict[str, list[Decimal]] = {}
    work = _by_deal(tables["psa/time_entries"])
    reached = _by_deal(
        [
            {**done, **{key: stone[key] for key in ("opportunity_id", "amount")}}
            for stone in tables["clm/milestones"]
            for done in tables["psa/milestone_completions"]
            if done["milestone_id"] == stone["milestone_id"]
        ]
    )
    rates = _rates(tables["erp/rate_cards"])
    roles = {row["user_id"]: row["role"] for row in tables["psa/users"]}
    for deal in active:
        key, entity = deal["opportunity_id"], entities[deal["legal_entity"]]
        billed = _rated(work.get(key, []), contracts[key], rates, roles, entity["currency"], states)
        invoices = _invoices(billed, reached.get(key, []), deal, entity, accounts[deal["account_id"]])
        outcome.invoices.extend(invoices)
        for invoice in invoices:
            total = sums.setdefault(invoice["currency"], [Decimal(0)] * 5)
            values = (1, *(Decimal(invoice[column]) for column in ("net", "tax", "gross", "paid")))
            sums[invoice["currency"]] = [a + b for a, b in zip(total, values, strict=True)]
    outcome.time_states = [
        {"state": state, "entries": str(len(hours)), "hours": str(sum(hours))}
        for state, hours in sorted(states.items())
    ]
    columns = ("invoices", "net", "tax", "gross", "paid")
    outcome.totals = [
        {"currency": currency, **{column: str(value) for column, value in zip(columns, values, strict=True)}}
        for currency, values in sorted(sums.items())
    ]
    return outcome


def _findings(deal: Row, account: Row, entity: Row, contract: Row, unmapped: bool) -> list[str]:
    found = {
        "bill_to_incomplete": not (
            account["billing_street"] and account["billing_city"] and account["billing_postal_code"]
        ),
        "legal_entity_not_approved": entity["approved"] != "true",
        "currency_mismatch": deal["currency"] != entity["currency"],
        "tax_id_missing": account["billing_country"] in EU and not account["tax_id"],
        "service_code_unmapped": unmapped,
        "contract_not_approved": contract["status"] != "approved",
        "purchase_order_missing": account["po_required"] == "true" and not contract["po_number"],
    }
    return sorted(name for name, is_so in found.items() if is_so)


def _unmapped(tables: Tables, deal: Row, aliases: dict[str, str]) -> bool:
    known = {row["product_code"] for row in tables["erp/service_items"]}
    return any(
        aliases.get(line["product_code"], line["product_code"]) not in known
        for line in tables["crm/opportunity_lines"]
        if line["opportunity_id"] == deal["opportunity_id"]
    )


def _approvals(deal: Row, entity: Row) -> str:
    large = Decimal(deal["amount"]) / Decimal(FACTORS[entity["currency"]]) >= 2500
    return "finance+delivery" if large else "delivery"


def _by_deal(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["opportunity_id"]].append(row)
    return found


def _rates(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["rate_card"], row["role"]].append(row)
    return found


def _rated(
    entries: list[Row],
    contract: Row,
    rates: dict[tuple[str, str], list[Row]],
    roles: dict[str, str],
    currency: str,
    states: dict[str, list[Decimal]],
) -> list[tuple[str, Decimal]]:
    """Month and amount of every entry that is billed; all entries are counted in `states`."""
    billed: list[tuple[str, Decimal]] = []
    cap = Decimal(contract["cap_amount"]) if contract["cap_amount"] else None
    spent, is_full = Decimal(0), False
    for entry in sorted(entries, key=lambda row: (row["work_date"], row["entry_id"])):
        role, day = entry["role"] or roles[entry["user_id"]], entry["work_date"]
        fitting = [
            Decimal(row["rate"])
            for row in rates.get((contract["rate_card"], role), [])
            if role and row["effective_from"] <= day <= (row["effective_to"] or "9999")
        ]
        if entry["billable"] != "true":
            state = "not_billable"
        elif entry["approved"] != "true":
            state = "unapproved"
        elif not fitting:
            state = "awaiting_rate"
        else:
            amount = _cents(Decimal(entry["hours"]) * fitting[0], currency)
            is_full = is_full or (cap is not None and spent + amount > cap)
            state = "over_cap" if is_full else "billed"
            if not is_full:
                spent += amount
                billed.append((day[:7], amount))
        states.setdefault(state, []).append(Decimal(entry["hours"]))
    return billed


def _invoices(billed: list[tuple[str, Decimal]], reached: list[Row], deal: Row, entity: Row, account: Row) -> list[Row]:
    months: dict[str, list[Decimal]] = {}
    stones: dict[str, list[Decimal]] = {}
    for month, amount in billed:
        months.setdefault(month, []).append(amount)
    for stone in reached:
        if stone["approved"] == "true":
            stones.setdefault(stone["completed_on"][:7], []).append(Decimal(stone["amount"]))
    currency = entity["currency"]
    rate = Decimal(entity["standard_tax_rate"]) if entity["country"] == account["billing_country"] else Decimal(0)
    rows: list[Row] = []
    for month in sorted(months.keys() | stones.keys()):
        time, milestones = months.get(month, []), stones.get(month, [])
        net = sum([*time, *milestones], Decimal(0))
        tax = _cents(net * rate, currency)
        rows.append(
            {
                "opportunity_id": deal["opportunity_id"],
                "month": month,
                "legal_entity": entity["code"],
                "currency": currency,
                "net": str(net),
                "tax": str(tax),
                "gross": str(net + tax),
                "paid": str(_cents((net + tax) * Decimal(account["payment_share"]), currency)),
                "time_entries": str(len(time)),
                "milestones": str(len(milestones)),
            }
        )
    return rows
