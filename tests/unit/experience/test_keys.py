"""How signing keys are made, kept and replaced."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from experience_apis.identity.keys import ANNOUNCED_BEFORE, KEPT_AFTER, KeyRing, Seal, sealing_secret
from experience_apis.identity.tokens import Bearer, TokenPress
from tests.unit.gateway.door import Issuer, documents, opened

from .conftest import ISSUER, House, MemoryRegister


async def test_replicas_that_start_together_share_one_key(house: House) -> None:
    second = KeyRing(house.register, Seal("a sealing secret"))
    await second.open()
    assert (await second.current()).kid == (await house.keys.current()).kid
    assert len(house.register.shelf) == 1


async def test_a_private_key_is_never_stored_in_clear(house: House) -> None:
    kept = house.register.shelf[0]
    assert "d" not in kept.public
    assert kept.sealed.count(".") == 4  # JWE compact form


async def test_another_sealing_secret_stops_the_start_and_names_the_setting(house: House) -> None:
    with pytest.raises(ValueError, match="sealing_key"):
        await KeyRing(house.register, Seal("something else")).open()


async def test_a_new_key_is_announced_before_it_signs_and_old_tokens_still_count(house: House) -> None:
    first = (await house.keys.current()).kid
    token = await house.access_token("fiona")
    fresh = await house.keys.rotate()
    assert {key["kid"] for key in (await house.issuer.jwks())["keys"]} == {first, fresh}
    assert (await house.keys.current()).kid == first
    house.clock[0] += (ANNOUNCED_BEFORE + timedelta(seconds=1)).total_seconds()
    assert (await house.keys.current()).kid == fresh
    house.clock[0] -= 300
    reply = await house.issuer.introspect(house.call("fiona", None, [("token", token)]))
    assert reply.body["active"] is True


def test_the_sealing_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "sealing.key"
    secret = sealing_secret(None, file)
    assert sealing_secret(None, file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sealing_secret("configured", file) == "configured"


async def test_keys_change_under_a_tier_that_never_restarts() -> None:
    clock = [datetime.now(UTC)]
    register = MemoryRegister()
    ring = KeyRing(register, Seal("a sealing secret"), now=lambda: clock[0])
    await ring.open()
    press, bearer = TokenPress(ISSUER, lifetime=900), Bearer("ada", "harbour", "standard")

    async def token() -> str:
        scopes = frozenset({"things.read"})
        stamped, _ = press.stamp(
            await ring.current(), bearer=bearer, client_id="desk", audience=["throughline-system"], scopes=scopes
        )
        return stamped

    policies = {"jwt": {"when_revocations_are_stale": "admit", "refetch_seconds": 0.001}}
    async with opened(documents(policies=policies), issuer=Published(ring), issuer_url=ISSUER) as door:

        async def counts(shown: str) -> bool:
            return (await door.get("/things/v1/things", token=shown)).status_code == 200

        before = await token()
        assert await counts(before)
        old, fresh = (await ring.current()).kid, await ring.rotate()
        during = await token()
        assert kid_of(during) == old
        assert await counts(during)
        clock[0] += ANNOUNCED_BEFORE + timedelta(seconds=10)
        after = await token()
        assert kid_of(after) == fresh
        assert [await counts(one) for one in (before, during, after)] == [True, True, True]
        assert [key.state for key in await ring.listed()] == ["verifying", "signing"]
        clock[0] += KEPT_AFTER
        register.retired.add(old)
        clock[0] += timedelta(seconds=10)
        assert [key["kid"] for key in (await ring.published())["keys"]] == [fresh]
        assert [key.state for key in await ring.listed()] == ["retired", "signing"]
        assert await counts(await token())


async def test_keys_of_age_are_replaced_by_themselves_once_whatever_the_number_of_replicas(house: House) -> None:
    replicas = [house.keys, KeyRing(house.register, Seal("a sealing secret"), now=house.now)]
    await replicas[1].open()
    assert await house.keys.rotate_if_older(timedelta(days=30)) is None
    house.clock[0] += timedelta(days=30, seconds=1).total_seconds()
    announced = [await ring.rotate_if_older(timedelta(days=30)) for ring in replicas]
    assert [one is not None for one in announced] == [True, False]
    assert len(house.register.shelf) == 2


async def test_a_leaked_key_is_followed_by_one_that_signs_at_once(house: House) -> None:
    leaked = (await house.keys.current()).kid
    token = await house.access_token("fiona")
    assert await house.keys.revoke(leaked, reason="leaked")
    assert not await house.keys.revoke(leaked, reason="leaked")
    assert not await house.keys.revoke("no-such-key", reason="leaked")
    assert (await house.keys.current()).kid != leaked
    assert leaked not in {key["kid"] for key in (await house.issuer.jwks())["keys"]}
    told = await house.issuer.introspect(house.call("fiona", None, [("token", token)]))
    assert told.body == {"active": False}
    assert kid_of(await house.access_token("fiona")) != leaked


def kid_of(token: str) -> str:
    return str(pyjwt.get_unverified_header(token)["kid"])


class Published(Issuer):
    """The keys of a ring as the door fetches them."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__()
        self.ring = ring

    async def keys(self) -> dict[str, Any]:
        return await self.ring.published()


async def test_whichever_key_leaks_after_a_rotation_one_that_stays_signs_from_then_on(house: House) -> None:
    first = (await house.keys.current()).kid
    announced = await house.keys.rotate()
    assert await house.keys.revoke(first, reason="leaked")
    fresh = (await house.keys.current()).kid
    house.clock[0] += (ANNOUNCED_BEFORE + timedelta(seconds=1)).total_seconds()
    assert fresh not in {first, announced}
    assert (await house.keys.current()).kid == fresh, "the announced one would end before the tokens it signs"

    second = await house.keys.rotate()
    house.clock[0] += (ANNOUNCED_BEFORE + timedelta(seconds=1)).total_seconds()
    assert (await house.keys.current()).kid == second
    assert await house.keys.revoke(second, reason="leaked")
    signing = (await house.keys.current()).kid
    assert signing not in {first, announced, fresh, second}
    ends = {kept.kid: kept.retires_at for kept in await house.keys.listed()}
    assert ends[signing] is None, "else nobody signs one day"
