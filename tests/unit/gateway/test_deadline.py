"""Deadline: a request is given up when nobody waits for it any more, here and in the tiers it asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import ValidationError

from shared.errors.taxonomy import DeadlineExceeded, MalformedRequest, OutcomeUnknown, PlatformError, TimeRanOut
from shared.gateway.policies.deadline.config import Deadline
from shared.gateway.policies.deadline.handler import DeadlineHandler
from shared.outbound import Outbound, RetryPolicy
from shared.telemetry.context import TimeLimit, deadline, seconds_left, without_deadline
from tests.unit.gateway.stand import declared, kit_of, standing

OPERATIONS = {
    "GET /work": {"scopes": ["things.read"]},
    "POST /work": {"scopes": ["things.read"]},
    "PUT /work": {"scopes": ["things.read"], "policies": {"size_limit": {"max_bytes": 100}}},
}


def left(header: str | None = None, **facts: Any) -> float:
    """Seconds that a request has, by declaration and by what its caller says."""
    kit = kit_of(headers={} if header is None else {"x-request-deadline": header})
    DeadlineHandler(Deadline.model_validate({"seconds": 20} | facts)).enter(kit)
    assert kit.deadline is not None
    return kit.deadline - monotonic()


def test_the_smaller_of_the_declared_and_the_callers_time_counts() -> None:
    assert left() == pytest.approx(20, abs=0.5)
    assert left("1500") == pytest.approx(1.5, abs=0.5)
    assert left("90000") == pytest.approx(20, abs=0.5)
    assert left("1500", accept_from_caller=False) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("said", ["soon", "-5", "1.5", "", "9" * 30])
def test_a_time_that_is_no_number_of_milliseconds_is_refused(said: str) -> None:
    with pytest.raises(MalformedRequest):
        left(said)


def test_a_caller_without_any_time_left_is_told_that_nothing_was_begun() -> None:
    with pytest.raises(TimeRanOut):
        left("0")


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": 7200}, {}, {"seconds": 1, "minutes": 1}])
def test_declarations_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Deadline.model_validate(wrong)


class Work:
    """An API that takes its time, and what it saw of the time limit."""

    def __init__(self) -> None:
        self.seen: list[float | None] = []
        self.later: list[float | None] = []
        self.cancelled = 0
        self.background: asyncio.Task[None] | None = None
        self.router = APIRouter(prefix="/slow/v1")

        async def afterwards() -> None:
            await asyncio.sleep(0.05)
            self.later.append(seconds_left())

        async def work(seconds: float = 0, start: bool = False) -> dict[str, str]:
            self.seen.append(seconds_left())
            if start:
                self.background = asyncio.create_task(afterwards())
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            return {}

        self.router.get("/work", operation_id="look")(work)
        self.router.post("/work", operation_id="act")(work)

        @self.router.put("/work", operation_id="put")
        async def put(body: dict[str, str]) -> dict[str, str]:
            return body


async def test_a_read_that_takes_too_long_is_cut_off_and_nothing_was_changed() -> None:
    work = Work()
    async with standing(work.router, declared("/slow/v1", OPERATIONS, deadline={"seconds": 0.05})) as door:
        answer = await door.get("/slow/v1/work?seconds=5")
    assert answer.status_code == 504
    problem = answer.json()
    assert (problem["code"], problem["effect"], problem["reaction"]) == ("deadline_exceeded", "none", "wait")
    assert work.cancelled == 1


async def test_after_a_write_that_takes_too_long_the_effect_is_unknown() -> None:
    work = Work()
    async with standing(work.router, declared("/slow/v1", OPERATIONS, deadline={"seconds": 5})) as door:
        answer = await door.post("/slow/v1/work?seconds=5", headers={"x-request-deadline": "400"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["effect"]) == (504, "deadline_exceeded", "unknown")
    assert problem["reaction"] == "reconcile"


async def test_a_slow_body_takes_from_the_same_time() -> None:
    async def drip() -> AsyncGenerator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    async with standing(Work().router, declared("/slow/v1", OPERATIONS, deadline={"seconds": 0.05})) as door:
        answer = await door.ask("PUT", "/slow/v1/work", content=drip(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["effect"]) == (504, "none")


async def test_work_sees_the_time_limit_and_what_it_leaves_behind_does_not() -> None:
    work = Work()
    async with standing(work.router, declared("/slow/v1", OPERATIONS, deadline={"seconds": 20})) as door:
        assert (await door.get("/slow/v1/work?start=true")).status_code == 200
        assert work.background is not None
        await work.background
    assert work.seen[0] == pytest.approx(20, abs=1)
    assert work.later == [None]
    assert seconds_left() is None


async def test_dry_run_counts_and_lets_the_work_end() -> None:
    declared_ = declared("/slow/v1", OPERATIONS, deadline={"seconds": 0.01, "dry_run": True})
    async with standing(Work().router, declared_) as door:
        assert (await door.get("/slow/v1/work?seconds=0.03")).status_code == 200


class Distant:
    """A system that answers when it likes, on a transport of the test's."""

    def __init__(self, seconds: float = 0, status: int = 200, problem: dict[str, Any] | None = None) -> None:
        self.asked: list[httpx.Request] = []
        self._seconds, self._status, self._problem = seconds, status, problem

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(self._seconds)
        if self._problem is not None:
            headers = {"content-type": "application/problem+json", "retry-after": "0"}
            return httpx.Response(self._status, json=self._problem, headers=headers)
        return httpx.Response(self._status, json={})

    def outbound(self, *, is_inner: bool = True, attempts: int = 1) -> Outbound:
        retry = RetryPolicy(attempts=attempts, first=0.01)
        made = Outbound(system="inner", base_url="http://inner.test", retry=retry, is_inner=is_inner)
        made._client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return made


def limited(seconds: float) -> None:
    """The present test is a request with so much time left."""
    deadline.set(TimeLimit(monotonic() + seconds))


async def test_inner_tiers_are_told_what_is_left_and_vendors_are_not() -> None:
    limited(2)
    inner, vendor = Distant(), Distant()
    await inner.outbound().read("GET", "/x")
    await vendor.outbound(is_inner=False).read("GET", "/x")
    assert 1000 < int(inner.asked[0].headers["x-request-deadline"]) <= 2000
    assert "x-request-deadline" not in vendor.asked[0].headers
    with without_deadline():
        await inner.outbound().read("GET", "/x")
    assert "x-request-deadline" not in inner.asked[1].headers


@pytest.mark.parametrize(("method", "error"), [("GET", TimeRanOut), ("POST", DeadlineExceeded)])
async def test_a_call_outward_ends_with_the_time_of_the_request(method: str, error: type[PlatformError]) -> None:
    limited(0.3)
    outbound = Distant(seconds=5).outbound()
    began = monotonic()
    with pytest.raises(error) as raised:
        await (outbound.read("GET", "/x") if method == "GET" else outbound.write("POST", "/x"))
    assert monotonic() - began < 3
    assert type(raised.value) is error
    limited(5)
    quick = Distant()
    outbound._client = quick.outbound()._client
    await outbound.read("GET", "/x")  # our hurry is no failure of the system: the breaker stays closed


async def test_nothing_is_sent_once_the_time_is_over() -> None:
    limited(-1)
    distant = Distant()
    with pytest.raises(TimeRanOut):
        await distant.outbound().write("POST", "/x")
    assert not distant.asked


async def test_retries_end_with_the_time_of_the_request() -> None:
    limited(0.2)
    distant = Distant(status=503)
    began = monotonic()
    with pytest.raises(PlatformError):
        await distant.outbound(attempts=1000).read("GET", "/x")
    assert monotonic() - began < 3


async def test_the_problem_of_an_inner_tier_means_what_it_says() -> None:
    too_late = {"code": "deadline_exceeded", "effect": "unknown", "status": 504}
    distant = Distant(status=504, problem=too_late)
    with pytest.raises(DeadlineExceeded) as raised:
        await distant.outbound().write("POST", "/x")
    assert isinstance(raised.value, OutcomeUnknown)
    assert not isinstance(raised.value, TimeRanOut)
    with pytest.raises(TimeRanOut):
        await distant.outbound().read("GET", "/x")
    with pytest.raises(TimeRanOut):
        await Distant(status=504, problem=too_late | {"effect": "none"}).outbound().write("POST", "/x")


@pytest.mark.parametrize("code", ["overloaded", "too_many_at_once"])
async def test_an_inner_tier_that_sheds_load_is_asked_again(code: str) -> None:
    distant = Distant(status=503, problem={"code": code, "status": 503})
    with pytest.raises(PlatformError) as raised:
        await distant.outbound(attempts=3).write("POST", "/x")
    assert raised.value.code == code
    assert len(distant.asked) == 3
