"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest

from tests.unit.gateway.door import Door, opened
from tests.unit.gateway.redis_store import RedisStore, redis_program


@pytest.fixture
async def door() -> AsyncGenerator[Door]:
    """A tier as it is served, with the standard policies."""
    async with opened() as door:
        yield door


@pytest.fixture(scope="module")
def redis_store() -> Iterator[RedisStore]:
    """A real Redis; a test that kills it starts it again."""
    program = redis_program()
    if program is None:
        pytest.skip("no Redis on this machine")
    store = RedisStore(program)
    yield store
    store.end()


@pytest.fixture
def redis_url(redis_store: RedisStore) -> str:
    """Where that Redis listens."""
    return redis_store.url
