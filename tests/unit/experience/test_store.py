"""The issuer's memory on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from experience_apis.identity.credentials import SecretKeeper
from experience_apis.identity.keys import KeyRing, Seal
from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import enrol
from experience_apis.identity.store import IdentityStore
from shared.persistence.database import Database
from shared.persistence.migrations import upgrade


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[IdentityStore]:
    upgrade(postgres_url, "experience_apis")
    database = Database(postgres_url, pool=3)
    yield IdentityStore(database)
    await database.aclose()


async def test_the_file_decides_which_clients_there_are(
    store: IdentityStore, clients_file: Path, tmp_path: Path
) -> None:
    keeper, book = SecretKeeper(), role_book()
    written = await enrol(clients_file, register=store, keeper=keeper, book=book)
    for client in written:
        assert await store.client(client.client_id) == client
    again = await enrol(clients_file, register=store, keeper=keeper, book=book)
    assert [client.secret_hashes for client in again] == [client.secret_hashes for client in written]
    bound = replace(written[0], customers=frozenset({"cus_a", "cus_b"}))
    await store.enrol([bound, *written[1:]])
    assert await store.client(bound.client_id) == bound
    nobody = tmp_path / "nobody.yaml"
    nobody.write_text("clients: []", "utf-8")
    await enrol(nobody, register=store, keeper=keeper, book=book)
    assert await store.client("fiona") is None
    assert await store.client("fi\x00ona") is None


async def test_two_replicas_starting_together_end_with_one_key_and_rotation_keeps_the_old_one_a_while(
    store: IdentityStore,
) -> None:
    rings = [KeyRing(store, Seal("one secret")) for _ in range(2)]
    for ring in rings:
        await ring.open()
    first = (await rings[0].current()).kid
    assert (await rings[1].current()).kid == first
    fresh = await rings[0].rotate()
    kept = {key.kid: key for key in await store.keys()}
    assert set(kept) == {first, fresh}
    assert (await rings[0].current()).kid == first
    retires_at = kept[first].retires_at
    assert retires_at is not None
    assert retires_at > kept[fresh].signs_from
    assert kept[fresh].retires_at is None
