"""How signing keys are made, kept and replaced."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from experience_apis.identity.keys import ANNOUNCED_BEFORE, KeyRing, Seal, sealing_secret

from .conftest import House


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
