"""The clients file: what it makes, and what it says about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import enrol, read_clients_file

from .conftest import House


def written(path: Path, **changes: Any) -> Path:
    seed = {"client_id": "ann", "tenant": "harbour", "roles": ["pmo"], "secret": "ann-secret-0123456789", **changes}
    path.write_text(yaml.safe_dump({"clients": [{k: v for k, v in seed.items() if v is not None}]}), "utf-8")
    return path


def without(path: Path, client_id: str) -> None:
    seeds = yaml.safe_load(path.read_text("utf-8"))
    seeds["clients"] = [seed for seed in seeds["clients"] if seed["client_id"] != client_id]
    path.write_text(yaml.safe_dump(seeds), "utf-8")


def replaced(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


async def test_secrets_are_stored_hashed_only(house: House) -> None:
    for client in house.register.clients.values():
        assert client.secret_hashes[0].startswith("$argon2id$")


async def test_starting_again_keeps_hashes_and_drops_clients_no_longer_in_the_file(
    house: House, clients_file: Path
) -> None:
    before = dict(house.register.clients)
    without(clients_file, "dan")
    await enrol(clients_file, register=house.register, keeper=house.keeper, book=role_book())
    assert house.register.clients["fiona"] == before["fiona"]
    assert (await house.token("dan")).status == 401


async def test_a_changed_secret_counts_at_once_and_the_old_one_no_more(house: House, clients_file: Path) -> None:
    await house.access_token("fiona")
    replaced(clients_file, "fiona-secret-0123456789", "another-secret-0123456789")
    await enrol(clients_file, register=house.register, keeper=house.keeper, book=role_book())
    assert (await house.token("fiona")).status == 401
    assert (await house.token("fiona", "another-secret-0123456789")).status == 200


async def test_a_secret_may_come_from_the_environment(house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "c.yaml", secret=None, secret_env="ANN_SECRET")
    environment = {"ANN_SECRET": "from-the-environment-1"}
    await enrol(file, register=house.register, keeper=house.keeper, book=role_book(), environment=environment)
    assert (await house.token("ann", "from-the-environment-1")).status == 200
    with pytest.raises(ValueError, match="environment variable ANN_SECRET"):
        await enrol(file, register=house.register, keeper=house.keeper, book=role_book(), environment={})


async def test_the_file_may_bind_a_client_to_customers(house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "c.yaml", customers=["cus_a", "cus_b"])
    (client,) = await enrol(file, register=house.register, keeper=house.keeper, book=role_book())
    assert client.customers == {"cus_a", "cus_b"}
    (client,) = await enrol(
        written(tmp_path / "c.yaml"), register=house.register, keeper=house.keeper, book=role_book()
    )
    assert client.customers is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"roles": ["king"]}, r"clients\.0\.roles: no such role: king"),
        ({"plann": "standard"}, r"clients\.0\.plann"),
        ({"tenant": ""}, r"clients\.0\.tenant"),
        ({"scopes": ["Deals"]}, r"clients\.0\.scopes"),
        ({"customers": []}, r"clients\.0\.customers"),
        ({"customers": ["a b"]}, r"clients\.0\.customers"),
        ({"secret": None}, "one of secret, secret_env"),
        ({"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]}, "acts_at"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_clients_file(written(tmp_path / "c.yaml", **changes), role_book())
    assert "ann-secret" not in str(caught.value)


def test_a_file_that_is_missing_or_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"clients_file .*none\.yaml"):
        read_clients_file(tmp_path / "none.yaml", role_book())
    broken = tmp_path / "broken.yaml"
    broken.write_text("clients: [", "utf-8")
    with pytest.raises(ValueError, match="not YAML"):
        read_clients_file(broken, role_book())
