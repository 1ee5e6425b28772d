"""Measures by how much several replicas together admit more than a quota they share: four processes, one client."""

from __future__ import annotations

import asyncio
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from joserfc.jwk import ECKey

from deploy.local.bench_load import Admission, hammer
from deploy.local.bench_processes import redis_server, served, until_listening
from deploy.local.bench_servers import QUOTA, QUOTA_SECONDS

REPLICAS = 4
_CONNECTIONS_EACH = 4
_WINDOWS = 3


async def over_admission(
    key: ECKey, token: str, path: str, seconds: float, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """What four replicas admit, with leases and without.

    Raises: BenchFailed.
    """
    found: dict[str, Any] = {
        "replicas": REPLICAS,
        "connections": REPLICAS * _CONNECTIONS_EACH,
        "quota": QUOTA,
        "window_seconds": QUOTA_SECONDS,
        "bound": QUOTA,
    }
    for name, kind in (("leases", "full_with_quota"), ("exact", "full_with_quota_exact")):
        tell(f"four replicas, one quota: {name}")
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughline-bench-")))
            redis_url = await stack.enter_async_context(redis_server(folder))
            servers = [await stack.enter_async_context(served(kind, key, redis_url, folder)) for _ in range(REPLICAS)]
            for server in servers:
                await until_listening(server.port, server.process, server.log)
            ports = [server.port for server in servers]
            lasts = max(seconds, 0.2) * _WINDOWS
            admitted = await asyncio.to_thread(_hammered, ports, path, token, lasts)
        found[name] = {"admitted": len(admitted), "seconds": round(lasts, 1), **excess(admitted, QUOTA, QUOTA_SECONDS)}
    return found


def _hammered(ports: Sequence[int], path: str, token: str, seconds: float) -> list[Admission]:
    return uvloop.run(hammer(ports, path, token, connections=_CONNECTIONS_EACH, seconds=seconds))


def excess(admitted: Sequence[Admission], quota: int, seconds: float) -> dict[str, int]:
    """The most requests within any stretch as long as the window, by both ways to say what lies in it."""
    asked = sorted(one.asked_at for one in admitted)
    answered = sorted(one.answered_at for one in admitted)
    inside = max((bisect_right(answered, at + seconds) - bisect_left(asked, at) for at in asked), default=0)
    ended = max((bisect_right(answered, at + seconds) - bisect_left(answered, at) for at in answered), default=0)
    return {
        "most_within_window": inside,
        "most_answered_within_window": ended,
        "excess": max(0, inside - quota),
    }
