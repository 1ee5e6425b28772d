"""A small firm for PSA tests: its people, plans of projects as the process tier makes them, hours that are booked."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from tests.conformance.small_firm import read_on

USERS = [
    {"user_id": "7", "name": "Ada", "username": "ada", "role": "Engineer", "active": "true"},
    {"user_id": "8", "name": "Ben", "username": "ben", "role": "", "active": "false"},
]


def plan(
    number: int = 1,
    *,
    workstreams: int = 2,
    milestones: int = 2,
    currency: str = "EUR",
    template: str | None = "fixed-scope",
    name: str | None = None,
) -> ProjectPlan:
    """A project with so many workstreams, the first of which has so many milestones."""
    return ProjectPlan(
        id=f"prj_{number}",
        opportunity_id=f"opp_{number}",
        opportunity_reference=f"OPP{number}",
        contract_id=f"con_{number}",
        contract_reference=f"CON{number}",
        customer_id="cus_1",
        customer_name="Harbour Bank",
        name=name or f"Project {number}",
        legal_entity_code="HC-DE",
        budget=Money.of("5000.40" if currency != "JPY" else 5000, currency),
        start_on=date(2026, 1, 5),
        template=template,
        workstreams=tuple(
            Workstream(
                id=f"wks_{number}-{stream}",
                name=f"WS{stream}",
                item_code="ADVISORY",
                billing_model=BillingModel.MILESTONE if stream == 1 else BillingModel.TIME_AND_MATERIALS,
                budget=Money.of("1234", currency),
                start_on=date(2026, 1, 5),
                milestones=tuple(
                    MilestonePlan(
                        id=f"mil_{number}-{m}",
                        reference=f"OPP{number}-M{m}",
                        name=f"Acceptance {m}",
                        amount=Money.of(100 * m, currency),
                        due_on=date(2026, 3, m),
                    )
                    for m in range(1, milestones + 1)
                    if stream == 1
                ),
            )
            for stream in range(1, workstreams + 1)
        ),
    )


def entry(number: int, **fields: str) -> dict[str, str]:
    """Hours of one person on one day, in the sample firm's row."""
    row = {
        "entry_id": f"E-{number}",
        "opportunity_id": "OPP1",
        "workstream": "WS2",
        "user_id": "7",
        "role": "",
        "work_date": "2017-07-11",
        "hours": "7.25",
        "billable": "true",
        "approved": "true",
    }
    return {**row, **fields}


async def read_whole(listed: Any, limit: int = 1000, *, since: datetime | None = None) -> list[Any]:
    """Every item of a list of the port, in pages as long as a process asks for."""
    return await read_on(listed, limit, since=since)
