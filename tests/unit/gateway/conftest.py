"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.unit.gateway.door import Door, opened


@pytest.fixture
async def door() -> AsyncGenerator[Door]:
    """A tier as it is served, with the standard policies."""
    async with opened() as door:
        yield door
