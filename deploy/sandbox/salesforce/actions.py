"""What is done beside rows: invocable actions of packages, and steps of approval processes."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from deploy.sandbox.salesforce.calls import Call, Json, Reply
from deploy.sandbox.salesforce.errors import SalesforceError, malformed_json, method_not_allowed, not_found
from deploy.sandbox.salesforce.ids import make_id, normal_id
from deploy.sandbox.salesforce.org import Org

_MOST = 200
_STATUS = {"Submit": "Pending", "Approve": "Approved", "Reject": "Rejected"}
_numbers = count(1)


def answer_actions(org: Org, call: Call, rest: list[str]) -> Reply:
    """The list of a package's actions, one of them described, or one run for each of its inputs."""
    base = f"/services/data/v{call.caller.version}/actions/custom/apex"
    if not rest:
        listed = [{"label": name, "name": name, "type": "APEX", "url": f"{base}/{name}"} for name in org.actions]
        return Reply(200, {"actions": listed})
    action = org.actions.get(rest[0])
    if action is None or len(rest) > 1:
        raise not_found()
    if call.method == "GET":
        return Reply(200, {"name": rest[0], "label": rest[0], "type": "APEX", "targetEntityName": None})
    if call.method != "POST":
        raise method_not_allowed(call.method, "GET, HEAD, POST")
    results: list[Json] = []
    for given in _listed(call.document().get("inputs"), "inputs"):
        mark = org.writes.mark()
        try:
            outputs: Json | None = action(org, given, call.caller)
            errors = None
        except SalesforceError as error:
            org.writes.roll_back(mark)
            outputs, errors = None, [error.in_a_collection()]
        done = errors is None
        results.append({"actionName": rest[0], "errors": errors, "isSuccess": done, "outputValues": outputs})
    failed = any(not one["isSuccess"] for one in results)
    return Reply(400 if failed else 200, results)


def answer_approvals(org: Org, call: Call) -> Reply:
    """Submit rows to their approval process, or approve and reject what was submitted; all of them or none."""
    if call.method != "POST":
        raise method_not_allowed(call.method, "GET, HEAD, POST")
    return Reply(200, [_step(org, call, given) for given in _listed(call.document().get("requests"), "requests")])


def _step(org: Org, call: Call, given: Json) -> Json:
    kind, context = str(given.get("actionType")), normal_id(str(given.get("contextId"))) or ""
    if kind == "Submit":
        row_id, item = context, make_id("04i", next(_numbers))
    else:
        found = org.records.work_items.get(context)
        if found is None or kind not in _STATUS:
            raise SalesforceError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])
        row_id, item = found, context
    owner = next((t.sobject for t in org.records.tables.values() if row_id.startswith(t.sobject.prefix)), None)
    sets = org.automation.approvals.get(owner.name if owner else "", {}).get(kind)
    if owner is None or sets is None:
        raise SalesforceError(400, "NO_APPLICABLE_PROCESS", "No applicable approval process was found.", [])
    if kind == "Submit" and row_id in org.records.locked:
        raise SalesforceError(400, "ALREADY_IN_PROCESS", "This record is already in an approval process.", [])
    org.records.unlock(row_id)
    org.writes.update(owner, row_id, dict(sets), call.caller)
    if kind == "Submit":
        org.records.lock(row_id, item)
    return {
        "actorIds": [call.caller.user_id],
        "entityId": row_id,
        "errors": None,
        "instanceId": make_id("04g", next(_numbers)),
        "instanceStatus": _STATUS[kind],
        "newWorkitemIds": [item] if kind == "Submit" else [],
        "success": True,
    }


def _listed(value: Any, name: str) -> list[Json]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    if not listed or len(listed) > _MOST or not all(isinstance(one, dict) for one in listed):
        raise malformed_json(f"{name} must be an array of 1 to {_MOST} objects at [line:1, column:1]")
    return cast("list[Json]", listed)
