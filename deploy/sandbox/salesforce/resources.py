"""Which resource of the data API serves a call, and that a failed call leaves nothing behind."""

from __future__ import annotations

import re

from deploy.sandbox.salesforce.actions import answer_actions, answer_approvals
from deploy.sandbox.salesforce.bundles import answer_batch, answer_collection, answer_composite
from deploy.sandbox.salesforce.calls import Call, Json, Reply
from deploy.sandbox.salesforce.errors import SalesforceError, limit_exceeded, malformed_query, not_found
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.rows import answer_sobjects

_BATCH = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_NAMES = ("sobjects", "query", "queryAll", "composite", "limits", "actions", "process")


def answer(org: Org, call: Call) -> Reply:
    """The answer of one whole request: committed when it succeeds, undone when it fails."""
    org.calls_used += 1
    if org.calls_used > org.calls_allowed:
        error = limit_exceeded("TotalRequests")
        return Reply(error.status, error.on_the_wire())
    try:
        org.jobs.step()
        org.writes.commit()
        reply = serve(org, call)
        org.writes.commit()
    except SalesforceError as error:
        return Reply(error.status, error.on_the_wire())
    finally:
        org.writes.roll_back((0, 0))  # nothing is left to undo after a commit
    return reply


def serve(org: Org, call: Call) -> Reply:
    """The answer of a request, alone or inside another. Raises SalesforceError."""
    match call.segments:
        case ("query" | "queryAll" as name, *rest):
            return _query(org, call, rest, with_deleted=name == "queryAll")
        case ("sobjects", *_):
            return answer_sobjects(org, call)
        case ("composite", *rest):
            return _bundle(org, call, rest)
        case ("actions" | "process", *_):
            return _beside(org, call)
        case ():
            return Reply(200, {name: f"/services/data/v{call.caller.version}/{name}" for name in _NAMES})
        case ("limits",):
            return Reply(200, _limits(org))
        case _:
            raise not_found()


def _beside(org: Org, call: Call) -> Reply:
    match call.segments:
        case ("actions", "custom", "apex", *rest):
            return answer_actions(org, call, rest)
        case ("process", "approvals"):
            return answer_approvals(org, call)
        case _:
            raise not_found()


def _bundle(org: Org, call: Call, rest: list[str]) -> Reply:
    if not rest:
        return answer_composite(org, call, serve)
    if rest[0] == "sobjects":
        return answer_collection(org, call)
    if rest == ["batch"]:
        return answer_batch(org, call, serve)
    raise not_found()


def _query(org: Org, call: Call, rest: list[str], *, with_deleted: bool) -> Reply:
    version = call.caller.version
    if rest:
        return Reply(200, org.pages.read_on(rest[0], version))
    text = call.query.get("q", "").strip()
    if not text:
        raise malformed_query("A query string has to be specified")
    asked = _BATCH.search(call.headers.get("sforce-query-options", ""))
    batch = int(asked[1]) if asked else None
    return Reply(200, org.pages.ask(text, version, batch=batch, with_deleted=with_deleted))


def _limits(org: Org) -> Json:
    left = max(0, org.calls_allowed - org.calls_used)
    return {
        "DailyApiRequests": {"Max": org.calls_allowed, "Remaining": left},
        "DataStorageMB": {"Max": 1024, "Remaining": 1000},
        "HourlyODataCallout": {"Max": 1000, "Remaining": 1000},
    }
