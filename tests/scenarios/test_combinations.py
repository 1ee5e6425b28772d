"""Any CRM with any PSA with any ERP: the same firm comes out the same, to the cent, whoever plays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from deploy.local.choice import DEFAULTS, Choice
from deploy.local.excerpt import chosen_deals, write_excerpt
from deploy.local.firm import Firm, read_firm
from deploy.local.matrix import players, run_cell
from deploy.sandbox.kit.vendor import Role
from tests.scenarios.test_sample_firm import SAMPLE

CURATED = [
    ("hubspot", "certinia", "dynamics_finance"),
    ("dynamics_sales", "kantata", "s4hana"),
    ("salesforce", "certinia", "oracle_fusion"),
    ("hubspot", "kantata", "netsuite,HC-DE=s4hana,HC-JP=oracle_fusion"),
    ("tryton", "tryton", "tryton"),
]
"""Combinations that are worth trying together; whoever plays in none of them gets a row of its own."""
ROLES: tuple[Role, ...] = ("crm", "psa", "erp")
DEALS = 8


def _played(choice: Choice) -> set[tuple[Role, str]]:
    return {("crm", choice.crm), ("psa", choice.psa), *(("erp", name) for name in choice.erps())}


def rows(playing: Mapping[Role, Sequence[str]]) -> list[tuple[str, str, str]]:
    """The curated rows, and one per vendor that lacks a role there: it plays those roles, the defaults the others."""
    tried = {part for choice in (Choice(), *(Choice.of(*one) for one in CURATED)) for part in _played(choice)}
    lacking: dict[str, dict[Role, str]] = {}
    for role in ROLES:
        for name in playing[role]:
            if (role, name) not in tried:
                lacking.setdefault(name, {})[role] = name
    more = [{**DEFAULTS, **own} for own in lacking.values()]
    return [*CURATED, *((row["crm"], row["psa"], row["erp"]) for row in more)]


SYSTEMS = rows({role: players(role) for role in ROLES})
"""With the sample firm's own (salesforce, kantata, netsuite) every vendor plays every role it can at least once."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="throughline-"))
    made.chmod(0o755)  # PostgreSQL does not run as root: another user must be able to come in
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def excerpt(folder: Path) -> tuple[Firm, Path]:
    whole = read_firm(SAMPLE)
    outcome = write_excerpt(whole, chosen_deals(whole, DEALS), folder / "firm")
    return read_firm(folder / "firm"), outcome


@pytest.mark.timeout(400)
@pytest.mark.parametrize("systems", SYSTEMS, ids=["-".join(one).replace(",", "+") for one in SYSTEMS])
def test_the_same_firm_comes_out_the_same(
    systems: tuple[str, str, str], excerpt: tuple[Firm, Path], folder: Path
) -> None:
    firm, outcome = excerpt
    cell = run_cell(firm, outcome, Choice.of(*systems), folder / "house")
    assert cell.failure == ""
    assert list(cell.differences) == []
    assert cell.rows > 50


@pytest.mark.parametrize("role", ROLES)
def test_every_vendor_is_tried_in_every_role_it_plays(role: Role) -> None:
    tried = {part for choice in (Choice(), *(Choice.of(*one) for one in SYSTEMS)) for part in _played(choice)}
    assert {name for played, name in tried if played == role} == set(players(role))


def test_a_vendor_nobody_listed_is_tried_beside_the_defaults() -> None:
    playing: dict[Role, list[str]] = {role: players(role) for role in ROLES}
    assert rows(playing) == SYSTEMS
    playing["crm"].append("newcomer")
    playing["psa"].append("suite")
    playing["erp"].append("suite")
    assert rows(playing)[len(SYSTEMS) :] == [("newcomer", "kantata", "netsuite"), ("salesforce", "suite", "suite")]


def test_an_excerpt_is_various_and_always_the_same(excerpt: tuple[Firm, Path]) -> None:
    firm, outcome = excerpt
    whole = read_firm(SAMPLE)
    assert chosen_deals(whole, DEALS) == chosen_deals(whole, DEALS)
    assert len({row["legal_entity"] for row in firm.won()}) == len(firm["erp/legal_entities.csv"])
    assert {row["kind"] for row in firm["fixes.csv"]} == {row["kind"] for row in whole["fixes.csv"]}
    assert sorted(path.name for path in outcome.iterdir()) == ["after_fixes", "first_run"]
