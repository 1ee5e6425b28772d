"""The registry of cross-references and the turnstile of writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from shared.errors.taxonomy import Conflict, NotFound, VendorThrottled, VendorUnavailable
from shared.persistence import Database, upgrade
from system_apis.crossref_store import CrossReference, CrossReferences, Turnstile


def place(number: str, ref: str, entity: str = "customer", system: str = "erp_one") -> CrossReference:
    return CrossReference(entity, number, system, ref)


@pytest.fixture
async def registry(postgres_url: str) -> AsyncIterator[CrossReferences]:
    await asyncio.to_thread(upgrade, postgres_url, "system_apis")
    database = Database(postgres_url, pool=4)
    registry = CrossReferences(database)
    yield registry
    await registry.aclose()
    await database.aclose()


async def test_a_place_is_remembered_once(registry: CrossReferences) -> None:
    for _ in range(2):
        await registry.record("harbour", [place("cus_1", "17"), place("cus_2", "18"), place("cus_1", "17")])
    assert await registry.get_ref("harbour", "customer", "cus_1", "erp_one") == "17"
    assert await registry.find_ref("harbour", "customer", "cus_3", "erp_one") is None
    with pytest.raises(NotFound, match="cus_3"):
        await registry.get_ref("harbour", "customer", "cus_3", "erp_one")


async def test_a_tenant_knows_its_own_places_only(registry: CrossReferences) -> None:
    await registry.record("harbour", [place("cus_1", "17")])
    assert await registry.find_ref("islands", "customer", "cus_1", "erp_one") is None
    await registry.record("islands", [place("cus_9", "17"), place("cus_1", "99")])
    assert await registry.get_ref("harbour", "customer", "cus_1", "erp_one") == "17"
    assert await registry.get_ref("islands", "customer", "cus_1", "erp_one") == "99"


async def test_one_of_theirs_is_never_two_of_ours(registry: CrossReferences) -> None:
    await registry.record("harbour", [place("cus_1", "17")])
    with pytest.raises(Conflict, match="17 of erp_one is known as cus_1") as refused:
        await registry.record("harbour", [place("cus_0", "16"), place("cus_2", "17")])
    assert refused.value.extra["claimed_by"] == "cus_2"
    assert await registry.find_ref("harbour", "customer", "cus_2", "erp_one") is None
    assert await registry.find_ref("harbour", "customer", "cus_0", "erp_one") is None  # all of a call, or nothing
    await registry.record("harbour", [place("cus_2", "17", entity="contract"), place("cus_2", "17", system="crm_one")])


async def test_a_record_made_anew_is_followed_to_its_new_place(registry: CrossReferences) -> None:
    await registry.record("harbour", [place("cus_1", "17"), place("cus_2", "18")])
    await registry.record("harbour", [place("cus_1", "21")])
    assert await registry.get_ref("harbour", "customer", "cus_1", "erp_one") == "21"
    with pytest.raises(Conflict):
        await registry.record("harbour", [place("cus_1", "18")])
    assert await registry.get_ref("harbour", "customer", "cus_1", "erp_one") == "21"
    await registry.record("harbour", [place("cus_3", "17")])


async def test_many_readers_may_record_the_same_places_at_once(registry: CrossReferences) -> None:
    places = [place(f"cus_{number}", str(number)) for number in range(60)]
    await asyncio.gather(
        *(registry.record("harbour", places[::step]) for step in (1, -1, 1, -1)),
        *(registry.record("harbour", places[number:]) for number in range(4)),
    )
    assert await registry.get_ref("harbour", "customer", "cus_59", "erp_one") == "59"


class Room:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    async def work(self, turnstile: Turnstile, key: str) -> None:
        async with turnstile.passing(key):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await asyncio.sleep(0.02)
            self.inside -= 1


async def test_writes_of_one_record_never_overlap_in_any_replica(postgres_url: str) -> None:
    replicas = [Turnstile(postgres_url) for _ in range(3)]
    same, other = Room(), Room()
    await asyncio.gather(
        *(same.work(replica, "harbour/invoice/inv_1") for replica in replicas for _ in range(5)),
        *(other.work(replicas[0], f"harbour/invoice/{number}") for number in range(20)),
    )
    assert same.most == 1
    assert other.most > 1
    with psycopg.connect(postgres_url) as admin:
        row = admin.execute(
            "SELECT count(*), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
            " FROM pg_stat_activity WHERE application_name = 'throughline turnstile'"
        ).fetchone()
    assert row == (3, 0)  # one session per replica however many wait, and nothing held afterwards
    for replica in replicas:
        await replica.aclose()


async def test_whoever_waits_too_long_is_told_that_nothing_was_changed(postgres_url: str) -> None:
    one, two = Turnstile(postgres_url, patience=0.3), Turnstile(postgres_url, patience=0.3)
    async with one.passing("k"):
        for waiting in (one, two):
            with pytest.raises(VendorThrottled, match="nothing was changed"):
                async with waiting.passing("k"):
                    pytest.fail("came in")
    async with two.passing("k"):
        pass
    await one.aclose()
    await two.aclose()


async def test_a_dead_process_leaves_no_turnstile_closed(postgres_url: str) -> None:
    dead, alive = Turnstile(postgres_url), Turnstile(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        async with dead.passing("k"):
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'throughline turnstile'"
            )
            async with alive.passing("k"):
                pass
    async with dead.passing("k"):  # and opens a new session for the next
        pass
    await dead.aclose()
    await alive.aclose()


async def test_without_a_database_nobody_passes() -> None:
    turnstile = Turnstile("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(VendorUnavailable):
        async with turnstile.passing("k"):
            pytest.fail("came in")
