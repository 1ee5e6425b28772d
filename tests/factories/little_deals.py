"""Little deals in the sample firm's tables, all worth the same, so that sums can be written down by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

Row = dict[str, str]
ENTITY = "LD-UK"
LEGAL_ENTITIES: tuple[Row, ...] = (
    {
        "code": ENTITY,
        "name": "Little Deals Ltd",
        "country": "GB",
        "currency": "GBP",
        "approved": "true",
        "standard_tax_rate": "0.20",
    },
)
SERVICE_ITEMS: tuple[Row, ...] = (
    {"product_code": "ADV", "item_code": "SVC-ADV", "name": "Advice", "revenue_account": "40010"},
    {"product_code": "BUILD", "item_code": "SVC-BUILD", "name": "Building", "revenue_account": "40020"},
)
RATE_CARDS: tuple[Row, ...] = (
    {
        "rate_card": "RC-LD",
        "role": "Engineer",
        "currency": "GBP",
        "rate": "100.10",
        "effective_from": "2025-01-01",
        "effective_to": "",
    },
)
USERS: tuple[Row, ...] = (
    {"user_id": "701", "name": "Ada Long", "username": "ada", "role": "Engineer", "active": "true"},
    {"user_id": "702", "name": "Bo Short", "username": "bo", "role": "Engineer", "active": "true"},
)
WORKSTREAMS, MILESTONES = 2, 2


@dataclass(frozen=True, slots=True)
class Billed:
    """An invoice as it must come out."""

    period: str
    net: Decimal
    tax: Decimal
    gross: Decimal
    time_entries: int
    milestones: int


# May: 6 entries x 2 h x 100.10 = 1,201.20, and a milestone of 500; June: 4 x 1.5 h x 100.10 = 600.60, and one of 250.
EXPECTED: tuple[Billed, ...] = (
    Billed("2025-05", Decimal("1701.20"), Decimal("340.24"), Decimal("2041.44"), 6, 1),
    Billed("2025-06", Decimal("850.60"), Decimal("170.12"), Decimal("1020.72"), 4, 1),
)
_HOURS = (
    *((f"2025-05-{day:02d}", "2.00", "true") for day in (12, 13, 14, 15, 16, 19)),
    *((f"2025-06-{day:02d}", "1.50", "true") for day in (2, 3, 4, 5)),
    ("2025-06-06", "1.00", "false"),
)
_DONE = ("2025-05-20", "2025-06-10")


@dataclass(frozen=True, slots=True)
class LittleDeal:
    """One won deal with a customer of its own: two workstreams, two milestones, eleven entries of 19 hours.

    It needs approval by delivery and by finance.
    """

    reference: str

    @property
    def contract_reference(self) -> str:
        """The contract's number."""
        return f"SOW-{self.reference}"

    @property
    def customer_name(self) -> str:
        """The customer's name."""
        return f"Customer of {self.reference}"

    def crm_tables(self) -> dict[str, list[Row]]:
        """What the CRM knows of it."""
        return {
            "accounts": [
                {
                    "account_id": f"ACC-{self.reference}",
                    "name": self.customer_name,
                    "parent_account_id": "",
                    "sector": "services",
                    "billing_country": "GB",
                    "billing_city": "Leeds",
                    "billing_street": "1 Wharf Street",
                    "billing_postal_code": "LS1 1AA",
                    "tax_id": "",
                    "po_required": "false",
                    "payment_share": "1.00",
                    "payment_after_days": "10",
                }
            ],
            "opportunities": [
                {
                    "opportunity_id": self.reference,
                    "account_id": f"ACC-{self.reference}",
                    "name": f"Deal {self.reference}",
                    "stage": "Closed Won",
                    "amount": "5750.00",
                    "currency": "GBP",
                    "close_date": "2025-05-02",
                    "owner": "Olivia Owner",
                    "region": "North",
                    "legal_entity": ENTITY,
                    "revision": "1",
                }
            ],
            "opportunity_lines": [
                self._line(1, "ADV", "5000.00", "time_and_materials"),
                self._line(2, "BUILD", "750.00", "milestone"),
            ],
            "products": [{"product_code": "ADV", "name": "Advice"}, {"product_code": "BUILD", "name": "Building"}],
            "contracts": [
                {
                    "contract_id": self.contract_reference,
                    "opportunity_id": self.reference,
                    "status": "approved",
                    "signed_on": "2025-05-02",
                    "payment_terms_days": "30",
                    "cap_amount": "",
                    "po_number": "",
                    "rate_card": "RC-LD",
                    "revision": "1",
                }
            ],
            "milestones": [
                self._milestone(1, "500.00", "2025-05-20"),
                self._milestone(2, "250.00", "2025-06-10"),
            ],
        }

    def time_entries(self) -> list[Row]:
        """The hours worked on it."""
        return [
            {
                "entry_id": f"{self.reference}-{number}",
                "opportunity_id": self.reference,
                "workstream": "WS1",
                "user_id": USERS[number % 2]["user_id"],
                "role": "",
                "work_date": day,
                "hours": hours,
                "billable": is_billable,
                "approved": "true",
            }
            for number, (day, hours, is_billable) in enumerate(_HOURS)
        ]

    def completions(self) -> list[Row]:
        """Its milestones reached and accepted."""
        return [
            {
                "milestone_id": f"{self.reference}-M{number}",
                "opportunity_id": self.reference,
                "completed_on": day,
                "approved": "true",
            }
            for number, day in enumerate(_DONE, 1)
        ]

    def _line(self, number: int, product: str, amount: str, model: str) -> Row:
        return {
            "line_id": f"{self.reference}-{number}",
            "opportunity_id": self.reference,
            "product_code": product,
            "workstream": f"WS{number}",
            "quantity": "1",
            "unit_price": amount,
            "amount": amount,
            "billing_model": model,
            "start_date": "2025-05-05",
        }

    def _milestone(self, number: int, amount: str, due: str) -> Row:
        return {
            "milestone_id": f"{self.reference}-M{number}",
            "opportunity_id": self.reference,
            "line_id": f"{self.reference}-2",
            "workstream": "WS2",
            "name": f"Stage {number}",
            "amount": amount,
            "due_date": due,
        }


def joined(deals: Iterable[LittleDeal]) -> dict[str, Sequence[Row]]:
    """The CRM tables of several deals as one set."""
    tables: dict[str, list[Row]] = {}
    for deal in deals:
        for name, rows in deal.crm_tables().items():
            kept = tables.setdefault(name, [])
            kept += [row for row in rows if name != "products" or row not in kept]
    return dict(tables)
