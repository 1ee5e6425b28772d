"""Idempotency: the second of two equal requests gets the first one's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from shared.errors.taxonomy import MalformedRequest
from shared.gateway.policies.idempotency.handler import read_key
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.gateway.supplies import IdempotencyStore
from shared.persistence import Database, upgrade
from shared.persistence.idempotency_store import PostgresIdempotencyStore
from shared.persistence.kept_answers import KeptAnswer, RequestKey
from tests.unit.gateway.door import Door, documents, opened

KEY = RequestKey("harbour", "desk", "POST /things", "k-1")
ANSWER = KeptAnswer(201, [(b"content-type", b"application/json"), (b"etag", b'"1"')], b'{"n": 1}')
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[IdempotencyStore]:
    """Both makes of the store keep the same promises."""
    if request.param == "memory":
        yield MemoryIdempotencyStore()
        return
    url = request.getfixturevalue("postgres_url")
    await asyncio.to_thread(upgrade, url, "shared.gateway")
    database = Database(url, pool=8)
    yield PostgresIdempotencyStore(database)
    await database.aclose()


async def test_one_of_many_concurrent_requests_gets_the_ticket(store: IdempotencyStore) -> None:
    claims = await asyncio.gather(*(store.claim(KEY, b"same", claim=MINUTE) for _ in range(8)))
    assert len([claim for claim in claims if claim.ticket]) == 1
    assert not any(claim.answer or claim.fingerprint_differs for claim in claims)


async def test_the_answer_is_given_again_byte_by_byte(store: IdempotencyStore) -> None:
    ticket = (await store.claim(KEY, b"same", claim=MINUTE)).ticket
    assert ticket
    await store.complete(KEY, ticket, ANSWER, keep=DAY)
    assert (await store.claim(KEY, b"same", claim=MINUTE)).answer == ANSWER


async def test_another_request_under_the_same_key_is_told_so(store: IdempotencyStore) -> None:
    await store.claim(KEY, b"one", claim=MINUTE)
    assert (await store.claim(KEY, b"two", claim=MINUTE)).fingerprint_differs


async def test_the_key_of_another_tenant_client_or_operation_is_another_key(store: IdempotencyStore) -> None:
    await store.claim(KEY, b"one", claim=MINUTE)
    for other in (
        RequestKey("orchard", "desk", "POST /things", "k-1"),
        RequestKey("harbour", "shop", "POST /things", "k-1"),
        RequestKey("harbour", "desk", "POST /other", "k-1"),
    ):
        assert (await store.claim(other, b"two", claim=MINUTE)).ticket


async def test_the_claim_of_a_dead_process_ends_by_itself(store: IdempotencyStore) -> None:
    old = (await store.claim(KEY, b"same", claim=timedelta(milliseconds=30))).ticket
    assert old
    await asyncio.sleep(0.05)
    new = (await store.claim(KEY, b"same", claim=MINUTE)).ticket
    assert new
    await store.complete(KEY, old, ANSWER, keep=DAY)
    assert (await store.claim(KEY, b"same", claim=MINUTE)).answer is None
    await store.release(KEY, old)
    assert (await store.claim(KEY, b"same", claim=MINUTE)).ticket is None


async def test_a_claim_that_is_renewed_holds(store: IdempotencyStore) -> None:
    ticket = (await store.claim(KEY, b"same", claim=timedelta(milliseconds=200))).ticket
    assert ticket
    await store.renew(KEY, ticket, claim=MINUTE)
    await asyncio.sleep(0.25)
    assert (await store.claim(KEY, b"same", claim=MINUTE)).ticket is None


async def test_a_key_given_back_may_be_used_with_another_body(store: IdempotencyStore) -> None:
    ticket = (await store.claim(KEY, b"one", claim=MINUTE)).ticket
    assert ticket
    await store.release(KEY, ticket)
    assert (await store.claim(KEY, b"two", claim=MINUTE)).ticket


async def test_an_answer_is_forgotten_after_its_time(store: IdempotencyStore) -> None:
    ticket = (await store.claim(KEY, b"same", claim=MINUTE)).ticket
    assert ticket
    await store.complete(KEY, ticket, ANSWER, keep=timedelta(milliseconds=20))
    await asyncio.sleep(0.05)
    assert (await store.claim(KEY, b"other", claim=MINUTE)).ticket
    if isinstance(store, PostgresIdempotencyStore):
        assert await store.forget_expired() == 0


@pytest.mark.parametrize("given", [b"k-1", b'"k-1"', b"  k-1 "])
def test_a_key_is_read_quoted_or_bare(given: bytes) -> None:
    assert read_key(given) == "k-1"


def test_a_quoted_key_is_a_structured_field_string_of_up_to_255_characters() -> None:
    assert read_key(rb'"a\"b\\c"') == 'a"b\\c'
    assert len(read_key(b'"' + b"x" * 255 + b'"')) == 255
    with pytest.raises(MalformedRequest):
        read_key(b'"' + b"x" * 256 + b'"')


@pytest.mark.parametrize(
    "given",
    [b"", b"   ", b'""', b"x" * 256, b"two words", "schlüssel".encode(), b"\x07", b'"open', b'"a"b"', rb'"a\"'],
)
def test_a_key_that_cannot_be_one_is_refused(given: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_key(given)


async def test_a_request_without_its_key_is_refused(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "header.idempotency-key"
    assert door.things.made == 0


async def test_two_keys_at_once_are_no_key(door: Door) -> None:
    twice = [("Authorization", f"Bearer {door.issuer.token()}"), ("Idempotency-Key", "k1"), ("Idempotency-Key", "k2")]
    answer = await door.client.post("/things/v1/things", headers=twice, json={"hours": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert door.things.made == 0


async def test_the_same_request_is_done_once_and_answered_twice(door: Door) -> None:
    answers = [
        await door.post("/things/v1/things", json={"hours": 2}, headers={"idempotency-key": "k"}) for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert "idempotency-replayed" not in answers[0].headers
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert answers[1].headers["content-type"] == "application/json"
    assert len({answer.headers["x-correlation-id"] for answer in answers}) == 3
    assert door.things.made == 1


async def test_a_key_used_with_another_body_is_refused(door: Door) -> None:
    await door.post("/things/v1/things", json={"hours": 2}, headers={"idempotency-key": "k"})
    answer = await door.post("/things/v1/things", json={"hours": 3}, headers={"idempotency-key": "k"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "key_reused_differently"
    assert door.things.made == 1


async def test_another_person_of_the_same_client_does_not_get_the_answer(door: Door) -> None:
    await door.post("/things/v1/things", json={"hours": 2}, headers={"idempotency-key": "k"})
    bob = door.issuer.token(sub="bob")
    answer = await door.post("/things/v1/things", token=bob, json={"hours": 2}, headers={"idempotency-key": "k"})
    assert answer.status_code == 422


@pytest.mark.parametrize(("note", "status"), [("conflict", 409), ("throttled", 503), ("unknown", 504), ("boom", 500)])
async def test_a_request_that_did_nothing_may_be_tried_again_under_its_key(door: Door, note: str, status: int) -> None:
    body = {"hours": 2, "note": note}
    for _ in range(2):
        answer = await door.post("/things/v1/things", json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == status
    assert door.things.made == 2
    corrected = await door.post("/things/v1/things", json={"hours": 2}, headers={"idempotency-key": "k"})
    assert corrected.status_code == 201


async def test_the_second_request_is_told_to_wait_while_the_first_runs() -> None:
    store = MemoryIdempotencyStore()
    async with opened(idempotency=store) as door:
        entered, leave = asyncio.Event(), asyncio.Event()
        complete = store.complete

        async def slowly(key: RequestKey, ticket: str, answer: KeptAnswer, *, keep: timedelta) -> None:
            entered.set()
            await leave.wait()
            await complete(key, ticket, answer, keep=keep)

        store.complete = slowly  # type: ignore[method-assign]
        ask = {"json": {"hours": 2}, "headers": {"idempotency-key": "k"}}
        first = asyncio.create_task(door.post("/things/v1/things", **ask))
        await entered.wait()
        second = await door.post("/things/v1/things", **ask)
        assert second.status_code == 409
        assert second.json()["code"] == "still_running"
        assert second.headers["retry-after"] == "1"
        leave.set()
        assert (await first).status_code == 201
        assert (await door.post("/things/v1/things", **ask)).headers["idempotency-replayed"] == "true"


async def test_of_many_equal_requests_at_once_one_is_done_whatever_the_replica(postgres_url: str) -> None:
    """Two replicas on one PostgreSQL: every caller gets the one answer, or is told to wait."""
    await asyncio.to_thread(upgrade, postgres_url, "shared.gateway")
    databases = [Database(postgres_url, pool=5) for _ in range(2)]
    stores = [PostgresIdempotencyStore(database) for database in databases]
    async with opened(idempotency=stores[0]) as one, opened(idempotency=stores[1], issuer=one.issuer) as two:
        ask = {"json": {"hours": 2}, "headers": {"idempotency-key": '"many"'}}
        answers = await asyncio.gather(*(door.post("/things/v1/things", **ask) for door in [one, two] * 12))
        assert one.things.made + two.things.made == 1
        done = [answer for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len([answer for answer in done if "idempotency-replayed" not in answer.headers]) == 1
        assert len({answer.text for answer in done}) == 1
        for door in (one, two):
            again = await door.post("/things/v1/things", **ask)
            assert (again.text, again.headers["idempotency-replayed"]) == (done[0].text, "true")
    for database in databases:
        await database.aclose()


async def test_an_answer_is_kept_although_the_deadline_passed_meanwhile() -> None:
    store = MemoryIdempotencyStore()
    complete = store.complete

    async def slowly(key: RequestKey, ticket: str, answer: KeptAnswer, *, keep: timedelta) -> None:
        await asyncio.sleep(0.6)
        await complete(key, ticket, answer, keep=keep)

    store.complete = slowly  # type: ignore[method-assign]
    async with opened(documents(policies={"deadline": {"seconds": 0.4}}), idempotency=store) as door:
        ask = {"json": {"hours": 2}, "headers": {"idempotency-key": "k"}}
        assert (await door.post("/things/v1/things", **ask)).json()["code"] == "deadline_exceeded"
        await asyncio.sleep(0.4)
        again = await door.post("/things/v1/things", **ask)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert door.things.made == 1
