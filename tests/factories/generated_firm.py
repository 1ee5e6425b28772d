"""Writes small made-up firms in the sample firm's format, with corners of the calendar and blank roles."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

Row = dict[str, str]

ENTITIES = (
    ("NO-US", "US", "USD", "true", "0"),
    ("NO-UK", "GB", "GBP", "true", "0.20"),
    ("NO-DE", "DE", "EUR", "true", "0.19"),
    ("NO-JP", "JP", "JPY", "true", "0.10"),
    ("NO-BR", "BR", "BRL", "false", "0.15"),
)
PRODUCTS = {"ADV": "SVC-1", "BUILD": "SVC-2", "RUN": "SVC-3"}
ALIAS = {"Build": "BUILD"}
ROLES = ("Advisor", "Engineer", "Écrivain technique")
UNPRICED = "Intern"
TURN = date(2025, 7, 1)  # rates change on this day
FIRST = date(2025, 5, 12)


def write_firm(folder: Path, *, seed: int = 7, deals: int = 14, entries_per_deal: int = 40) -> Path:
    """A firm of `deals` won deals and one that is lost; the same seed gives the same files."""
    tables = _Draft(random.Random(seed)).firm(deals, entries_per_deal)  # noqa: S311 - made-up data
    for name, rows in tables.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


class _Draft:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.tables: dict[str, list[Row]] = {
            name: []
            for name in (
                "crm/accounts crm/opportunities crm/opportunity_lines crm/products clm/contracts clm/milestones "
                "psa/users psa/time_entries psa/milestone_completions erp/service_items erp/legal_entities "
                "erp/rate_cards fixes"
            ).split()
        }

    def add(self, table: str, **row: object) -> None:
        self.tables[table].append({column: str(value) for column, value in row.items()})

    def firm(self, deals: int, entries_per_deal: int) -> dict[str, list[Row]]:
        self._reference_data()
        self._accounts()
        for number in range(deals):
            self._deal(number, entries_per_deal)
        self._deal(deals, 5, stage="Closed Lost")
        self._fixes()
        return self.tables

    def _reference_data(self) -> None:
        for code, country, currency, approved, tax in ENTITIES:
            self.add(
                "erp/legal_entities",
                code=code,
                name=f"Northwind {country}",
                country=country,
                currency=currency,
                approved=approved,
                standard_tax_rate=tax,
            )
            for number, role in enumerate(ROLES):
                base = Decimal(60 + 35 * number) * (110 if currency == "JPY" else 1)
                odd = Decimal(0) if currency == "JPY" else Decimal("0.37")
                self._rate(code, role, currency, base + odd, "2025-01-01", str(TURN - timedelta(days=1)))
                self._rate(code, role, currency, base * 2 + odd, str(TURN), "2025-09-30" if number == 0 else "")
        for product, item in PRODUCTS.items():
            self.add("erp/service_items", product_code=product, item_code=item, name=product, revenue_account="41000")
        for product in (*PRODUCTS, *ALIAS):
            self.add("crm/products", product_code=product, name=product)
        for number in range(1, 8):
            role = "" if number == 3 else UNPRICED if number == 5 else ROLES[number % len(ROLES)]
            self.add(
                "psa/users",
                user_id=number,
                name=f"Person {number}",
                username=f"person{number}",
                role=role,
                active="false" if number == 6 else "true",
            )

    def _rate(self, entity: str, role: str, currency: str, rate: Decimal, start: str, end: str) -> None:
        self.add(
            "erp/rate_cards",
            rate_card=f"CARD-{entity}",
            role=role,
            currency=currency,
            rate=rate,
            effective_from=start,
            effective_to=end,
        )

    def _accounts(self) -> None:
        facts = (
            # country, tax id, street, PO required, share, days, parent
            ("US", "", "1 Main Street", "false", "1.00", 10, ""),
            ("GB", "", "2 High Street", "true", "0.50", 30, "A0"),
            ("DE", "DE111111111", "3 Hauptstraße", "false", "0.00", 14, ""),
            ("DE", "", "4 Nebenstraße", "false", "1.00", 5, "A2"),
            ("JP", "", "5 Chūō-dōri", "false", "0.333", 45, ""),
            ("IT", "IT22222222222", "", "false", "0.75", 60, ""),
        )
        for number, (country, tax_id, street, po, share, days, parent) in enumerate(facts):
            self.add(
                "crm/accounts",
                account_id=f"A{number}",
                name=f"Customer {number} & Söhne, Ltd",
                parent_account_id=parent,
                sector="retail",
                billing_country=country,
                billing_city=f"City {number}",
                billing_street=street,
                billing_postal_code=f"{number}0001",
                tax_id=tax_id,
                po_required=po,
                payment_share=share,
                payment_after_days=days,
            )

    def _deal(self, number: int, entries: int, *, stage: str = "Closed Won") -> None:
        chosen = 3 if number == 4 else number % 5 if number % 10 == 9 else number % 4
        key, entity = f"D{number:03}", ENTITIES[chosen]
        code, _, currency = entity[:3]
        is_whole = currency == "JPY"
        streams = self.dice.randint(1, 3)
        amounts = [Decimal(self.dice.randint(100, 900_000 if is_whole else 5000)) for _ in range(streams)]
        if number == 0:
            amounts = [Decimal(1000), Decimal(900), Decimal(600)]  # exactly at the approval limit
            streams = 3
        self.add(
            "crm/opportunities",
            opportunity_id=key,
            account_id=f"A{number % 6}",
            name=f"Deal {number}: “all in”",
            stage=stage,
            amount=sum(amounts),
            currency="USD" if number == 5 else currency,
            close_date=FIRST - timedelta(days=10),
            owner="Somebody",
            region="West",
            legal_entity=code,
            revision=1,
        )
        needs_order = number % 6 == 1
        self.add(
            "clm/contracts",
            contract_id=f"SOW-{key}",
            opportunity_id=key,
            status="in_review" if number == 8 else "approved",
            signed_on=FIRST - timedelta(days=9),
            payment_terms_days=30,
            cap_amount="" if number % 3 else (400_000 if is_whole else "4000.50"),
            po_number="" if needs_order and number == 7 else f"PO-{number}" if needs_order else "",
            rate_card=f"CARD-{code}",
            revision=1,
        )
        for stream in range(streams):
            self._line(key, stream, amounts[stream], number)
        for entry in range(entries):
            self._entry(key, entry, streams)

    def _line(self, key: str, stream: int, amount: Decimal, number: int) -> None:
        model = ("time_and_materials", "fixed_fee", "milestone")[(number + stream) % 3]
        self.add(
            "crm/opportunity_lines",
            line_id=f"{key}-{stream}",
            opportunity_id=key,
            product_code="Build" if number in {2, 10} and stream == 0 else list(PRODUCTS)[(number + stream) % 3],
            workstream=f"WS{stream + 1}",
            quantity=1,
            unit_price=amount,
            amount=amount,
            billing_model=model,
            start_date=FIRST,
        )
        if model == "time_and_materials":
            return
        for part in range(2):
            milestone, due = f"{key}-{stream}-M{part}", FIRST + timedelta(days=30 * (part + 1))
            share = amount - amount // 3 if part else amount // 3
            self.add(
                "clm/milestones",
                milestone_id=milestone,
                opportunity_id=key,
                line_id=f"{key}-{stream}",
                workstream=f"WS{stream + 1}",
                name=f"Part {part + 1}",
                amount=share,
                due_date=due,
            )
            if self.dice.random() < 0.8:
                self.add(
                    "psa/milestone_completions",
                    milestone_id=milestone,
                    opportunity_id=key,
                    completed_on=due + timedelta(days=self.dice.randint(-5, 5)),
                    approved="true" if self.dice.random() < 0.8 else "false",
                )

    def _entry(self, key: str, entry: int, streams: int) -> None:
        corners = (TURN - timedelta(days=1), TURN, date(2025, 9, 30), date(2025, 10, 1), date(2025, 5, 31))
        spread = FIRST + timedelta(days=self.dice.randint(0, 170))
        self.add(
            "psa/time_entries",
            entry_id=f"{key}-{entry}",  # as text, -10 comes before -2
            opportunity_id=key,
            workstream=f"WS{self.dice.randint(1, streams)}",
            user_id=self.dice.randint(1, 7),
            role=self.dice.choice(ROLES) if self.dice.random() < 0.25 else "",
            work_date=corners[entry] if entry < len(corners) else spread,
            hours=f"{Decimal(self.dice.randint(1, 170)) * Decimal('0.05'):.2f}",
            billable="true" if self.dice.random() < 0.9 else "false",
            approved="true" if self.dice.random() < 0.9 else "false",
        )

    def _fixes(self) -> None:
        for subject, value in ALIAS.items():
            self.add("fixes", kind="product_alias", subject=subject, value=value)
        made = {row["contract_id"] for row in self.tables["clm/contracts"]}
        for kind, subject, value in (("contract_status", "SOW-D008", "approved"), ("po_number", "SOW-D007", "PO-77")):
            if subject in made:
                self.add("fixes", kind=kind, subject=subject, value=value)
        self.add("fixes", kind="tax_id", subject="A3", value="DE999999999")
        self.add("fixes", kind="billing_address", subject="A5", value="6 Via Roma|Torino|10121")
