"""The users file, passwords that are taken, and paths that are ours: what needs no tier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from experience_apis.identity.pages.press import page_wording
from experience_apis.identity.people.passwords import PasswordFault, PasswordKeeper, password_fault
from experience_apis.identity.people.seeds import enrol_people, read_users_file
from experience_apis.identity.people.store import PeopleStore
from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import ClientSeed
from shared.persistence import Database, upgrade

PAUL = {"name": "paul", "full_name": "Paul", "tenant": "harbour", "roles": ["pmo"], "password": "three unrelated words"}


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("three unrelated words", None),
        ("drei übliche Wörter", None),
        ("        x-y-z-1", None),
        ("elevenchars", PasswordFault.TOO_SHORT),
        ("aaaaaaaaaaaaaaaa", PasswordFault.TOO_COMMON),
        ("PassWord1234", PasswordFault.TOO_COMMON),
        ("abcdefghijklmn", PasswordFault.TOO_COMMON),
        ("567890123456789", PasswordFault.TOO_COMMON),
        ("paulpaulpaul1", PasswordFault.NAMES_THE_PERSON),
        ("y" * 201, PasswordFault.TOO_LONG),
    ],
)
def test_length_and_rarity_decide_about_a_password(password: str, fault: PasswordFault | None) -> None:
    assert password_fault(password, name="paul") is fault


async def test_the_same_characters_typed_otherwise_are_the_same_password() -> None:
    keeper = PasswordKeeper()
    assert await keeper.matches("Schlu\u0308ssel zum Hafen", await keeper.hashed("Schlüssel zum Hafen"))
    assert not await keeper.matches("anything", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"roles": ["king"]}, "users.0.roles: no such role: king"),
        ({"roles": ["customer"]}, "names its customers"),
        ({"name": "Paul"}, "users.0.name"),
        ({"password": None}, "password or password_env"),
        ({"colour": "red"}, "users.0.colour"),
    ],
)
def test_a_wrong_users_file_is_refused_naming_the_place(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump({"users": [PAUL | change]}), "utf-8")
    with pytest.raises(ValueError, match="users_file") as refusal:
        read_users_file(path, role_book())
    assert reason in str(refusal.value)
    assert "unrelated" not in str(refusal.value)


def test_two_people_are_never_one_subject(tmp_path: Path) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump({"users": [PAUL, PAUL | {"name": "p2", "subject": "paul"}]}), "utf-8")
    with pytest.raises(ValueError, match="used twice: harbour/paul"):
        read_users_file(path, role_book())


async def test_a_changed_password_outlives_a_restart_until_the_file_states_another(
    tmp_path: Path, postgres_url: str
) -> None:
    upgrade(postgres_url, "experience_apis")
    database, keeper, path = Database(postgres_url), PasswordKeeper(), tmp_path / "users.yaml"
    people = PeopleStore(database)

    async def enrol(*seeds: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump({"users": list(seeds)}), "utf-8")
        await enrol_people(path, people=people, keeper=keeper, book=role_book())

    async def holds(password: str) -> bool:
        found = await people.find("paul")
        assert found is not None
        return await keeper.matches(password, found.password_hash)

    await enrol(PAUL)
    await people.set_password("paul", await keeper.hashed("chosen by Paul himself"), must_change=False)
    await enrol(PAUL | {"roles": ["pmo", "operator"]})
    assert await holds("chosen by Paul himself")
    found = await people.find("PAUL")
    assert found is not None
    assert found.roles == {"pmo", "operator"}
    await enrol(PAUL | {"password": "stated by the file anew"})
    assert await holds("stated by the file anew")

    await people.set_enabled("paul", is_enabled=False)
    await enrol(PAUL)
    found = await people.find("paul")
    assert found is not None
    assert not found.is_enabled, "whom an administrator disabled stays so, whatever the file says"
    await people.set_enabled("paul", is_enabled=True)
    await enrol()
    found = await people.find("paul")
    assert found is not None
    assert not found.is_enabled, "whoever left the file is out"
    await database.aclose()


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({}, True),
        ({"redirect_uris": ["http://127.0.0.1:8103/done", "http://[::1]/x", "com.example.app:/done"]}, True),
        ({"redirect_uris": ["http://portal.example/done"]}, False),
        ({"redirect_uris": ["https://portal.example/done#fragment"]}, False),
        ({"redirect_uris": ["javascript:alert(1)"]}, False),
        ({"redirect_uris": []}, False),
        ({"grant_types": ["client_credentials"], "redirect_uris": []}, False),
        ({"secret": "a secret it cannot keep"}, False),
    ],
)
def test_a_client_that_keeps_no_secret_is_sent_codes_to_safe_addresses_only(
    change: dict[str, Any], is_taken: bool
) -> None:
    seed = {
        "client_id": "spa",
        "tenant": "harbour",
        "is_public": True,
        "grant_types": ["authorization_code"],
        "redirect_uris": ["https://portal.example/done"],
    } | change
    if is_taken:
        assert ClientSeed.model_validate(seed).auth_method == "none"
    else:
        with pytest.raises(ValueError, match=r"redirect_uris|secret"):
            ClientSeed.model_validate(seed)


def test_both_languages_say_the_same_things_and_every_scope_has_words() -> None:
    english, german = (page_wording(language).sentences for language in ("en", "de"))
    assert english.keys() == german.keys()
    book = role_book()
    people = {name for name in book.roles if not name.endswith("_tier")}
    assert {f"scopes.{scope}" for scope in book.scopes_of(people)} <= english.keys()
