"""Rate limit of several replicas: the bound of over-admission, what leases hold back, and a store that goes away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.errors.taxonomy import LimitExceeded
from shared.gateway.plans import Window
from shared.gateway.policies.rate_limit.config import RateLimit
from shared.gateway.policies.rate_limit.counters import SLOTS, CountersUnreachable, Standing
from shared.gateway.policies.rate_limit.handler import RateLimitHandler
from shared.gateway.policies.rate_limit.leases import LeasePurse
from shared.gateway.policies.rate_limit.local import process_counters
from shared.gateway.policies.rate_limit.replicated import PATIENCE_SECONDS, ReplicatedCounters
from shared.gateway.refusals import CountersDown
from tests.unit.gateway.redis_store import RedisStore, free_port
from tests.unit.gateway.replica import knock, supplies

ROOT = Path(__file__).parents[3]
REPLICAS, AT_ONCE, SECONDS = 4, 3, 3.0
BURST, BURST_SECONDS = 300, 1
SUSTAINED, SUSTAINED_SECONDS = 400, 2
SHARE = 0.1
PLANS = {
    "burst": {"windows": [{"name": "burst", "requests": BURST, "per_seconds": BURST_SECONDS, "algorithm": "moving"}]},
    "sustained": {"windows": [{"name": "sustained", "requests": SUSTAINED, "per_seconds": SUSTAINED_SECONDS}]},
    "aligned": {
        "windows": [
            {"name": "daily", "requests": SUSTAINED, "per_seconds": SUSTAINED_SECONDS, "algorithm": "aligned"},
            {"name": "burst", "requests": 10_000, "per_seconds": 60, "algorithm": "moving"},
        ]
    },
}
Interval = tuple[float, float]


MODES = ("leases", "exact")
in_both_modes = pytest.mark.parametrize("mode", MODES)


def _limits() -> dict[str, Any]:
    shared = {"count_per": "address", "when_counters_are_down": "refuse", "lease": {"share": SHARE}}
    return {f"{plan}, {mode}": {"plan": plan, "exact": mode == "exact", **shared} for plan in PLANS for mode in MODES}


@dataclass
class Hammered:
    """What four processes were granted while they hammered six callers at many times their quota."""

    admitted: dict[str, list[Interval]]
    tried: int
    exchanges: int


@pytest.fixture(scope="module")
def hammered(redis_store: RedisStore) -> Hammered:
    job = {
        "url": redis_store.url,
        "plans": PLANS,
        "limits": _limits(),
        "seconds": SECONDS,
        "at_once": AT_ONCE,
    }
    command = [sys.executable, "-m", "tests.unit.gateway.replica"]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own module
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(REPLICAS)
    ]
    for process in processes:
        _told(process, json.dumps(job))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        _told(process, "go")
    found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    return Hammered(
        {name: sorted((began, ended) for one in found for began, ended in one["admitted"][name]) for name in _limits()},
        sum(one["tried"] for one in found),
        sum(one["exchanges"] for one in found),
    )


def _told(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _most_inside(intervals: list[Interval], seconds: float) -> int:
    """The most requests that lie, from asking to answer, within any stretch of so many seconds."""
    begins = sorted(began for began, _ in intervals)
    ends = sorted(ended for _, ended in intervals)
    return max(bisect_right(ends, start + seconds) - bisect_left(begins, start) for start in begins)


def _most_answered(intervals: list[Interval], seconds: float) -> int:
    """The most answers within any stretch of so many seconds."""
    ends = sorted(ended for _, ended in intervals)
    return max(bisect_right(ends, end + seconds) - at for at, end in enumerate(ends))


@in_both_modes
def test_a_moving_window_is_never_exceeded_by_all_replicas_together(hammered: Hammered, mode: str) -> None:
    found = hammered.admitted[f"burst, {mode}"]
    assert hammered.tried > sum(map(len, hammered.admitted.values()))
    assert _most_inside(found, BURST_SECONDS) <= BURST
    # by the moment of the answer: at most those that were counted before the window and answered in it
    assert _most_answered(found, BURST_SECONDS) <= BURST + REPLICAS * AT_ONCE


@in_both_modes
def test_an_aligned_window_is_never_exceeded_by_all_replicas_together(hammered: Hammered, mode: str) -> None:
    found = hammered.admitted[f"aligned, {mode}"]
    first, last = found[0][0] // SUSTAINED_SECONDS, found[-1][1] // SUSTAINED_SECONDS
    per_window = [
        sum(1 for began, ended in found if began // SUSTAINED_SECONDS == ended // SUSTAINED_SECONDS == number)
        for number in range(int(first), int(last) + 1)
    ]
    assert max(per_window) <= SUSTAINED
    assert max(per_window) >= SUSTAINED * 0.8


@in_both_modes
def test_a_fixed_window_is_never_exceeded_and_twice_its_number_is_the_end_around_its_edge(
    hammered: Hammered, mode: str
) -> None:
    found = hammered.admitted[f"sustained, {mode}"]
    opened = found[0][0]
    assert sum(ended <= opened + SUSTAINED_SECONDS for _, ended in found) <= SUSTAINED
    assert _most_inside(found, SUSTAINED_SECONDS) <= 2 * SUSTAINED


@in_both_modes
def test_what_leases_hold_back_stays_within_its_bound(hammered: Hammered, mode: str) -> None:
    share = SHARE if mode == "leases" else 0.0
    late = BURST_SECONDS * (1 + share + 1 / SLOTS)
    least = BURST * (SECONDS / late) - (REPLICAS - 1) * BURST * share
    assert len(hammered.admitted[f"burst, {mode}"]) >= least * 0.8, "a busy machine is allowed a fifth"


def test_most_requests_are_decided_without_asking_the_store(hammered: Hammered) -> None:
    assert hammered.exchanges < hammered.tried / 2


WINDOWS = (Window(name="burst", requests=1000, per_seconds=10, algorithm="moving"),)


async def _taken(purse: LeasePurse) -> list[Standing]:
    found = purse.take()
    return found if isinstance(found, list) else await found


async def test_a_busy_caller_waits_only_until_its_rate_is_known_and_unspent_units_go_back(redis_url: str) -> None:
    counters = ReplicatedCounters(redis_url)
    purse = counters.purse("busy", WINDOWS, share=0.02, seconds=1)
    waits, spent, until = 0, 0, time.monotonic() + 0.5
    while time.monotonic() < until:
        found = purse.take()
        waits, spent = waits + (not isinstance(found, list)), spent + 1
        if not isinstance(found, list):
            await found
        await asyncio.sleep(0.005)
    assert waits < spent / 2
    await counters.aclose()
    other = ReplicatedCounters(redis_url)
    left = (await _taken(other.purse("busy", WINDOWS, share=0, seconds=1)))[0].remaining
    assert left == 1000 - spent - 1, "nothing of what was leased is lost"
    await other.aclose()


async def test_unspent_units_go_back_while_the_replica_lives(redis_url: str) -> None:
    counters, other = ReplicatedCounters(redis_url), ReplicatedCounters(redis_url)
    purse = counters.purse("quiet", WINDOWS, share=0.02, seconds=0.1)
    spent, until = 0, time.monotonic() + 0.2
    while time.monotonic() < until:
        await _taken(purse)
        spent += 1
        await asyncio.sleep(0.001)
    assert not purse.is_idle
    async with asyncio.timeout(3):
        while not purse.is_idle:  # noqa: ASYNC110 - the purse tells nobody
            await asyncio.sleep(0.05)
    left = (await _taken(other.purse("quiet", WINDOWS, share=0, seconds=1)))[0].remaining
    assert left == 1000 - spent - 1
    await counters.aclose()
    await other.aclose()


async def test_all_windows_are_counted_or_none(redis_url: str) -> None:
    counters = ReplicatedCounters(redis_url)
    windows = (
        Window(name="burst", requests=2, per_seconds=60, algorithm="moving"),
        Window(name="sustained", requests=50, per_seconds=600),
        Window(name="daily", requests=100, per_seconds=86400, algorithm="aligned"),
    )
    purse = counters.purse("three", windows, share=0.02, seconds=1)
    stands = [await _taken(purse) for _ in range(5)]
    assert [[one.has_room for one in stand] for stand in stands] == [[True] * 3] * 2 + [[False, True, True]] * 3
    assert [one.remaining for one in stands[-1]] == [0, 48, 98]
    assert stands[0][2].resets_in == pytest.approx(86400 - time.time() % 86400, abs=2)
    assert stands[0][1].resets_in == 600
    assert await counters_agree(redis_url, windows) == [1, 49, 99]
    await counters.aclose()


async def counters_agree(url: str, windows: tuple[Window, ...]) -> list[int]:
    """What another caller of another replica finds."""
    other = ReplicatedCounters(url)
    try:
        return [one.remaining for one in await _taken(other.purse("other", windows, share=0, seconds=1))]
    finally:
        await other.aclose()


def _handler(decision: str, counters: ReplicatedCounters, warned: list[Any], **more: Any) -> RateLimitHandler:
    policy = RateLimit.model_validate(
        {"count_per": "address", "plan": "wide", "when_counters_are_down": decision, "exact": True} | more
    )
    plans = {
        name: {"windows": [{"name": "burst", "requests": most, "per_seconds": 60}]}
        for name, most in (("wide", 1000), ("small", 8))
    }
    return RateLimitHandler(
        policy, supplies(plans, warn_line=warned.append), decision, local=process_counters(), shared=counters
    )


async def _decided(handler: RateLimitHandler) -> str:
    kit = knock()
    try:
        waiting = handler.enter(kit)
        if waiting is not None:
            await waiting
    except CountersDown:
        return "down"
    except LimitExceeded:
        return "full"
    return "counted" if kit.limit_header else "uncounted"


async def test_while_the_store_is_away_the_declared_decision_holds_quickly_and_ends_by_itself(
    redis_store: RedisStore,
) -> None:
    warned: list[Any] = []
    counters = ReplicatedCounters(redis_store.url, warn=warned.append)
    admits, refuses = (_handler(decision, counters, warned) for decision in ("admit", "refuse"))
    counts = _handler("local", counters, warned, replicas=4, plan="small")
    assert [await _decided(one) for one in (admits, refuses, counts)] == ["counted"] * 3

    redis_store.freeze()
    began = time.monotonic()
    assert set(await asyncio.gather(*(_decided(refuses) for _ in range(50)))) == {"down"}
    assert time.monotonic() - began < PATIENCE_SECONDS + 0.25, "all wait together, once"
    began = time.monotonic()
    for _ in range(200):
        assert (await _decided(admits), await _decided(refuses)) == ("uncounted", "down")
    assert time.monotonic() - began < 0.1, "nobody waits for a store that is known to be away"
    assert [await _decided(counts) for _ in range(3)] == ["counted", "counted", "full"], "a quarter of eight"
    redis_store.thaw()
    await _until_back(counters, refuses)

    redis_store.kill()
    assert [await _decided(one) for one in (admits, refuses)] == ["uncounted", "down"]
    redis_store.start()
    await _until_back(counters, refuses)
    events = [line["event"] for line in warned]
    assert events.count("counters are lost") == events.count("counters are back") == 2
    assert events.count("counters are down") <= 6, "once for each policy and outage, not for each request"
    await counters.aclose()


async def _until_back(counters: ReplicatedCounters, handler: RateLimitHandler) -> None:
    async with asyncio.timeout(3):
        while await _decided(handler) == "down":  # noqa: ASYNC110 - as a caller would
            await asyncio.sleep(0.05)
    assert counters.outages


async def test_leased_units_are_spent_before_the_declared_decision_is_asked(redis_store: RedisStore) -> None:
    counters = ReplicatedCounters(redis_store.url)
    purse = counters.purse("provident", WINDOWS, share=0.1, seconds=5)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        await _taken(purse)
        await asyncio.sleep(0.002)
    redis_store.kill()
    spent = 0
    with suppress(CountersUnreachable):
        for spent in range(1000):  # noqa: B007 - how far it came
            await _taken(purse)
    assert 0 < spent <= 1000 * 0.1
    redis_store.start()
    await counters.aclose()


async def test_a_store_that_never_was_is_known_to_be_away_after_one_attempt() -> None:
    counters = ReplicatedCounters(f"redis://127.0.0.1:{free_port()}/0")
    purse = counters.purse("ada", WINDOWS, share=0, seconds=1)
    with pytest.raises(CountersUnreachable):
        await _taken(purse)
    began = time.perf_counter()
    with pytest.raises(CountersUnreachable):
        await _taken(purse)
    assert time.perf_counter() - began < 0.05
    await counters.aclose()
