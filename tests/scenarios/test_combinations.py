"""Any CRM with any PSA with any ERP: the same firm comes out the same, to the cent, whoever plays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.choice import Choice
from deploy.local.excerpt import chosen_deals, write_excerpt
from deploy.local.firm import Firm, read_firm
from deploy.local.matrix import players, run_cell
from deploy.sandbox.kit.vendor import Role
from tests.scenarios.test_sample_firm import SAMPLE

SYSTEMS = [
    ("hubspot", "certinia", "dynamics_finance"),
    ("dynamics_sales", "kantata", "s4hana"),
    ("salesforce", "certinia", "oracle_fusion"),
    ("hubspot", "kantata", "netsuite,HC-DE=s4hana,HC-JP=oracle_fusion"),
    ("tryton", "tryton", "tryton"),
]
"""With the sample firm's own (salesforce, kantata, netsuite) every vendor plays every role it can at least once."""
DEALS = 8


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


@pytest.mark.parametrize("role", ["crm", "psa", "erp"])
def test_every_vendor_is_tried_in_every_role_it_plays(role: Role) -> None:
    tried = [Choice(), *(Choice.of(*one) for one in SYSTEMS)]
    of_role = {"crm": lambda c: (c.crm,), "psa": lambda c: (c.psa,), "erp": lambda c: c.erps()}[role]
    assert {name for choice in tried for name in of_role(choice)} == set(players(role))


def test_an_excerpt_is_various_and_always_the_same(excerpt: tuple[Firm, Path]) -> None:
    firm, outcome = excerpt
    whole = read_firm(SAMPLE)
    assert chosen_deals(whole, DEALS) == chosen_deals(whole, DEALS)
    assert len({row["legal_entity"] for row in firm.won()}) == len(firm["erp/legal_entities.csv"])
    assert {row["kind"] for row in firm["fixes.csv"]} == {row["kind"] for row in whole["fixes.csv"]}
    assert sorted(path.name for path in outcome.iterdir()) == ["after_fixes", "first_run"]
