"""Fixtures of the conformance suite: simulators on the wire and a webhook mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

for _name in ("conformance_suite", "hooks", "port_rules"):
    pytest.register_assert_rewrite(f"tests.conformance.{_name}")

from deploy.sandbox.kit.control import Simulator  # noqa: E402 - after the rewrite is registered
from shared.outbound.retry import RetryPolicy  # noqa: E402 - after the rewrite is registered
from tests.conformance.served import Mailbox, Sandbox, Serve, mailbox, sandbox  # noqa: E402 - after the rewrite is registered


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat waits a tenth of the time, where the vendor does not say how long; `test_outbound` has the whole."""
    whole = RetryPolicy.pause

    def pause(policy: RetryPolicy, attempt: int, retry_after: float | None = None) -> float:
        return whole(policy, attempt, retry_after) / (1 if retry_after else 10)

    monkeypatch.setattr(RetryPolicy, "pause", pause)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves simulators on free ports until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(simulator: Simulator) -> Sandbox:
            return await stack.enter_async_context(sandbox(simulator))

        yield start


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the wire, as the firm's people and programs of others use it."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def mail() -> AsyncIterator[Mailbox]:
    """A place webhooks can be sent to."""
    async with mailbox() as box:
        yield box
