"""Rate limit: schema, counting, what the caller is told, and what happens when the counters are away."""

from __future__ import annotations

from time import time

import pytest
from pydantic import ValidationError

from shared.gateway.document import load_documents
from shared.gateway.plans import Plan, Window
from shared.gateway.policies.rate_limit.config import RateLimit
from shared.gateway.policies.rate_limit.counters import count_of
from shared.gateway.policies.rate_limit.handler import policy_header
from shared.gateway.policies.rate_limit.local import process_counters
from tests.unit.gateway.door import GATEWAY_DIR, documents, opened
from tests.unit.gateway.redis_store import free_port

SMALL = {"standard": {"windows": [{"name": "burst", "requests": 3, "per_seconds": 60}]}}
TWO = {
    "standard": {
        "windows": [
            {"name": "burst", "requests": 2, "per_seconds": 60, "algorithm": "moving"},
            {"name": "daily", "requests": 100, "per_seconds": 86400},
        ]
    }
}


def test_what_to_do_without_counters_has_no_default() -> None:
    with pytest.raises(ValidationError, match="when_counters_are_down"):
        RateLimit.model_validate({"count_per": "client"})


def test_two_windows_of_a_plan_have_two_names() -> None:
    window = {"name": "burst", "requests": 1, "per_seconds": 1}
    with pytest.raises(ValidationError, match="same name"):
        Plan.model_validate({"windows": [window, window]})


@pytest.mark.parametrize(
    "wrong", [{"requests": 0}, {"per_seconds": 0}, {"algorithm": "magic"}, {"name": "Not A Token"}]
)
def test_a_window_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Window.model_validate({"name": "burst", "requests": 1, "per_seconds": 1} | wrong)


def test_the_policy_field_reads_as_the_draft_writes_it() -> None:
    assert policy_header(Plan.model_validate(TWO["standard"])) == b'"burst";q=2;w=60, "daily";q=100;w=86400'


async def test_every_answer_says_how_the_windows_stand() -> None:
    async with opened(documents(plans=SMALL)) as door:
        answer = await door.get("/things/v1/things")
        assert answer.headers["ratelimit-policy"] == '"burst";q=3;w=60'
        assert answer.headers["ratelimit"] == '"burst";r=2;t=60'
        assert (await door.get("/things/v1/things")).headers["ratelimit"].startswith('"burst";r=1;t=')


async def test_the_request_after_the_last_is_refused_with_the_name_of_the_policy() -> None:
    async with opened(documents(plans=SMALL)) as door:
        statuses = [(await door.get("/things/v1/things")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = await door.get("/things/v1/things")
        assert answer.json()["code"] == "limit_exceeded"
        assert answer.json()["violated-policies"] == ["burst"]
        assert answer.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["ratelimit"].startswith('"burst";r=0;t=')


async def test_a_refused_request_uses_up_no_other_window() -> None:
    async with opened(documents(plans=TWO)) as door:
        for _ in range(4):
            await door.get("/things/v1/things")
        answer = await door.get("/things/v1/things")
        assert answer.status_code == 429
        assert '"daily";r=98;' in answer.headers["ratelimit"]


async def test_each_client_has_windows_of_its_own() -> None:
    async with opened(documents(plans=SMALL)) as door:
        for _ in range(4):
            await door.get("/things/v1/things")
        other = door.issuer.token(client_id="someone-else")
        assert (await door.get("/things/v1/things", token=other)).status_code == 200
        namesake = door.issuer.token(tenant="orchard")
        assert (await door.get("/things/v1/things", token=namesake)).status_code == 200


async def test_a_person_counts_against_the_client_and_a_tenant_together_where_declared() -> None:
    per_tenant = {"rate_limit": {"count_per": "tenant", "when_counters_are_down": "admit"}}
    async with opened(documents(plans=SMALL, policies=per_tenant)) as door:
        for number in range(3):
            assert (
                await door.get("/things/v1/things", token=door.issuer.token(client_id=f"c{number}"))
            ).status_code == 200
        assert (await door.get("/things/v1/things", token=door.issuer.token(client_id="c9"))).status_code == 429


async def test_an_unknown_plan_counts_as_standard_and_public_operations_by_address() -> None:
    async with opened(documents(plans=SMALL)) as door:
        answer = await door.get("/things/v1/things", token=door.issuer.token(plan="platinum"))
        assert answer.headers["ratelimit-policy"] == '"burst";q=3;w=60'
        answer = await door.get("/things/v1/open", token=None)
        assert answer.headers["ratelimit-policy"].startswith('"burst";q=200;w=10, ')


async def test_burst_sustained_and_daily_quota_stand_side_by_side() -> None:
    windows = [
        {"name": "burst", "requests": 100, "per_seconds": 60, "algorithm": "moving"},
        {"name": "sustained", "requests": 1000, "per_seconds": 600},
        {"name": "daily", "requests": 5000, "per_seconds": 86400, "algorithm": "aligned"},
    ]
    partition = {"rate_limit": {"when_counters_are_down": "admit", "tell_partition": True}}
    async with opened(documents(plans={"standard": {"windows": windows}})) as door:
        answer = await door.get("/things/v1/things")
        assert (
            answer.headers["ratelimit-policy"] == '"burst";q=100;w=60, "sustained";q=1000;w=600, "daily";q=5000;w=86400'
        )
        left = 86400 - int(time()) % 86400
        assert answer.headers["ratelimit"].startswith('"burst";r=99;t=60, "sustained";r=999;t=600, "daily";r=4999;t=')
        assert abs(int(answer.headers["ratelimit"].rpartition("=")[2]) - left) <= 2, "a day ends at midnight UTC"
    async with opened(documents(plans=SMALL, policies=partition)) as door:
        answer = await door.get("/things/v1/things")
        named = answer.headers["ratelimit"].rpartition(";pk=")[2]
        assert answer.headers["ratelimit-policy"] == f'"burst";q=3;w=60;pk={named}'
        assert (named[0], named[-1], "desk" in named) == (":", ":", False)


def test_every_plan_has_a_burst_a_sustained_and_a_daily_window() -> None:
    plans = load_documents(GATEWAY_DIR, "experience").plans
    assert {"trial", "standard", "partner", "internal", "anonymous", "webhooks"} <= plans.keys()
    for plan in plans.values():
        burst, sustained, daily = plan.windows
        assert (burst.name, sustained.name, daily.name) == ("burst", "sustained", "daily")
        assert burst.requests < sustained.requests < daily.requests
        assert (daily.per_seconds, daily.algorithm) == (86400, "aligned")


def test_counting_in_each_replica_needs_to_know_how_many_there_are() -> None:
    with pytest.raises(ValidationError, match="needs `replicas`"):
        RateLimit.model_validate({"when_counters_are_down": "local"})
    assert RateLimit.model_validate({"when_counters_are_down": "local", "replicas": 4}).replicas == 4


def test_a_moving_window_forgets_each_request_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("shared.gateway.policies.rate_limit.local.time", lambda: now)
    counters = process_counters()
    counts = (count_of(Window(name="burst", requests=2, per_seconds=10, algorithm="moving"), "ada"),)
    purse = counters.purse(counts)
    assert purse.take()[0].has_room
    now = 1006.0
    assert purse.take()[0].has_room
    assert not purse.take()[0].has_room
    now = 1010.5
    assert purse.take()[0].has_room
    assert not purse.take()[0].has_room
    now = 1016.5
    assert purse.take()[0].has_room


def test_a_fixed_window_starts_anew_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("shared.gateway.policies.rate_limit.local.time", lambda: now)
    counters = process_counters()
    counts = (count_of(Window(name="burst", requests=2, per_seconds=10), "ada"),)
    purse = counters.purse(counts)
    assert [purse.take()[0].remaining for _ in range(3)] == [1, 0, 0]
    now = 1010.5
    assert purse.take()[0].remaining == 1


def test_the_counters_serve_the_strategies_of_the_library_too() -> None:
    from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter  # noqa: PLC0415

    storage = process_counters()
    item = count_of(Window(name="burst", requests=2, per_seconds=10), "ada").item
    for strategy in (FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)):
        assert [strategy.hit(item, type(strategy).__name__) for _ in range(3)] == [True, True, False]
        assert strategy.get_window_stats(item, type(strategy).__name__).remaining == 0
    assert storage.check()
    assert storage.reset() == 2


def test_counters_nobody_asks_for_any_more_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("shared.gateway.policies.rate_limit.local.time", lambda: now)
    monkeypatch.setattr("shared.gateway.policies.rate_limit.local._SWEEP_EVERY", 10)
    counters = process_counters()
    for number in range(9):
        counters.purse((count_of(Window(name="burst", requests=2, per_seconds=1), str(number)),)).take()
    now = 2000.0
    counters.purse((count_of(Window(name="burst", requests=2, per_seconds=1), "last"),)).take()
    assert counters.reset() == 1


@pytest.mark.parametrize(("decision", "status"), [("admit", 200), ("refuse", 503)])
async def test_without_counters_the_declared_decision_holds(decision: str, status: int) -> None:
    down = {"rate_limit": {"when_counters_are_down": decision}}
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    async with opened(documents(policies=down), counters_url=nobody) as door:
        answer = await door.get("/things/v1/things")
        assert answer.status_code == status
        if status == 503:
            assert answer.json()["code"] == "counters_unavailable"
            assert answer.headers["retry-after"] == "2"
