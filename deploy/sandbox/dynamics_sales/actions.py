"""Functions and actions: who am I, and how deals are won and lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from deploy.sandbox.dynamics_sales.automation import OPEN, closed, number
from deploy.sandbox.dynamics_sales.calls import Call, Reply
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import bad_payload, business_rule
from deploy.sandbox.dynamics_sales.events import entity
from deploy.sandbox.dynamics_sales.records import Row
from deploy.sandbox.dynamics_sales.rows import Json
from deploy.sandbox.dynamics_sales.schema import tables
from deploy.sandbox.dynamics_sales.values import from_json

_FOUR = Decimal("0.0001")


def who_am_i(environment: Environment, call: Call) -> Reply:
    """The application user behind the token."""
    body = {
        "@odata.context": f"{call.root}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
        "BusinessUnitId": environment.business_unit_id,
        "UserId": call.caller.user_id,
        "OrganizationId": environment.events.organization_id,
    }
    return Reply(200, body)


def close_deal(environment: Environment, call: Call, *, is_won: bool) -> Reply:
    """`WinOpportunity` and `LoseOpportunity`: the deal's state changes and an opportunityclose row is kept."""
    document = call.document()
    table = tables()["opportunity"]
    status = document.get("Status")
    given: Any = document.get("OpportunityClose")
    if not isinstance(given, dict):
        raise bad_payload("Required parameter 'OpportunityClose' is missing.")
    close: Json = {str(name): value for name, value in given.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
    bind = close.pop("opportunityid@odata.bind", None)
    if not isinstance(bind, str):
        raise bad_payload("OpportunityClose names no opportunity.")
    deal_id = environment.writes.target(bind, ("opportunity",))
    deal = environment.writes.need(table, {"": deal_id})
    states = table.columns["statuscode"].states
    wanted = states.get(status) if isinstance(status, int) else None
    if wanted is None or (wanted == OPEN) or (wanted == 1) != is_won:
        raise business_rule(f"{status} is not a valid status code for a {'won' if is_won else 'lost'} opportunity.")
    if deal["statecode"] != OPEN:
        raise business_rule("The opportunity is already closed.")
    values = _read(close)
    ended = values.get("actualend")
    on = ended.date() if isinstance(ended, datetime) else _today(environment)
    changes = closed(deal, int(str(status)), is_won=is_won, revenue=values.get("actualrevenue"), on=on)
    rate = number(deal["exchangerate"]) or Decimal(1)
    changes["actualvalue_base"] = (number(changes["actualvalue"]) / rate).quantize(_FOUR)
    environment.writes.change(table, deal, changes, call.caller, is_ruled=False)
    body = {name: value for name, value in close.items() if "@" not in name}
    body["opportunityid@odata.bind"] = f"/opportunities({deal_id})"
    if deal["transactioncurrencyid"]:
        body["transactioncurrencyid@odata.bind"] = f"/transactioncurrencies({deal['transactioncurrencyid']})"
    made = environment.writes.create(tables()["opportunityclose"], body, call.caller)
    done: Row = {"statecode": 1, "statuscode": 2}
    environment.writes.change(tables()["opportunityclose"], made, done, call.caller, is_ruled=False)
    told = entity(tables()["opportunityclose"], made, ["subject", "opportunityid", "actualrevenue", "actualend"])
    environment.events.note_close("Win" if is_won else "Lose", deal_id, told, int(str(status)), call.caller)
    return Reply(204)


def _read(close: Json) -> Row:
    columns = tables()["opportunityclose"].columns
    values: Row = {}
    for name, value in close.items():
        if "@" in name:
            continue
        if name not in columns:
            raise bad_payload(f"An undeclared property '{name}' was found on type opportunityclose.")
        values[name] = from_json(columns[name], "opportunityclose", value)
    return values


def _today(environment: Environment) -> date:
    return environment.now().astimezone(UTC).date()
