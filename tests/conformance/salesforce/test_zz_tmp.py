"""Whatever is sent to the simulator, it answers with data or with a refusal, never with a defect."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.sandbox.salesforce.calls import Call, read_json, split_path
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.org import ADMIN_USER, Org
from deploy.sandbox.salesforce.resources import answer
from deploy.sandbox.salesforce.schema import org_schema

ORG = Org(lambda _: None)
FIELDS = sorted({name for sobject in org_schema().values() for name in sobject.fields} | {"Account", "Parent"})
WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "ORDER BY",
    "LIMIT",
    "(",
    ")",
    ",",
    "=",
    "<",
    "null",
]
WORDS += [
    "'x'",
    "''",
    "7",
    "-1.5",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "COUNT()",
    "Account",
    "Id",
    "Name",
    "Account.Name",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
KEYS = [
    "id",
    "attributes",
    "type",
    "compositeRequest",
    "batchRequests",
    "records",
    "url",
    "method",
    "body",
    "httpHeaders",
]
KEYS += ["referenceId", "allOrNone", "richInput", "Name", "Parent", "Account", "AccountId", "Reference__c", "CloseDate"]
VALUES = st.recursive(
    st.one_of(SCALARS, st.sampled_from(["sobjects/Account", "@{a.id}", "query?q=SELECT+Id+FROM+Account", "Account"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=12,
)
PATHS = st.sampled_from(
    [
        "sobjects",
        "sobjects/Account",
        "sobjects/Opportunity/Reference__c/x",
        "sobjects/Contract/Reference__c/%20",
        "sobjects/OpportunityLineItem",
        "sobjects/Account/updated",
        "sobjects/Account/001000000000000AAA",
        "composite",
        "composite/batch",
        "composite/sobjects",
        "composite/sobjects/Account/Reference__c",
        "query",
        "query/0r8-x",
        "nonsense/%2F",
    ]
)
QUIET = settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def call(method: str, path: str, body: Any = None, **query: str) -> int:
    caller = Caller(ORG.user_id(ADMIN_USER) or "")
    sent = read_json(json.dumps(body).encode())
    reply = answer(ORG, Call(method, split_path(path), query, sent, {}, caller))
    assert reply.status in {200, 201, 204, 300, 400, 404, 405}
    return reply.status


@QUIET
@given(st.lists(st.sampled_from([*WORDS, *FIELDS]), max_size=12).map(" ".join))
def test_any_row_of_words_is_answered_or_refused_as_a_query(words: str) -> None:
    call("GET", "query", q=words)
    call("GET", "query", q=f"SELECT Id FROM Account WHERE {words}")


@QUIET
@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused_as_a_query(text: str) -> None:
    call("GET", "query", q=text)
    call("GET", "query", q=f"SELECT Id FROM Account WHERE Name = {text}")


@QUIET
@given(st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]), PATHS, VALUES)
def test_any_body_is_taken_or_refused(method: str, path: str, body: Any) -> None:
    call(method, path, body)
    call(
        method, "composite", {"compositeRequest": [{"method": method, "url": path, "body": body, "httpHeaders": body}]}
    )
    call(method, "composite/batch", {"batchRequests": [{"method": method, "url": path, "richInput": body}, body]})
    call(method, "composite/sobjects", {"records": [body, {"attributes": body}, {"attributes": {"type": body}}]})


@QUIET
@given(st.sampled_from(sorted(org_schema())), st.dictionaries(st.sampled_from(FIELDS), SCALARS, max_size=6))
def test_any_row_is_taken_or_refused(sobject: str, row: dict[str, Any]) -> None:
    call("POST", f"sobjects/{sobject}", row)
    call("POST", "composite/sobjects", {"records": [{"attributes": {"type": sobject}, **row}]})
    body = {"method": "POST", "url": f"/services/data/v60.0/sobjects/{sobject}", "body": row, "referenceId": "a"}
    call("POST", "composite", {"allOrNone": True, "compositeRequest": [body, body | {"method": "GET"}]})
