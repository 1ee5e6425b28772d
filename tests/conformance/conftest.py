"""Fixtures of the conformance suite: simulators on the wire and a webhook mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

for _name in ("conformance_suite", "hooks", "port_rules"):
    pytest.register_assert_rewrite(f"tests.conformance.{_name}")

from deploy.sandbox.kit.control import Simulator  # noqa: E402 - after the rewrite is registered
from tests.conformance.served import Mailbox, Sandbox, Serve, mailbox, sandbox  # noqa: E402 - after the rewrite is registered


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves simulators on free ports until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(simulator: Simulator) -> Sandbox:
            return await stack.enter_async_context(sandbox(simulator))

        yield start


@pytest.fixture
async def mail() -> AsyncIterator[Mailbox]:
    """A place webhooks can be sent to."""
    async with mailbox() as box:
        yield box
