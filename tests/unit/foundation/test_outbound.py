"""Outbound on a scripted server: what is repeated, what is not, and what each answer means."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import BaseModel

from shared.errors.taxonomy import (
    AlreadyDecided,
    Conflict,
    CredentialsRefused,
    FieldFinding,
    InvalidRequest,
    LimitExceeded,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    PlatformError,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from shared.outbound import Answer, Breaker, Outbound, RetryPolicy, StaticHeaders, drift
from shared.telemetry import bind, render_metrics, span
from tests.unit.foundation.scripted import CUT, Said, Server

QUICK = RetryPolicy(attempts=4, first=0.01, longest=0.02, total=5.0)


@dataclass(frozen=True)
class Row:
    status: int
    means: str
    body_code: str | None = None
    message_contains: str | None = None
    vouches: bool = True


@dataclass(frozen=True)
class Facts:
    requests: int = 1000
    per_seconds: float = 1.0
    at_once: int = 10


def vendor_code(body: Any) -> tuple[str | None, str | None]:
    return body["errorCode"], body.get("message")


Opened = Callable[..., Outbound]


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        def opened(**options: Any) -> Outbound:
            options = {
                "system": "acme",
                "base_url": server.url,
                "retry": QUICK,
                "timeout": 2.0,
                "owner": "harbour",
                **options,
            }
            outbound = Outbound(**options)
            stack.push_async_callback(outbound.aclose)
            return outbound

        yield opened


@pytest.mark.parametrize("trouble", [CUT, Said(503), Said(500), Said(429)])
async def test_a_read_is_asked_again(server: Server, connect: Opened, trouble: Said) -> None:
    server.says(trouble, trouble, Said(200, {"n": 1.25}))
    answer = await connect().read("GET", "/things")
    assert answer.json() == {"n": Decimal("1.25")}
    assert len(server.asked) == 3


async def test_a_read_gives_up_after_its_attempts(server: Server, connect: Opened) -> None:
    server.says(Said(503))
    with pytest.raises(VendorUnavailable):
        await connect().read("GET", "/things")
    assert len(server.asked) == QUICK.attempts


@pytest.mark.parametrize("trouble", [CUT, Said(500), Said(503), Said(seconds=5)])
async def test_a_write_without_a_vouching_answer_is_an_unknown_outcome_and_sent_once(
    server: Server, connect: Opened, trouble: Said
) -> None:
    server.says(trouble)
    with pytest.raises(OutcomeUnknown):
        await connect(timeout=0.3).write("POST", "/things", json={"a": 1})
    assert len(server.asked) == 1


async def test_a_repeatable_write_is_sent_again(server: Server, connect: Opened) -> None:
    server.says(CUT, Said(502), Said(204))
    answer = await connect().write("PATCH", "/things/1", json={"a": 1}, repeatable=True)
    assert answer.status == 204
    assert len(server.asked) == 3


async def test_a_repeatable_write_that_was_sent_and_never_answered_is_an_unknown_outcome(
    server: Server, connect: Opened
) -> None:
    server.says(CUT, Said(429))
    with pytest.raises(OutcomeUnknown):
        await connect().write("PATCH", "/things/1", repeatable=True)
    assert len(server.asked) == 4


async def test_a_write_that_could_not_connect_changed_nothing(connect: Opened) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(VendorUnavailable):
            await connect(base_url=url).write("POST", "/things")


async def test_a_throttled_write_waits_as_long_as_asked_and_is_sent_again(server: Server, connect: Opened) -> None:
    server.says(Said(429, headers={"Retry-After": "0.3"}), Said(201, {}))
    started = time.monotonic()
    await connect().write("POST", "/things")
    assert time.monotonic() - started >= 0.3
    assert len(server.asked) == 2


async def test_a_wait_longer_than_our_patience_is_passed_on(server: Server, connect: Opened) -> None:
    server.says(Said(429, headers={"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90))}))
    with pytest.raises(VendorThrottled) as caught:
        await connect().write("POST", "/things")
    assert len(server.asked) == 1
    assert caught.value.retry_after is not None
    assert 60 < caught.value.retry_after <= 90


async def test_the_vendors_code_comes_before_the_status(server: Server, connect: Opened) -> None:
    table = [
        Row(422, "invalid_request"),
        Row(422, "vendor_rejected", "GENERIC", "posting period is closed"),
        Row(422, "period_closed", "LOCKED"),
    ]
    outbound = connect(errors=table, read_body_code=vendor_code)
    server.says(Said(422, {"errorCode": "LOCKED", "message": "No."}))
    with pytest.raises(PeriodClosed) as caught:
        await outbound.write("POST", "/things")
    assert caught.value.message == "acme: LOCKED: No."
    server.says(Said(422, {"errorCode": "GENERIC", "message": "The Posting Period is CLOSED."}))
    with pytest.raises(VendorRejected):
        await outbound.write("POST", "/things")
    server.says(Said(422, {"errorCode": "GENERIC", "message": "other"}))
    with pytest.raises(InvalidRequest):
        await outbound.write("POST", "/things")


async def test_an_error_body_of_another_shape_is_still_an_error(server: Server, connect: Opened) -> None:
    server.says(Said(404, raw=b"<html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(NotFound):
        await connect(read_body_code=vendor_code).read("GET", "/things/1")


async def test_a_row_that_does_not_vouch_makes_a_write_unknown_and_a_read_what_it_means(
    server: Server, connect: Opened
) -> None:
    outbound = connect(errors=[Row(409, "conflict", vouches=False)])
    server.says(Said(409))
    with pytest.raises(OutcomeUnknown):
        await outbound.write("POST", "/things")
    with pytest.raises(Conflict):
        await outbound.read("GET", "/things")


async def test_a_vouching_5xx_is_asked_again_even_on_a_write(server: Server, connect: Opened) -> None:
    server.says(Said(503, {"errorCode": "LOCK"}), Said(201, {}))
    rows = [Row(503, "vendor_unavailable", "LOCK")]
    await connect(errors=rows, read_body_code=vendor_code).write("POST", "/things")
    assert len(server.asked) == 2


async def test_failure_below_400_is_found_when_the_table_lists_it(server: Server, connect: Opened) -> None:
    server.says(Said(200, {"errorCode": "NO_ACCESS"}))
    outbound = connect(errors=[Row(200, "scope_missing", "NO_ACCESS")], read_body_code=vendor_code)
    with pytest.raises(ScopeMissing):
        await outbound.read("GET", "/things")
    assert isinstance(outbound.error_of(200, {"errorCode": "NO_ACCESS"}), ScopeMissing)
    assert outbound.error_of(200, {"errorCode": "NONE"}) is None


async def test_an_unreadable_answer_is_drift_on_a_read_and_unknown_on_a_write(server: Server, connect: Opened) -> None:
    server.says(Said(200, raw=b"<html>"))
    with pytest.raises(VendorDrift):
        (await connect().read("GET", "/")).json()
    with pytest.raises(OutcomeUnknown):
        (await connect().write("POST", "/")).json()


async def test_a_redirect_is_not_followed(server: Server, connect: Opened) -> None:
    server.says(Said(302, headers={"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(VendorDrift):
        await connect(auth=StaticHeaders.bearer("t")).read("GET", "/")


async def test_a_token_never_follows_a_link_to_another_host(server: Server, connect: Opened) -> None:
    outbound = connect(auth=StaticHeaders.bearer("t"))
    with pytest.raises(VendorDrift):
        await outbound.read("GET", "http://127.0.0.1:1/next")
    await outbound.read("GET", f"{server.url}/next?page=2", params={"size": 5})
    assert server.asked[0].query == [("page", "2"), ("size", "5")]


async def test_amounts_are_sent_with_exactly_their_digits(server: Server, connect: Opened) -> None:
    await connect().write("POST", "/things", json={"amount": Decimal("1234567890123456.10"), "on": date(2026, 1, 2)})
    assert server.asked[0].body == b'{"amount":1234567890123456.10,"on":"2026-01-02"}'
    assert server.asked[0].headers["content-type"] == "application/json"


async def test_parameters_repeat_lists_and_leave_out_none(server: Server, connect: Opened) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    await connect().read("GET", "/", params={"id": [1, 2], "none": None, "flag": True, "since": at})
    assert server.asked[0].query == [("id", "1"), ("id", "2"), ("flag", "true"), ("since", "2026-01-02T03:04:05Z")]


async def test_correlation_and_trace_go_along(server: Server, connect: Opened) -> None:
    with bind(correlation_id="corr-1"), span("outer"):
        await connect().read("GET", "/")
    assert server.asked[0].headers["x-correlation-id"] == "corr-1"
    assert server.asked[0].headers["traceparent"].startswith("00-")


async def test_cookies_are_not_kept(server: Server, connect: Opened) -> None:
    server.says(Said(200, {}, {"Set-Cookie": "session=1"}))
    outbound = connect()
    await outbound.read("GET", "/")
    await outbound.read("GET", "/")
    assert "cookie" not in server.asked[1].headers


class Renewing:
    """Auth whose tokens are numbered by renewals."""

    def __init__(self) -> None:
        self.renewals = 0

    async def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.renewals}"}

    async def renew(self) -> None:
        await asyncio.sleep(0.05)
        self.renewals += 1


async def test_an_expired_session_is_renewed_once_for_all_who_wait(server: Server, connect: Opened) -> None:
    auth = Renewing()
    server.says(lambda asked: Said(401 if asked.headers["authorization"] == "Bearer 0" else 200, {}, seconds=0.05))
    outbound = connect(auth=auth)
    await asyncio.gather(*(outbound.write("POST", "/") for _ in range(5)))
    assert auth.renewals == 1
    assert len(server.asked) == 10


async def test_a_session_that_stays_expired_is_refused_credentials(server: Server, connect: Opened) -> None:
    auth = Renewing()
    server.says(Said(401))
    with pytest.raises(CredentialsRefused):
        await connect(auth=auth).read("GET", "/")
    assert auth.renewals == 1
    assert len(server.asked) == 2


async def test_no_more_requests_are_in_flight_than_the_budget_allows(server: Server, connect: Opened) -> None:
    server.says(Said(200, {}, seconds=0.05))
    outbound = connect(budget=Facts(at_once=2))
    await asyncio.gather(*(outbound.read("GET", "/") for _ in range(6)))
    assert server.most_in_flight == 2


async def test_the_window_of_the_budget_is_kept_by_waiting(server: Server, connect: Opened) -> None:
    outbound = connect(budget=Facts(requests=3, per_seconds=0.4))
    started = time.monotonic()
    await asyncio.gather(*(outbound.read("GET", "/") for _ in range(7)))
    assert time.monotonic() - started >= 0.8
    assert len(server.asked) == 7


async def test_a_budget_used_up_for_long_is_said_at_once(server: Server, connect: Opened) -> None:
    outbound = connect(budget=Facts(requests=1, per_seconds=60))
    await outbound.read("GET", "/")
    with pytest.raises(VendorThrottled) as caught:
        await outbound.write("POST", "/")
    assert caught.value.retry_after is not None
    assert len(server.asked) == 1


async def test_a_system_that_keeps_failing_is_left_alone_then_probed(server: Server, connect: Opened) -> None:
    breaker = Breaker("acme", failures=3, rest=0.2)
    outbound = connect(breaker=breaker, retry=RetryPolicy(attempts=1))
    server.says(Said(503))
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            await outbound.read("GET", "/")
    assert breaker.is_open
    with pytest.raises(VendorUnavailable, match="left alone"):
        await outbound.write("POST", "/")
    assert len(server.asked) == 3
    await asyncio.sleep(0.25)
    server.says(Said(200, {}))
    await outbound.read("GET", "/")
    assert not breaker.is_open


async def test_refusals_do_not_open_the_breaker(server: Server, connect: Opened) -> None:
    breaker = Breaker("acme", failures=2)
    outbound = connect(breaker=breaker)
    server.says(Said(404))
    for _ in range(5):
        with pytest.raises(NotFound):
            await outbound.read("GET", "/")
    assert not breaker.is_open


def problem(status: int, code: str, **members: Any) -> Said:
    body = {"type": "t", "title": "T", "status": status, "detail": "Said so.", "code": code, **members}
    return Said(status, body, {"Content-Type": "application/problem+json"})


async def test_an_inner_tiers_problem_becomes_the_error_it_names(server: Server, connect: Opened) -> None:
    outbound = connect()
    server.says(problem(422, "invalid_request", errors=[{"field": "lines.0", "reason": "missing"}], hint="x"))
    with pytest.raises(InvalidRequest) as caught:
        await outbound.write("POST", "/")
    assert caught.value.findings == (FieldFinding("lines.0", "missing"),)
    assert caught.value.extra == {"hint": "x"}
    assert caught.value.message == "Said so."
    for code, status, kind in [
        ("already_decided", 409, AlreadyDecided),
        ("outcome_unknown", 504, OutcomeUnknown),
        ("period_closed", 422, PeriodClosed),
        ("vendor_unavailable", 503, VendorUnavailable),
    ]:
        server.says(problem(status, code))
        with pytest.raises(kind):
            await outbound.write("POST", "/")
    assert len(server.asked) == 5


async def test_an_inner_tiers_defect_on_a_write_is_an_unknown_outcome(server: Server, connect: Opened) -> None:
    server.says(problem(500, "defect"))
    with pytest.raises(OutcomeUnknown):
        await connect().write("POST", "/")
    with pytest.raises(PlatformError) as caught:
        await connect().read("GET", "/")
    assert caught.value.code == "defect"


async def test_an_inner_tiers_limit_is_waited_for(server: Server, connect: Opened) -> None:
    server.says(problem(429, "limit_exceeded"), Said(200, {}))
    await connect().read("GET", "/")
    server.says(problem(429, "limit_exceeded"))
    with pytest.raises(LimitExceeded):
        await connect().read("GET", "/")


async def test_our_own_token_refused_by_an_inner_tier_is_not_the_callers_fault(server: Server, connect: Opened) -> None:
    server.says(problem(401, "not_authenticated"))
    with pytest.raises(CredentialsRefused):
        await connect(auth=Renewing()).read("GET", "/")


async def test_an_address_that_is_none_is_our_misconfiguration(connect: Opened) -> None:
    with pytest.raises(Misconfigured):
        await connect(base_url="ftp://x").read("GET", "/")


async def test_secrets_in_an_error_text_are_masked(server: Server, connect: Opened) -> None:
    server.says(Said(400, {"errorCode": "X", "message": "bad header Bearer abcdefghijklmnop"}))
    with pytest.raises(VendorRejected) as caught:
        await connect(read_body_code=vendor_code).read("GET", "/")
    assert "abcdefghijklmnop" not in f"{caught.value.message} {caught.value.detail}"


async def test_sends_are_counted_by_outcome(server: Server, connect: Opened) -> None:
    server.says(Said(503), Said(200, {}))
    await connect(system="counted").read("GET", "/")
    rendered = render_metrics().decode()
    assert 'throughline_outbound_requests_total{outcome="vendor_unavailable",system="counted"} 1.0' in rendered
    assert 'throughline_outbound_requests_total{outcome="ok",system="counted"} 1.0' in rendered


def test_drift_names_vendor_and_every_field() -> None:
    class Line(BaseModel):
        hours: Decimal

    class Entry(BaseModel):
        id: str
        lines: list[Line]

    assert drift("acme", Entry, {"id": "1", "lines": [{"hours": 1}]}).lines[0].hours == 1
    with pytest.raises(VendorDrift) as caught:
        drift("acme", Entry, {"lines": [{"hours": "x"}]})
    assert "acme" in caught.value.message
    assert [finding.field for finding in caught.value.findings] == ["id", "lines.0.hours"]
    assert Answer(200, {}, b"1.50").json() == Decimal("1.50")
