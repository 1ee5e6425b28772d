"""The row resources: objects, describe, single rows by id or external id, updated and deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.sandbox.salesforce.calls import Call, Json, Reply
from deploy.sandbox.salesforce.describes import describe, describe_all, outline
from deploy.sandbox.salesforce.errors import SalesforceError, method_not_allowed, no_such_column, not_found
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.records import Row
from deploy.sandbox.salesforce.schema import SObject
from deploy.sandbox.salesforce.values import read_datetime, stamp

_UPDATED_DAYS = 30


def object_named(org: Org, name: str) -> SObject:
    """The object of a path. Raises SalesforceError NOT_FOUND."""
    found = org.records.schema.find(name)
    if found is None:
        raise not_found()
    return found


def answer_sobjects(org: Org, call: Call) -> Reply:
    """Everything below `sobjects`."""
    rest = call.segments[1:]
    version = call.caller.version
    if not rest:
        return Reply(200, describe_all(org.records.schema, version))
    sobject = object_named(org, rest[0])
    if len(rest) == 1:
        return _object(org, call, sobject)
    if rest[1] == "describe" and len(rest) == 2:  # noqa: PLR2004 - object and resource
        return Reply(200, describe(org.records.schema, sobject, version))
    if rest[1] in {"updated", "deleted"} and len(rest) == 2:  # noqa: PLR2004 - object and resource
        return Reply(200, _replication(org, call, sobject, deleted=rest[1] == "deleted"))
    if len(rest) == 2:  # noqa: PLR2004 - object and id
        return _row(org, call, sobject, rest[1])
    return _external(org, call, sobject, rest[1], "/".join(rest[2:]))


def _object(org: Org, call: Call, sobject: SObject) -> Reply:
    if call.method == "GET":
        recent: list[Json] = []
        return Reply(200, {"objectDescribe": outline(sobject, call.caller.version), "recentItems": recent})
    if call.method != "POST":
        raise method_not_allowed(call.method, "HEAD, GET, POST")
    made = org.writes.create(sobject, call.document(), call.caller)
    return Reply(201, {"id": made, "success": True, "errors": []})


def _row(org: Org, call: Call, sobject: SObject, record_id: str) -> Reply:
    if call.method == "GET":
        return _shown(org, call, sobject, org.writes.living(sobject, record_id))
    if call.method == "PATCH":
        org.writes.update(sobject, record_id, call.document(), call.caller)
        return Reply(204)
    if call.method == "DELETE":
        org.writes.delete(sobject, record_id, call.caller)
        return Reply(204)
    raise method_not_allowed(call.method, "HEAD, GET, PATCH, DELETE")


def _external(org: Org, call: Call, sobject: SObject, name: str, value: str) -> Reply:
    if call.method == "PATCH":
        if call.query.get("updateOnly") == "true" and not org.writes.find_external(sobject, name, value):
            raise not_found()
        made, created = org.writes.upsert(sobject, name, value, call.document(), call.caller)
        status = 201 if created else 200
        return Reply(status, {"id": made, "success": True, "errors": [], "created": created})
    found = org.writes.find_external(sobject, name, value)
    if not found:
        raise not_found()
    if len(found) > 1:
        base = f"/services/data/v{call.caller.version}/sobjects/{sobject.name}/"
        return Reply(300, [base + record_id for record_id in found])
    return _row(org, call, sobject, found[0])


def _shown(org: Org, call: Call, sobject: SObject, row: Row) -> Reply:
    names: list[str] = []
    for name in filter(None, call.query.get("fields", "").split(",")):
        field = sobject.find(name.strip())
        if field is None:
            raise no_such_column(name.strip(), sobject.name)
        names.append(field.name)
    return Reply(200, org.pages.row(sobject, row, call.caller.version, names))


def _instant(call: Call, name: str) -> datetime:
    text = call.query.get(name, "").replace(" ", "+")
    moment = read_datetime(text)
    if moment is None:
        raise SalesforceError(400, "INVALID_REPLICATION_DATE", f"{name} is not a date and time: {text}")
    return moment.replace(second=0, microsecond=0) if name == "start" else moment


def _replication(org: Org, call: Call, sobject: SObject, *, deleted: bool) -> Any:
    start, end = _instant(call, "start"), _instant(call, "end")
    if start >= end:
        raise SalesforceError(400, "INVALID_REPLICATION_DATE", "startDate before endDate required")
    if start < datetime.now(UTC) - timedelta(days=_UPDATED_DAYS):
        text = "startDate cannot be more than 30 days ago"
        raise SalesforceError(400, "INVALID_REPLICATION_DATE", text)
    table = org.records.tables[sobject.name]
    rows = [
        row
        for row in (table.deleted if deleted else table.rows).values()
        if isinstance(moment := row["SystemModstamp"], datetime) and start <= moment <= end
    ]
    covered = stamp(min(end, datetime.now(UTC)))
    if not deleted:
        return {"ids": [row["Id"] for row in rows], "latestDateCovered": covered}
    gone = [
        {"id": row["Id"], "deletedDate": stamp(moment)}
        for row in rows
        if isinstance(moment := row["SystemModstamp"], datetime)
    ]
    return {"deletedRecords": gone, "earliestDateAvailable": stamp(start), "latestDateCovered": covered}
