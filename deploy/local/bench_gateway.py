"""Measures the gate: the full policy chain, a bare application and a by-the-book assembly, in turn on one endpoint."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, time
from typing import Any
from uuid import uuid4

import psutil
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.bench_load import Load, measure
from deploy.local.bench_servers import REDIS_VARIABLE

AUDIENCE = "throughline-system"
ISSUER = "http://issuer.bench"
PATH = "/bench/v1/things/4711"
_CONNECTIONS = 16
_NEW_TOKENS = 2000
_START_SECONDS = 30.0
_ROOT = Path(__file__).resolve().parents[2]
_SUCCESS = 200
_RATIOS = {
    "full_to_bare": ("full", "bare"),
    "full_to_book": ("full", "book"),
    "full_on_redis_to_bare": ("full_on_redis", "bare"),
    "full_on_redis_to_book": ("full_on_redis", "book"),
    "full_first_sight_to_bare": ("full_first_sight", "bare"),
    "full_first_sight_to_book": ("full_first_sight", "book"),
}
_REMARKS = """\
bare: FastAPI and the endpoint, nothing else; it does not read the token.
full: the whole policy chain of a tier with its access log; rate counters in the process, one moving and one fixed
window. A token is verified when it is first seen and remembered; each connection keeps a token of its own.
full_on_redis: the same with rate counters on Redis, as several replicas share them.
full_first_sight: full, but no token is used twice, so that every request pays for a signature check.
book: SlowAPIMiddleware with two fixed windows, and a JWT check as a dependency; it verifies the token each time.
Ratios are medians over rounds of requests per second, the other's below ours; by_cpu compares processor time per
request of the server process instead (Redis' own is not counted), which neighbours on the machine disturb less.
server_busy: share of one core the server had; well below 1, something else on the machine set the rate.
""".splitlines()


@dataclass(frozen=True, slots=True)
class Extent:
    """How long is measured."""

    rounds: int = 5
    seconds: float = 1.2
    new_tokens: int = _NEW_TOKENS


async def run(extent: Extent, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Requests per second and latencies of the assemblies, and the ratios of neighbouring rounds.

    Raises: BenchFailed.
    """
    key = ECKey.generate_key("P-256", parameters={"kid": "bench"})
    loads: dict[str, list[Load]] = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughline-bench-")))
        redis_url = await stack.enter_async_context(_redis(folder))
        kinds = ("bare", "full", "full_on_redis", "book") if redis_url else ("bare", "full", "book")
        tell(f"starting {', '.join(kinds)}")
        servers = [await stack.enter_async_context(_served(kind, key, redis_url, folder)) for kind in kinds]
        for server in servers:
            await _until_listening(server.port, server.process, server.log)
        tokens = [access_token(key, f"bench-{number}") for number in range(_CONNECTIONS)]
        await _answer_alike(servers, tokens[0])
        for server in servers:
            await _loaded(server, tokens, extent.seconds / 2)
        for number in range(extent.rounds):
            tell(f"round {number + 1} of {extent.rounds}")
            for server in servers if number % 2 == 0 else reversed(servers):
                loads.setdefault(server.kind, []).append(await _loaded(server, tokens, extent.seconds))
            new = [access_token(key, f"bench-{one % _CONNECTIONS}") for one in range(extent.new_tokens)]
            load = await _loaded(servers[kinds.index("full")], new, extent.seconds, each_token_once=True)
            loads.setdefault("full_first_sight", []).append(load)
        memory = {
            server.kind: round(psutil.Process(server.process.pid).memory_info().rss / 2**20) for server in servers
        }
    return {
        "endpoint": f"GET {PATH}",
        "connections": _CONNECTIONS,
        "rounds": extent.rounds,
        "seconds_per_round": extent.seconds,
        "book_counters": "redis" if redis_url else "memory, for want of a redis-server program",
        "measured": {kind: _summary(found) for kind, found in loads.items()},
        "ratios": {
            name: _ratio(loads[ours], loads[theirs])
            for name, (ours, theirs) in _RATIOS.items()
            if ours in loads and theirs in loads
        },
        "memory_mib": memory,
        "remarks": _REMARKS,
    }


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
