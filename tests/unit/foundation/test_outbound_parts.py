"""A batch's answer is judged by its parts: the first that is refused counts as the answer to the whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors.taxonomy import Conflict, NotFound, VendorThrottled, VendorUnavailable
from shared.outbound import Answer, Outbound, RetryPolicy
from tests.unit.foundation.scripted import Said, Server


@dataclass(frozen=True)
class Told:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


def parts(answer: Answer) -> Sequence[Told]:
    return [Told(*one) for one in json.loads(answer.content)]


def said(*told: Any, status: int = 200, kind: str = "multipart/mixed; boundary=b") -> Said:
    return Said(status, [list(one) for one in told], {"Content-Type": kind})


@pytest.fixture
async def outbound(server: Server) -> AsyncIterator[Outbound]:
    retry = RetryPolicy(attempts=4, first=0.01, longest=0.02, total=5.0)
    made = Outbound(system="acme", base_url=server.url, retry=retry, owner="harbour")
    yield made
    await made.aclose()


async def test_parts_that_are_good_are_an_answer(server: Server, outbound: Outbound) -> None:
    server.says(said((200, {"n": 1}), (204,)))
    answer = await outbound.read("POST", "/batch", content=b"--b", parts=parts)
    assert [told.status for told in parts(answer)] == [200, 204]
    assert server.asked[0].body == b"--b"


async def test_a_throttled_part_has_the_whole_asked_again(server: Server, outbound: Outbound) -> None:
    server.says(said((200, {}), (429, {}, {"retry-after": "0"})), said((200, {}), (200, {})))
    await outbound.read("POST", "/batch", content=b"--b", parts=parts)
    assert len(server.asked) == 2
    server.says(said((200, {}), (429, {}, {"retry-after": "60"})))
    with pytest.raises(VendorThrottled) as caught:
        await outbound.read("POST", "/batch", content=b"--b", parts=parts)
    assert caught.value.retry_after == 60


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_the_part_tells_more_than_the_status_of_the_whole(
    server: Server, outbound: Outbound, status: int
) -> None:
    server.says(said((200, {}), (404, {}), (409, {}), status=status))
    with pytest.raises(NotFound):
        await outbound.read("POST", "/batch", content=b"--b", parts=parts)
    assert len(server.asked) == 1


async def test_the_first_refused_part_counts(server: Server, outbound: Outbound) -> None:
    server.says(said((409, {}), (404, {})))
    with pytest.raises(Conflict):
        await outbound.read("POST", "/batch", content=b"--b", parts=parts)


async def test_a_whole_without_parts_is_judged_by_its_own_status(server: Server, outbound: Outbound) -> None:
    server.says(said(status=503, kind="application/json"))
    with pytest.raises(VendorUnavailable):
        await outbound.read("POST", "/batch", content=b"--b", parts=parts)
    server.says(said(status=503))
    with pytest.raises(VendorUnavailable):
        await outbound.read("POST", "/batch", content=b"--b", parts=parts)
