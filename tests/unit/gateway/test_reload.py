"""Changed policy documents reach a running tier, wrong ones do not, and what was counted stays counted."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.serving.app import build_app
from tests.unit.gateway.door import GATEWAY_DIR, OPERATIONS, Door, Issuer, Things, routes, settings

_PATIENCE_SECONDS = 5.0


def written(folder: Path) -> Path:
    """The system tier's documents with the test's API in the place of the real ones, as files."""
    shutil.copytree(GATEWAY_DIR / "system", folder / "system")
    shutil.copy(GATEWAY_DIR / "plans.yaml", folder)
    for file in (folder / "system").glob("*.yaml"):
        if file.stem not in {"tier", "operations"}:
            file.unlink()
    registry = yaml.safe_load((GATEWAY_DIR / "registry.yaml").read_text("utf-8"))["apis"]
    kept = [one for one in registry if (one["tier"], one["name"]) == ("system", "operations")]
    told = {"title": "Things", "description": "Of the test.", "owner": "tests", "audience": "tests"}
    things = {"name": "things", "tier": "system", **told, "versions": {"v1": {"release": "1.0.0"}}}
    put(folder / "registry.yaml", {"apis": [*kept, things]})
    version = {"base": "/things/v1", "operations": OPERATIONS}
    put(folder / "system" / "things.yaml", {"api": "things", "versions": {"v1": version}})
    return folder


def put(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content), "utf-8")


def changed(path: Path, change: Callable[[Any], None]) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    change(content)
    put(path, content)


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncGenerator[Door]:
    """The tier with its lifespan, reading its documents from files."""
    things, issuer = Things(), Issuer()
    app = build_app(
        tier="system",
        title="Things",
        routers=[routes(things)],
        settings=settings(gateway_dir=folder, gateway_reload_seconds=0.05, **changes),
        keys=issuer.keys,
        idempotency=MemoryIdempotencyStore(),
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://tier.test") as client,
    ):
        yield Door(app, issuer, things, client)


async def until(seen: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await seen():  # noqa: ASYNC110 - what is waited for shows from outside only
            await asyncio.sleep(0.02)


def told(door: Door, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The audit lines about documents."""
    door.app.audit.flush()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "policies reloaded"]


async def test_a_changed_file_reaches_the_running_tier_and_is_audited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path)
    async with running(folder) as door:
        token = door.issuer.token()
        first = await door.get("/things/v1/things", token=token)
        assert first.status_code == 200
        asked = door.issuer.asked

        def stricter(document: Any) -> None:
            document["versions"]["v1"]["operations"]["GET /things"] = {"scopes": ["things.audit"]}

        changed(folder / "system" / "things.yaml", stricter)

        async def is_refused() -> bool:
            return (await door.get("/things/v1/things", token=token)).status_code == 403

        await until(is_refused)
        again = await door.get("/things/v1/things/7", token=token)
        assert again.status_code == 200
        assert _left(again) < _left(first) - 1, "the windows go on counting"
        assert door.issuer.asked == asked, "the issuer's keys are kept"
        assert (await door.get("/openapi.json", token=None)).text.count("things.audit") > 0
        (line,) = told(door, capsys)
    assert line["outcome"] == "applied"
    assert line["operations_changed"] == ["GET /things/v1/things"]
    assert list(line["files"]) == ["system/things.yaml"]
    digests = line["files"]["system/things.yaml"]
    assert digests["before"] != digests["after"]


def _left(answer: httpx.Response) -> int:
    return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])


async def test_documents_that_do_not_fit_change_nothing_and_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path)
    async with running(folder) as door:
        file = folder / "system" / "things.yaml"
        good = file.read_text("utf-8")
        for wrong, reason in (
            (good.replace("things.read", "[unreadable"), "things.yaml"),
            (good.replace("GET /open", "GET /closed"), "is served but declared in no policy document"),
            (good.replace("api: things", "api: thing"), "is not in registry.yaml"),
        ):
            file.write_text(wrong, "utf-8")
            os.kill(os.getpid(), signal.SIGHUP)
            lines: list[dict[str, Any]] = []

            async def is_told(lines: list[dict[str, Any]] = lines) -> bool:
                lines += told(door, capsys)
                return bool(lines)

            await until(is_told)
            assert lines[0]["outcome"] == "refused"
            assert reason in " ".join(lines[0]["reasons"])
            assert (await door.get("/things/v1/things")).status_code == 200
            assert (await door.get("/open", token=None)).status_code == 404
            assert (await door.get("/things/v1/open", token=None)).status_code == 200
        assert "throughline_system_policies_refused 1.0" in (await door.get("/metrics", token=None)).text
        file.write_text(good, "utf-8")

        async def is_well() -> bool:
            return "throughline_system_policies_refused 0.0" in (await door.get("/metrics", token=None)).text

        await until(is_well)


async def test_a_deprecation_in_the_registry_shows_in_headers_documents_and_catalog(tmp_path: Path) -> None:
    folder = written(tmp_path)
    async with running(folder) as door:
        assert "deprecation" not in (await door.get("/things/v1/things")).headers

        def deprecated(registry: Any) -> None:
            facts = {
                "state": "deprecated",
                "deprecated_at": "2026-01-01T00:00:00Z",
                "sunset_at": "2999-01-01T00:00:00Z",
            }
            registry["apis"][-1]["versions"]["v1"] |= facts

        changed(folder / "registry.yaml", deprecated)

        async def is_seen() -> bool:
            return "deprecation" in (await door.get("/things/v1/things")).headers

        await until(is_seen)
        answer = await door.get("/things/v1/things")
        assert answer.headers["sunset"] == "Tue, 01 Jan 2999 00:00:00 GMT"
        assert 'rel="api-catalog"' in answer.headers["link"]
        assert "deprecated" in (await door.get("/.well-known/api-catalog", token=None)).text


async def test_requests_under_way_end_by_the_documents_they_began_with(tmp_path: Path) -> None:
    folder = written(tmp_path)
    async with running(folder) as door:
        before = door.app.gateway.board
        door.app.load(door.app.documents)
        after = door.app.gateway.board
        assert after is not before
        old, new = before.find("GET", "/things/v1/things"), after.find("GET", "/things/v1/things")
        assert old is not None
        assert new is not None
        assert old is not new
        kept = [step for step in old.steps if step in new.steps]
        assert len(kept) >= len(new.steps) - 1, "all handlers but those made per operation are the same objects"
