"""Measures the gate: the full policy chain, a bare application and a by-the-book assembly, in turn on one endpoint."""

from __future__ import annotations

import asyncio
import os
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import time
from typing import Any
from uuid import uuid4

import psutil
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.bench_load import Load, measure, offered
from deploy.local.bench_processes import BenchFailed as BenchFailed  # noqa: PLC0414 - part of this room's face
from deploy.local.bench_processes import Server, redis_server, served, until_listening
from deploy.local.bench_quota import over_admission

AUDIENCE = "throughline-system"
ISSUER = "http://issuer.bench"
PATH = "/bench/v1/things/4711"
_CONNECTIONS = 16
_NEW_TOKENS = 2000
_SUCCESS = 200
_IN_MEMORY = ("bare", "full", "bare_on_our_server", "bare_as_served", "book")
_BRIEFLY = ("bare", "full", "book")
_ON_REDIS = ("full_on_redis", "full_on_redis_exact", "book_on_redis")
_OFFERED_TO = ("bare", "full", "full_on_redis", "full_on_redis_exact")
_RATIOS = {
    "full_to_bare": ("full", "bare"),
    "full_to_bare_on_our_server": ("full", "bare_on_our_server"),
    "full_to_bare_as_served": ("full", "bare_as_served"),
    "full_to_book": ("full", "book"),
    "full_on_redis_to_bare": ("full_on_redis", "bare"),
    "full_on_redis_exact_to_bare": ("full_on_redis_exact", "bare"),
    "full_on_redis_to_book_on_redis": ("full_on_redis", "book_on_redis"),
    "full_on_redis_exact_to_book_on_redis": ("full_on_redis_exact", "book_on_redis"),
    "full_first_sight_to_bare": ("full_first_sight", "bare"),
    "full_first_sight_to_book": ("full_first_sight", "book"),
}
_REMARKS = """\
bare: FastAPI and the endpoint on uvicorn (uvloop, httptools), nothing else; it does not read the token.
bare_on_our_server: the same on the server class a tier runs on (head and body of an answer in one write).
bare_as_served: on that server, and the endpoint called as a tier calls it (shared/serving/dispatch.py: parameters and
answer go through the same models, the framework's router, wrappers and per-request bookkeeping are left out), without
the gate: full_to_bare_as_served is what the policies alone cost. full_to_bare is what a tier costs against what one
would have built without it; above 1, the short way to the route saves more than the whole policy chain costs.
full: the whole policy chain of a tier as declared in deploy/gateway/system (usage is counted, but kept nowhere), with
its access log; rate counters in the process, one moving and one fixed window. A token is verified when it is first seen
and remembered; each connection keeps a token, and so a client, of its own.
full_on_redis: the same with rate counters on Redis, as replicas share them, on short leases (ADR 0013).
full_on_redis_exact: the same without leases: every request waits for Redis.
full_first_sight: full, but no token is used twice, so that every request pays for a signature check.
book: SlowAPIMiddleware with two fixed windows in memory, and a JWT check as a dependency, which verifies the token each
time; book_on_redis: the same with the windows on Redis.
Ratios are medians over rounds of requests per second, the other's below ours; by_cpu compares processor time per
request of the server process instead (Redis' own is not counted), which neighbours on the machine disturb less.
server_busy: share of one core the server had; well below 1, something else on the machine set the rate.
at_fixed_rate: requests are due at that rate whether answers come or not, and each latency counts from when it was due
(no coordinated omission). added: over bare in the same round, the median of the rounds. The load source has a core of
its own only where there are two free ones; book reaches none of these rates and is left out.
over_admission: four processes of full share one quota on Redis while one client asks them as fast as they answer.
most_within_window: the most requests that lie, from asking to answer, within any stretch as long as the window; the
bound is the quota. most_answered_within_window counts answers: at most those in flight more.
""".splitlines()


@dataclass(frozen=True, slots=True)
class Extent:
    """How long is measured."""

    rounds: int = 5
    seconds: float = 1.0
    new_tokens: int = _NEW_TOKENS
    rates: tuple[int, ...] = (1000, 2000)
    is_brief: bool = False


async def run(extent: Extent, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Requests per second and latencies of the assemblies, and the ratios of neighbouring rounds.

    Raises: BenchFailed.
    """
    key = ECKey.generate_key("P-256", parameters={"kid": "bench"})
    tokens = [access_token(key, f"bench-{number}") for number in range(_CONNECTIONS)]
    load_average = os.getloadavg()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughline-bench-")))
        redis_url = None if extent.is_brief else await stack.enter_async_context(redis_server(folder))
        kinds = _BRIEFLY if extent.is_brief else (*_IN_MEMORY, *_ON_REDIS) if redis_url else _IN_MEMORY
        tell(f"starting {', '.join(kinds)}")
        servers = {kind: await stack.enter_async_context(served(kind, key, redis_url, folder)) for kind in kinds}
        for server in servers.values():
            await until_listening(server.port, server.process, server.log)
        await _answer_alike(list(servers.values()), tokens[0])
        loads = await _in_turn(servers, key, tokens, extent, tell)
        fixed = {str(rate): await _at(rate, servers, tokens, extent, tell) for rate in extent.rates}
        memory = {
            kind: round(psutil.Process(server.process.pid).memory_info().rss / 2**20)
            for kind, server in servers.items()
        }
    excess = await over_admission(key, tokens[0], PATH, extent.seconds, tell) if redis_url else None
    return {
        "endpoint": f"GET {PATH}",
        "connections": _CONNECTIONS,
        "rounds": extent.rounds,
        "seconds_per_round": extent.seconds,
        "load_average": {"before": round(load_average[0], 2), "after": round(os.getloadavg()[0], 2)},
        "shared_counters": "redis" if redis_url else "left out: asked for, or no redis-server program is there",
        "measured": {kind: _summary(found) for kind, found in loads.items()},
        "ratios": {
            name: _ratio(loads[ours], loads[theirs])
            for name, (ours, theirs) in _RATIOS.items()
            if ours in loads and theirs in loads
        },
        "at_fixed_rate": fixed,
        "over_admission": excess,
        "memory_mib": memory,
        "remarks": _REMARKS,
    }


async def _in_turn(
    servers: dict[str, Server], key: ECKey, tokens: list[str], extent: Extent, tell: Callable[[str], None]
) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {}
    for server in servers.values():
        await _loaded(server, tokens, extent.seconds / 2)
    for number in range(extent.rounds):
        tell(f"round {number + 1} of {extent.rounds}")
        turn = list(servers.values())
        for server in turn if number % 2 == 0 else reversed(turn):
            loads.setdefault(server.kind, []).append(await _loaded(server, tokens, extent.seconds))
        new = [access_token(key, f"bench-{one % _CONNECTIONS}") for one in range(extent.new_tokens)]
        load = await _loaded(servers["full"], new, extent.seconds, each_token_once=True)
        loads.setdefault("full_first_sight", []).append(load)
    return loads


async def _at(
    rate: int, servers: dict[str, Server], tokens: list[str], extent: Extent, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Latencies while so many requests per second are due, and what each assembly adds to the bare one's."""
    tell(f"{rate} requests per second")
    found: dict[str, list[Load]] = {}
    for _ in range(min(extent.rounds, 3)):
        for kind in (one for one in _OFFERED_TO if one in servers):
            load = await asyncio.to_thread(
                offered,
                servers[kind].port,
                PATH,
                tokens,
                connections=_CONNECTIONS,
                rate=rate,
                seconds=extent.seconds,
            )
            if load.refused or not load.latencies:
                raise BenchFailed(f"{kind}: {load.refused} of {len(load.latencies)} answers were not 200")
            found.setdefault(kind, []).append(load)
    bare = found["bare"]
    return {
        kind: {
            **{name: _ms(median(load.quantile(part) for load in loads)) for name, part in _PARTS},
            **(
                {}
                if kind == "bare"
                else {
                    f"added_{name}": _ms(
                        median(a.quantile(part) - b.quantile(part) for a, b in zip(loads, bare, strict=True))
                    )
                    for name, part in _PARTS
                }
            ),
            "answers_per_second": round(median(load.rate for load in loads)),
        }
        for kind, loads in found.items()
    }


_PARTS: Sequence[tuple[str, float]] = (("p50_ms", 0.50), ("p99_ms", 0.99))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


async def _loaded(server: Server, tokens: list[str], seconds: float, *, each_token_once: bool = False) -> Load:
    """Load a server from a fast loop of its own, so that the source is not what is measured."""
    process = psutil.Process(server.process.pid)
    before = _cpu_seconds(process)
    load = await asyncio.to_thread(
        lambda: uvloop.run(
            measure(
                server.port,
                PATH,
                tokens,
                connections=_CONNECTIONS,
                seconds=seconds,
                each_token_once=each_token_once,
            )
        )
    )
    load.cpu_seconds = _cpu_seconds(process) - before
    if load.refused or not load.latencies:
        raise BenchFailed(f"{server.kind}: {load.refused} of {len(load.latencies)} answers were not 200")
    return load


async def _answer_alike(servers: list[Server], token: str) -> None:
    """Make sure that every server does the same work; a comparison of different bodies says nothing."""
    bodies = {server.kind: await asyncio.to_thread(_body, server.port, token) for server in servers}
    if len(set(bodies.values())) != 1:
        raise BenchFailed(f"the servers answer differently: {bodies}")


def _body(port: int, token: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{PATH}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        body: bytes = answer.read()
        if answer.status != _SUCCESS:
            raise BenchFailed(f"a server of the bench answered {answer.status}")
        return body


def access_token(key: ECKey, client_id: str = "bench") -> str:
    """A token of an hour for the measured endpoint."""
    now = int(time())
    claims = {
        "iss": ISSUER,
        "sub": client_id,
        "client_id": client_id,
        "aud": [AUDIENCE],
        "iat": now,
        "exp": now + 3600,
        "jti": uuid4().hex,
        "scope": "bench.read",
        "tenant": "bench",
        "plan": "bench",
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "bench"}, claims, key)


def _summary(loads: list[Load]) -> dict[str, Any]:
    return {
        "requests_per_second": round(median(load.rate for load in loads)),
        "p50_ms": round(median(load.quantile(0.50) for load in loads) * 1000, 3),
        "p99_ms": round(median(load.quantile(0.99) for load in loads) * 1000, 3),
        "cpu_us_per_request": round(median(map(_cpu_per_request, loads)) * 1e6, 1),
        "server_busy": round(median(load.cpu_seconds / load.seconds for load in loads), 2),
        "requests": sum(len(load.latencies) for load in loads),
    }


def _ratio(ours: list[Load], theirs: list[Load]) -> dict[str, Any]:
    """Median of the ratios of neighbouring rounds: what disturbs the machine disturbs both."""
    pairs = list(zip(ours, theirs, strict=True))
    rates = [a.rate / b.rate for a, b in pairs]
    costs = [_cpu_per_request(b) / cost for a, b in pairs if (cost := _cpu_per_request(a))]
    return {
        "by_rate": round(median(rates), 3),
        "by_cpu": round(median(costs), 3) if costs else None,
        "rounds": [round(rate, 3) for rate in rates],
    }


def _cpu_per_request(load: Load) -> float:
    return load.cpu_seconds / max(1, len(load.latencies))


def _cpu_seconds(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)
