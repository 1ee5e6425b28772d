"""Bulk actions on a set: many rows created, changed or upserted in one request, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deploy.sandbox.dynamics_sales.calls import Call, Reply
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import bad_payload, not_allowed
from deploy.sandbox.dynamics_sales.rows import Json
from deploy.sandbox.dynamics_sales.schema import Table
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import parse_key

MOST = 1000
_CRM = "Microsoft.Dynamics.CRM."


def answer_bundle(environment: Environment, call: Call, table: Table, action: str) -> Reply | None:
    """The answer of a bulk action, None where the segment names none. Raises DataverseError."""
    act = _ACTIONS.get(action.removeprefix(_CRM))
    if act is None or not action.startswith(_CRM):
        return None
    if call.method != "POST":
        raise not_allowed(call.method)
    targets: Any = call.document().get("Targets")
    if not isinstance(targets, list) or not all(isinstance(one, dict) for one in targets):  # pyright: ignore[reportUnknownVariableType] - JSON
        raise bad_payload("Targets must be a list of rows.")
    listed: list[Json] = list(targets)  # pyright: ignore[reportUnknownArgumentType] - JSON
    if len(listed) > MOST:
        raise bad_payload(f"Targets holds more than {MOST} rows.")
    return act(environment, call, table, listed)


def _create(environment: Environment, call: Call, table: Table, targets: list[Json]) -> Reply:
    made = [environment.writes.create(table, _plain(one), call.caller)[table.id_column] for one in targets]
    context = f"{call.root}$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    return Reply(200, {"@odata.context": context, "Ids": made})


def _update(environment: Environment, call: Call, table: Table, targets: list[Json]) -> Reply:
    for one in targets:
        row = environment.writes.need(table, {"": str(one.get(table.id_column))})
        body = {name: value for name, value in _plain(one).items() if name != table.id_column}
        environment.writes.update(table, row, body, call.caller)
    return Reply(204)


def _upsert(environment: Environment, call: Call, table: Table, targets: list[Json]) -> Reply:
    for one in targets:
        try:
            _, key = parse_key(str(one.get("@odata.id", "")))
        except ODataRefused as error:
            raise bad_payload(str(error)) from None
        if key is None:
            raise bad_payload("Each row of Targets names its key in @odata.id.")
        row, body = environment.writes.find(table, key), _plain(one)
        if row is None:
            environment.writes.create(table, body, call.caller, environment.writes.wanted(table, key))
        else:
            environment.writes.update(table, row, body, call.caller)
    return Reply(204)


_ACTIONS: Mapping[str, Callable[[Environment, Call, Table, list[Json]], Reply]] = {
    "CreateMultiple": _create,
    "UpdateMultiple": _update,
    "UpsertMultiple": _upsert,
}


def _plain(target: Json) -> Json:
    return {name: value for name, value in target.items() if not name.startswith("@")}
