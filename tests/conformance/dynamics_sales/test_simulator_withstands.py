"""Whatever is sent to the simulator, it answers with data or with a refusal, never with a defect."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.sandbox.dynamics_sales.batch import answer_batch
from deploy.sandbox.dynamics_sales.calls import Call, split_path
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import DataverseError
from deploy.sandbox.dynamics_sales.events import Caller
from deploy.sandbox.dynamics_sales.resources import answer
from deploy.sandbox.dynamics_sales.schema import sets, tables
from deploy.sandbox.dynamics_sales.simulator import ADMIN_USER
from deploy.sandbox.dynamics_sales.values import read_json, write_json

ENVIRONMENT = Environment(lambda _: None, [ADMIN_USER])
CALLER = Caller(ENVIRONMENT.user_id(ADMIN_USER) or "")
ROOT = "http://sandbox/api/data/v9.2/"
BUSY = "00000000-0000-0000-0000-000000000001"
COLUMNS = sorted({name for table in tables().values() for name in [*table.properties, *table.parents]})
WORDS = [
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "gt",
    "in",
    "(",
    ")",
    ",",
    "/",
    "'x'",
    "'",
    "null",
    "true",
    "7",
    "-1.5",
    BUSY,
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "contains(name,'x')",
    "any(a:a/name",
    "startswith(",
    "$it",
    "desc",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
KEYS = [
    *COLUMNS,
    "Status",
    "OpportunityClose",
    "Targets",
    "value",
    "@odata.id",
    "@odata.type",
    "nonsense",
    "opportunityid@odata.bind",
    "parentaccountid@odata.bind",
    "thl_OpportunityId@odata.bind",
]
VALUES = st.recursive(
    st.one_of(
        SCALARS, st.sampled_from([f"/accounts({BUSY})", "/accounts(accountnumber='x')", "$1", "accounts(", BUSY])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=12,
)
PATHS = st.sampled_from(
    [
        *sets(),
        *(f"{name}({BUSY})" for name in sets()),
        "accounts(accountnumber='x')",
        "accounts(name='x')",
        "accounts()",
        "accounts(",
        f"accounts({BUSY})/name",
        f"accounts({BUSY})/parentaccountid/$ref",
        "accounts/$count",
        "accounts/Microsoft.Dynamics.CRM.CreateMultiple",
        "accounts/Microsoft.Dynamics.CRM.UpdateMultiple",
        "accounts/Microsoft.Dynamics.CRM.UpsertMultiple",
        "WinOpportunity",
        "LoseOpportunity",
        "WhoAmI",
        "WhoAmI()",
        "$metadata",
        "EntityDefinitions",
        "EntityDefinitions(LogicalName='account')/Attributes",
        "EntityDefinitions(LogicalName='account')/Nonsense",
        "EntityDefinitions(x)",
        "nonsense/%2F",
    ]
)
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"])
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ask(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **options: str) -> int:
    """The status of the answer; anything but an answer or a refusal breaks the test."""
    query = {f"${name}": text for name, text in options.items()}
    mark = ENVIRONMENT.writes.mark()
    try:
        sent = read_json(write_json(body)) if body is not None else None
        call = Call(method, split_path(path), query, sent, headers or {}, CALLER, ROOT)
        status = answer(ENVIRONMENT, call).status
    except DataverseError as error:
        ENVIRONMENT.writes.roll_back(mark)
        status = error.status
    ENVIRONMENT.writes.commit()
    assert status in {200, 201, 204, 304, 400, 404, 405, 412}
    return status


@QUIET
@given(st.sampled_from(sorted(sets())), st.lists(st.sampled_from([*WORDS, *COLUMNS]), max_size=10).map(" ".join))
def test_any_row_of_words_is_answered_or_refused_as_options(name: str, words: str) -> None:
    ask("GET", name, filter=words)
    ask("GET", name, orderby=words, select=words)
    ask("GET", name, expand=words, top=words)
    ask("GET", "EntityDefinitions", filter=words, select=words)


@QUIET
@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused_as_options(text: str) -> None:
    ask("GET", "accounts", filter=f"name eq {text}")
    ask("GET", "accounts", deltatoken=text)
    ask("GET", "accounts", skiptoken=text)
    ask("GET", "accounts", headers={"prefer": text})


@QUIET
@given(METHODS, PATHS, VALUES)
def test_any_body_is_taken_or_refused(method: str, path: str, body: Any) -> None:
    ask(method, path, body)
    ask(method, path, body, {"if-match": "*", "prefer": 'return=representation,odata.include-annotations="*"'})
    ask(method, path, {"Targets": [body, body]})


@QUIET
@given(st.sampled_from(sorted(sets())), st.dictionaries(st.sampled_from(COLUMNS), SCALARS, max_size=6))
def test_any_row_is_taken_or_refused(name: str, row: dict[str, Any]) -> None:
    ask("POST", name, row)
    ask("PATCH", f"{name}({BUSY})", row)
    ask("DELETE", f"{name}({BUSY})")


@QUIET
@given(st.binary(max_size=80), METHODS, PATHS, VALUES)
def test_any_batch_is_taken_or_refused(content: bytes, method: str, path: str, body: Any) -> None:
    kind = {"content-type": "multipart/mixed; boundary=b"}
    head = b"--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n"
    part = f"{method} {ROOT}{path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n".encode() + write_json(body)
    for sent in (content, b"--b" + content + b"--b--", head + part + b"\r\n--b--", head + content + b"\r\n--b--"):
        mark = ENVIRONMENT.writes.mark()
        try:
            status = answer_batch(ENVIRONMENT, Call("POST", ("$batch",), {}, None, kind, CALLER, ROOT), sent).status
        except DataverseError as error:
            ENVIRONMENT.writes.roll_back(mark)
            status = error.status
        ENVIRONMENT.writes.commit()
        assert status in {200, 400, 404, 405, 412}
