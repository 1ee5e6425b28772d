"""`throughline users`: people added, ended and let in again by whoever runs the installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.local.failures import JobFailed
from deploy.local.installation import Installation
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.users_command import DATABASE_VARIABLE, users_app
from experience_apis.identity.people.seeds import read_users_file
from experience_apis.identity.roles import role_book

EVA = ["add", "eva", "--full-name", "Eva Neu", "--role", "customer", "--customer", "cus_a", "--language", "de"]
WORDS = "three unrelated words\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> Callable[..., Result]:
    monkeypatch.setenv(DATABASE_VARIABLE, postgres_url)

    def do(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(users_app, list(arguments), input=typed)

    return do


def test_people_are_added_disabled_and_let_in_again_with_their_password_from_stdin(
    run: Callable[..., Result],
) -> None:
    assert run(*EVA, typed=WORDS).stdout == "added: eva\n"
    found = json.loads(run("list", "--json").stdout)["people"]
    assert [(one["name"], one["tenant"], one["roles"], one["customers"]) for one in found] == [
        ("eva", "harbour", ["customer"], ["cus_a"])
    ]
    assert "new password due" in run("list").output
    assert "disabled: eva" in run("disable", "eva").output
    assert json.loads(run("list", "--json").stdout)["people"][0]["is_enabled"] is False
    for again in (("enable", "eva"), ("unlock", "eva")):
        assert run(*again).exit_code == 0
    assert "password set: eva" in run("set-password", "eva", typed="four quite unrelated words\n").output

    for arguments, typed, reason in (
        (EVA, WORDS, "taken"),
        (["add", "carl", "--full-name", "Carl", "--role", "customer"], WORDS, "names its customers"),
        (["add", "carl", "--full-name", "Carl", "--role", "king"], WORDS, "no such role: king"),
        (["add", "carl", "--full-name", "Carl", "--role", "pmo"], "short\n", "too short"),
        (["set-password", "nobody"], WORDS, "nobody called nobody"),
    ):
        refused = run(*arguments, typed=typed)
        assert isinstance(refused.exception, JobFailed), refused.output
        assert reason in str(refused.exception)


def test_an_installation_seeds_the_sample_firms_people_as_the_same_persons_as_its_clients(tmp_path: Path) -> None:
    installation = Installation.of(Places(tmp_path), Ports.free())
    installation.write()
    seeds = {seed.name: seed for seed in read_users_file(installation.places.users_file, role_book()).users}
    assert {"paul", "dan", "fiona", "olga", "alex", "carla", "dora", "ada"} == set(seeds)
    document = json.loads(installation.places.run_file.read_text())
    clients = set(document["clients"])
    for name in ("paul", "dan", "fiona", "olga", "alex"):
        assert (seeds[name].subject or name) in clients, "approvals see one person"
    assert seeds["carla"].customers
    assert len({one["password"] for one in document["people"].values()}) == len(seeds)
    again = Installation.of(installation.places, installation.ports)
    assert again.run_document()["people"] == document["people"], "passwords stay"
