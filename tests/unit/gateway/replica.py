"""A replica as a process: hammers callers through the rate-limit policy and tells when each request was admitted."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from shared.errors.taxonomy import LimitExceeded
from shared.gateway.kit import Kit, Message
from shared.gateway.plans import Plan
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.gateway.policies.rate_limit.config import RateLimit
from shared.gateway.policies.rate_limit.handler import RateLimitHandler
from shared.gateway.policies.rate_limit.local import process_counters
from shared.gateway.policies.rate_limit.replicated import ReplicatedCounters
from shared.gateway.supplies import Supplies


def supplies(plans: dict[str, Any], **more: Any) -> Supplies:
    """What the policy is made from, with nothing behind it."""
    return Supplies(
        tier="system",
        issuer="http://issuer.test",
        audience="tests",
        keys=_no_keys,
        idempotency=MemoryIdempotencyStore(),
        plans={name: Plan.model_validate(plan) for name, plan in plans.items()},
        **more,
    )


async def _no_keys() -> dict[str, Any]:
    return {"keys": []}


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def knock() -> Kit:
    """A request of nobody in particular."""
    return Kit({"type": "http", "headers": []}, _nothing, "GET", "/things")


async def admitted(handler: RateLimitHandler) -> bool:
    """One request through the policy."""
    try:
        waiting = handler.enter(knock())
        if waiting is not None:
            await waiting
    except LimitExceeded:
        return False
    return True


async def _hammer(handler: RateLimitHandler, until: float, log: list[tuple[float, float]], tried: list[int]) -> None:
    while (began := time.time()) < until:
        tried[0] += 1
        if await admitted(handler):
            log.append((began, time.time()))
        await asyncio.sleep(0.002)


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    shared = ReplicatedCounters(job["url"])
    made = supplies(job["plans"])
    logs: dict[str, list[tuple[float, float]]] = {}
    tried = [0]
    hammers: list[Any] = []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    until = time.time() + job["seconds"]
    for name, config in job["limits"].items():
        policy = RateLimit.model_validate(config)
        handler = RateLimitHandler(policy, made, name, local=process_counters(), shared=shared)
        logs[name] = []
        hammers += [_hammer(handler, until, logs[name], tried) for _ in range(job["at_once"])]
    await asyncio.gather(*hammers)
    await shared.aclose()
    return {"admitted": logs, "tried": tried[0], "exchanges": shared.exchanges}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_run(json.loads(sys.stdin.readline())))) + "\n")
