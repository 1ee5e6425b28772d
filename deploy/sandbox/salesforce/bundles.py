"""Many requests in one: composite, batch, and collections of rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from deploy.sandbox.salesforce.calls import Call, Json, Reply, split_path, split_query
from deploy.sandbox.salesforce.errors import SalesforceError, malformed_json, method_not_allowed, not_found
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.rows import object_named
from deploy.sandbox.salesforce.schema import SObject

Serve = Callable[[Org, Call], Reply]
_MOST_CALLS, _MOST_ROWS, _MOST_RUNS = 25, 200, 10
_BACK_REFERENCE = re.compile(r"@\{(\w+)((?:\.\w+|\[\d+\])+)\}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_HALTED = "The transaction was rolled back since another operation in the same transaction failed."
_PREFIX = re.compile(r"^/?(services/data/)?v\d+\.\d/")


def _objects(value: Any, name: str, most: int) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):  # pyright: ignore[reportUnknownVariableType] - JSON
        raise malformed_json(f"{name} must be an array of objects at [line:1, column:1]")
    if len(value) > most:  # pyright: ignore[reportUnknownArgumentType] - JSON
        raise SalesforceError(400, "LIMIT_EXCEEDED", f"The limit of {most} entries in {name} was exceeded")
    return list(value)  # pyright: ignore[reportUnknownArgumentType] - JSON


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _inner(call: Call, method: str, url: str, body: Any, headers: dict[str, str]) -> Call:
    path, _, query = _PREFIX.sub("", url).partition("?")
    return Call(method.upper(), split_path(path), split_query(query), body, headers, call.caller)


def answer_composite(org: Org, call: Call, serve: Serve) -> Reply:
    """Requests in order, later ones may use what earlier ones answered; all or nothing when asked."""
    if call.method != "POST":
        raise method_not_allowed(call.method, "POST")
    document = call.document()
    requests = _objects(document.get("compositeRequest"), "compositeRequest", _MOST_CALLS)
    all_or_none = bool(document.get("allOrNone"))
    mark = org.writes.mark()
    answers: list[Json] = []
    bodies: dict[str, Any] = {}
    failed = False
    for request in requests:
        reference = str(request.get("referenceId", ""))
        if failed:
            reply = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}])
        else:
            reply = _one(org, call, request, bodies, serve)
            bodies[reference] = reply.body
        answers.append(_entry(reply, reference))
        if all_or_none and reply.status >= 300 and not failed:  # noqa: PLR2004 - HTTP
            failed = True
            org.writes.roll_back(mark)
            answers = [
                _entry(Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}]), str(a["referenceId"]))
                for a in answers[:-1]
            ] + answers[-1:]
    return Reply(200, {"compositeResponse": answers})


def _entry(reply: Reply, reference: str) -> Json:
    return {
        "body": reply.body,
        "httpHeaders": dict(reply.headers),
        "httpStatusCode": reply.status,
        "referenceId": reference,
    }


def _one(org: Org, call: Call, request: Json, bodies: dict[str, Any], serve: Serve) -> Reply:
    mark = org.writes.mark()
    try:
        url = _filled(str(request.get("url", "")), bodies)
        body = request.get("body")
        if body is not None:
            body = _filled_deep(body, bodies)
        headers = {name.lower(): str(value) for name, value in _object(request.get("httpHeaders")).items()}
        return serve(org, _inner(call, str(request.get("method", "GET")), url, body, headers))
    except SalesforceError as error:
        org.writes.roll_back(mark)
        return Reply(error.status, error.on_the_wire())


def _filled(text: str, bodies: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        current: Any = bodies.get(match[1])
        for name, place in _STEP.findall(match[2]):
            try:
                current = current[name] if name else current[int(place)]
            except (KeyError, IndexError, TypeError):
                text = f"Invalid reference specified. No value for {match[0]} found"
                raise SalesforceError(400, "PROCESSING_HALTED", text) from None
        return str(current)

    return _BACK_REFERENCE.sub(value, text)


def _filled_deep(node: Any, bodies: dict[str, Any]) -> Any:
    if isinstance(node, str):
        return _filled(node, bodies)
    if isinstance(node, list):
        return [_filled_deep(item, bodies) for item in node]  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(node, dict):
        return {str(k): _filled_deep(v, bodies) for k, v in node.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
    return node


def answer_batch(org: Org, call: Call, serve: Serve) -> Reply:
    """Independent requests in one; stops at the first failure when asked."""
    document = call.document()
    requests = _objects(document.get("batchRequests"), "batchRequests", _MOST_CALLS)
    results: list[Json] = []
    failed = False
    for request in requests:
        if failed and document.get("haltOnError"):
            halted = [{"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted per request"}]
            results.append({"statusCode": 412, "result": halted})
            continue
        wanted = {"method": request.get("method", "GET"), "url": request.get("url"), "body": request.get("richInput")}
        reply = _one(org, call, wanted, {}, serve)
        failed = failed or reply.status >= 400  # noqa: PLR2004 - HTTP
        results.append({"statusCode": reply.status, "result": reply.body})
    return Reply(200, {"hasErrors": failed, "results": results})


def answer_collection(org: Org, call: Call) -> Reply:
    """Rows in bulk: created, changed, deleted, upserted or read."""
    rest = call.segments[2:]
    if call.method == "GET" and rest:
        return _read_many(org, call, object_named(org, rest[0]))
    if call.method == "DELETE" and not rest:
        ids = call.query.get("ids", "").split(",")
        return _each(org, [{"id": i} for i in ids], call, lambda row: _delete(org, call, str(row["id"])))
    rows = _objects(call.document().get("records"), "records", _MOST_ROWS)
    if call.method == "POST" and not rest:
        return _each(org, rows, call, lambda row: {"id": org.writes.create(_type(org, row), _fields(row), call.caller)})
    if call.method == "PATCH" and not rest:
        return _each(org, rows, call, lambda row: _change(org, call, row))
    if call.method == "PATCH" and len(rest) == 2:  # noqa: PLR2004 - object and external id field
        return _each(org, rows, call, lambda row: _upsert(org, call, object_named(org, rest[0]), rest[1], row))
    raise method_not_allowed(call.method, "GET, POST, PATCH, DELETE") if len(rest) < 3 else not_found()  # noqa: PLR2004 - as above


def _type(org: Org, row: Json) -> SObject:
    name = _object(row.get("attributes")).get("type")
    if not isinstance(name, str):
        raise SalesforceError(400, "INVALID_TYPE", "Include the object type in attributes of each record")
    return object_named(org, name)


def _fields(row: Json) -> Json:
    return {name: value for name, value in row.items() if name not in {"attributes", "id", "Id"}}


def _change(org: Org, call: Call, row: Json) -> Json:
    record_id = row.get("id") or row.get("Id")
    if not isinstance(record_id, str):
        raise SalesforceError(400, "MISSING_ARGUMENT", "Id not specified in an update call", [])
    org.writes.update(_type(org, row), record_id, _fields(row), call.caller)
    return {"id": record_id}


def _upsert(org: Org, call: Call, sobject: SObject, name: str, row: Json) -> Json:
    field = sobject.find(name)
    key = row.get(field.name if field else name)
    if key is None:
        raise SalesforceError(400, "MISSING_ARGUMENT", f"{name} not specified", [])
    body = {k: v for k, v in _fields(row).items() if field is None or k != field.name}
    made, created = org.writes.upsert(sobject, name, key, body, call.caller)
    return {"id": made, "created": created}


def _delete(org: Org, call: Call, record_id: str) -> Json:
    owner = next((t.sobject for t in org.records.tables.values() if record_id.startswith(t.sobject.prefix)), None)
    if owner is None:
        raise SalesforceError(400, "MALFORMED_ID", "malformed id " + record_id, [])
    org.writes.delete(owner, record_id, call.caller)
    return {"id": record_id}


def _each(org: Org, rows: list[Json], call: Call, act: Callable[[Json], Json]) -> Reply:
    kinds = [str(_object(row.get("attributes")).get("type")) for row in rows]
    runs = sum(1 for before, kind in zip([None, *kinds], kinds, strict=False) if kind != before)
    if runs > _MOST_RUNS:
        raise SalesforceError(400, "INVALID_BATCH_SIZE", f"Records of more than {_MOST_RUNS} chunks of types")
    given = call.query.get("allOrNone") if call.method == "DELETE" else call.document().get("allOrNone")
    all_or_none = str(given).lower() == "true"
    whole = org.writes.mark()
    results: list[Json] = []
    failed = False
    for row in rows:
        mark = org.writes.mark()
        try:
            done = act(row)
            none: list[Json] = []
            results.append({"id": done["id"], "success": True, "errors": none} | done)
        except SalesforceError as error:
            org.writes.roll_back(mark)
            failed = True
            results.append({"success": False, "errors": [error.in_a_collection()]})
    if failed and all_or_none:
        org.writes.roll_back(whole)
        rolled: Json = {
            "statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "message": "Record rolled back",
            "fields": [],
        }
        results = [r if not r["success"] else {"success": False, "errors": [rolled]} for r in results]
    return Reply(200, results)


def _read_many(org: Org, call: Call, sobject: SObject) -> Reply:
    names = [name for name in call.query.get("fields", "Id").split(",") if sobject.find(name)]
    shown: list[Json | None] = []
    for record_id in call.query.get("ids", "").split(","):
        try:
            shown.append(org.pages.row(sobject, org.writes.living(sobject, record_id), call.caller.version, names))
        except SalesforceError:
            shown.append(None)
    return Reply(200, shown)
