"""A run that a request starts outlives the request: nobody's time limit binds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from process_apis.durable import engine
from shared.persistence import upgrade
from shared.telemetry.context import seconds_left
from tests.unit.gateway.stand import declared, standing

SEEN: dict[str, list[float | None]] = {}
ORDERED: dict[str, float | None] = {}


class Errand(BaseModel):
    """Work that takes longer than any caller waits."""

    key: str


@engine.step("run an errand")
async def run_errand(errand: Errand) -> Errand:
    SEEN.setdefault(errand.key, []).append(seconds_left())
    await asyncio.sleep(0.05)
    SEEN[errand.key].append(seconds_left())
    return errand


@engine.workflow("test-errand")
async def errand_workflow(errand: Errand) -> Errand:
    SEEN.setdefault(errand.key, []).append(seconds_left())
    return await run_errand(errand)


@pytest.fixture
async def running(postgres_url: str) -> AsyncIterator[None]:
    await asyncio.to_thread(upgrade, postgres_url, "process_apis")
    async with engine.running(engine.EngineSettings(postgres_url, executor_id="one")):
        yield


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("hangs", [False, True], ids=["answered in time", "cut off by the deadline"])
async def test_a_run_started_by_a_request_is_not_bound_by_its_deadline(*, hangs: bool) -> None:
    router = APIRouter(prefix="/errands/v1")

    @router.post("/errands", operation_id="startErrand", status_code=202)
    async def start(errand: Errand) -> dict[str, str]:
        ORDERED[errand.key] = seconds_left()
        await engine.start(errand_workflow, f"errand:{errand.key}", errand)
        if hangs:
            await asyncio.sleep(30)
        return {}

    operations = {"POST /errands": {"scopes": ["things.write"]}}
    key = uuid4().hex
    async with standing(router, declared("/errands/v1", operations, deadline={"seconds": 1.5})) as door:
        answer = await door.post("/errands/v1/errands", json={"key": key})
        assert answer.status_code == (504 if hangs else 202)
        assert await engine.result(f"errand:{key}") == Errand(key=key)
    limit = ORDERED[key]
    assert limit is not None
    assert limit <= 1.5
    assert SEEN[key] == [None, None, None]
