"""From a request below the Web API's root to an answer: which resource is meant, and what its methods do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.sandbox.dynamics_sales.actions import close_deal, who_am_i
from deploy.sandbox.dynamics_sales.bundles import answer_bundle
from deploy.sandbox.dynamics_sales.calls import Call, Reply
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import (
    bad_query,
    business_rule,
    does_not_exist,
    duplicate_key,
    no_segment,
    not_allowed,
    stale,
)
from deploy.sandbox.dynamics_sales.metadata import answer_definitions, csdl
from deploy.sandbox.dynamics_sales.queries import single
from deploy.sandbox.dynamics_sales.records import Row
from deploy.sandbox.dynamics_sales.rows import etag
from deploy.sandbox.dynamics_sales.schema import Table
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import Key, parse_key

Answer = Callable[[Environment, Call], Reply]
_FUNCTIONS: dict[str, Answer] = {"WhoAmI": who_am_i}
_ACTIONS: dict[str, Answer] = {
    "WinOpportunity": lambda environment, call: close_deal(environment, call, is_won=True),
    "LoseOpportunity": lambda environment, call: close_deal(environment, call, is_won=False),
}
_CLOSED_BY_ACTION = {"opportunityclose"}


def answer(environment: Environment, call: Call) -> Reply:
    """The answer to one request. Raises DataverseError."""
    if not call.segments:
        raise bad_query("The request names no resource.")
    name, key = _parsed(call.segments[0])
    if name == "$metadata":
        return Reply(200, csdl(environment.records.schema), {"content-type": "application/xml"})
    if name == "EntityDefinitions":
        if call.method != "GET":
            raise not_allowed(call.method)
        return Reply(200, answer_definitions(environment.records.schema, call.segments, call.options, call.root))
    if name in _FUNCTIONS or name in _ACTIONS:
        method = "GET" if name in _FUNCTIONS else "POST"
        if call.method != method:
            raise not_allowed(call.method)
        return {**_FUNCTIONS, **_ACTIONS}[name](environment, call)
    table = environment.records.schema.sets.get(name)
    if table is None:
        raise no_segment(name)
    if key is None:
        return _set(environment, call, table)
    if len(call.segments) == 1:
        return _row(environment, call, table, key)
    return _part(environment, call, table, key)


def _parsed(segment: str) -> tuple[str, Key | None]:
    if segment in {"$metadata", "$batch"}:
        return segment, None
    try:
        return parse_key(segment)
    except ODataRefused as error:
        raise bad_query(str(error)) from None


def _set(environment: Environment, call: Call, table: Table) -> Reply:
    if len(call.segments) > 1:
        if call.segments[1:] == ("$count",) and call.method == "GET":
            return Reply(200, str(len(environment.records.tables[table.name].rows)).encode())
        if reply := answer_bundle(environment, call, table, call.segments[1]):
            return reply
        raise no_segment(call.segments[1])
    context = f"{call.root}$metadata#{table.set_name}"
    if call.method == "GET":
        body = environment.queries.list(table, call.options, call.wishes, f"{call.root}{table.set_name}", context)
        applied = "odata.track-changes" if call.wishes.tracks_changes else _applied(call)
        return Reply(200, body, {"preference-applied": applied} if applied else {})
    if call.method != "POST":
        raise not_allowed(call.method)
    if table.name in _CLOSED_BY_ACTION:
        raise business_rule("Rows of opportunityclose come from WinOpportunity and LoseOpportunity.")
    row = environment.writes.create(table, call.document(), call.caller)
    return _written(environment, call, table, row, is_new=True)


def _applied(call: Call) -> str:
    parts = [part.strip() for part in call.headers.get("prefer", "").split(",") if "maxpagesize" in part]
    return ",".join(parts)


def _row(environment: Environment, call: Call, table: Table, key: Key) -> Reply:
    if call.method == "GET":
        row = environment.writes.need(table, key)
        if call.headers.get("if-none-match") == etag(row):
            return Reply(304)
        return Reply(200, _rendered(environment, call, table, row), {"etag": etag(row)})
    if call.method == "PATCH":
        return _patch(environment, call, table, key)
    if call.method == "DELETE":
        row = environment.writes.need(table, key)
        _matched(call, row)
        environment.writes.delete(table, row, call.caller)
        return Reply(204)
    raise not_allowed(call.method)


def _patch(environment: Environment, call: Call, table: Table, key: Key) -> Reply:
    row = environment.writes.find(table, key)
    if row is None:
        if call.headers.get("if-match"):
            wanted = environment.writes.wanted(table, key)
            raise does_not_exist(table.name, str(next(iter(wanted.values()))))
        if table.name in _CLOSED_BY_ACTION:
            raise business_rule("Rows of opportunityclose come from WinOpportunity and LoseOpportunity.")
        made = environment.writes.create(table, call.document(), call.caller, environment.writes.wanted(table, key))
        return _written(environment, call, table, made, is_new=True)
    if call.headers.get("if-none-match") == "*":
        raise duplicate_key()
    _matched(call, row)
    environment.writes.update(table, row, call.document(), call.caller)
    return _written(environment, call, table, row, is_new=False)


def _matched(call: Call, row: Row) -> None:
    wanted = call.headers.get("if-match", "*")
    if wanted != "*" and wanted != etag(row):
        raise stale()


def _written(environment: Environment, call: Call, table: Table, row: Row, *, is_new: bool) -> Reply:
    address = f"{call.root}{table.set_name}({row[table.id_column]})"
    headers = {"odata-entityid": address}
    if is_new and call.method == "POST":
        headers["location"] = address
    if not call.wishes.wants_row:
        return Reply(204, None, headers)
    headers |= {"preference-applied": "return=representation", "etag": etag(row)}
    return Reply(201 if is_new else 200, _rendered(environment, call, table, row), headers)


def _rendered(environment: Environment, call: Call, table: Table, row: Row) -> dict[str, Any]:
    select, expand = single(call.options)
    columns = environment.renderer.columns(table, select)
    body = environment.renderer.row(table, row, columns, call.wishes, expand)
    return {"@odata.context": f"{call.root}$metadata#{table.set_name}/$entity", **body}


def _part(environment: Environment, call: Call, table: Table, key: Key) -> Reply:
    """A column or a relation of one row."""
    row = environment.writes.need(table, key)
    name, rest = call.segments[1], call.segments[2:]
    if name in table.parents:
        return _relation(environment, call, table, row)
    if name in table.children and call.method == "GET" and not rest:
        child, lookup = table.children[name]
        there = environment.records.schema.tables[child]
        condition = f"{lookup.property} eq {row[table.id_column]}"
        known = call.options.get("$filter")
        options = {**call.options, "$filter": f"{condition} and ({known})" if known else condition}
        context = f"{call.root}$metadata#{there.set_name}"
        return Reply(
            200, environment.queries.list(there, options, call.wishes, f"{call.root}{there.set_name}", context)
        )
    column = table.columns.get(name)
    if column is None or rest:
        raise no_segment(name)
    if call.method == "GET":
        body = environment.renderer.row(table, row, [column], call.wishes)
        value = body[column.property]
        context = f"{call.root}$metadata#{table.set_name}({row[table.id_column]})/{name}"
        return Reply(204) if value is None else Reply(200, {"@odata.context": context, "value": value})
    if call.method in {"PUT", "DELETE"}:
        value = call.document().get("value") if call.method == "PUT" else None
        environment.writes.update(table, row, {name: value}, call.caller)
        return Reply(204)
    raise not_allowed(call.method)


def _relation(environment: Environment, call: Call, table: Table, row: Row) -> Reply:
    name, rest = call.segments[1], call.segments[2:]
    column, target = table.parents[name]
    if not rest and call.method == "GET":
        other = environment.records.get(target, row.get(column.name))
        there = environment.records.schema.tables[target]
        return Reply(200, _rendered(environment, call, there, other)) if other else Reply(204)
    if rest != ("$ref",):
        raise not_allowed(call.method)
    if call.method == "PUT":
        environment.writes.update(table, row, {f"{name}@odata.bind": call.document().get("@odata.id")}, call.caller)
    elif call.method == "DELETE":
        environment.writes.update(table, row, {f"{name}@odata.bind": None}, call.caller)
    else:
        raise not_allowed(call.method)
    return Reply(204)
