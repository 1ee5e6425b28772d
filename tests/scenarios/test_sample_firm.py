"""The main job brings a whole firm through the house, to the cent: the sample firm, and one nobody has seen before."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.comparison import KEYS, compare, differing
from deploy.local.firm import read_firm
from deploy.local.main_job.command import run_demo
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import Processes
from deploy.local.report import DemoReport
from tests.factories.firm_rules import after_fixes, expected, read_tables
from tests.factories.generated_firm import write_firm

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sandbox" / "firm"
PHASES = ("first_run", "after_fixes")


@pytest.fixture
def places() -> Iterator[Places]:
    folder = Path(tempfile.mkdtemp(prefix="throughline-"))
    folder.chmod(0o755)  # PostgreSQL does not run as root: another user must be able to come in
    yield Places(folder)
    shutil.rmtree(folder)


def run(firm: Path, places: Places) -> DemoReport:
    report = run_demo(read_firm(firm), places, Ports.free(), Console(quiet=True), as_json=True)
    assert Processes(places.pids, places.logs, die_with_us=True).names() == []
    return report


@pytest.mark.timeout(600)
def test_the_sample_firm_comes_out_as_expected_to_the_cent(places: Places) -> None:
    report = run(SAMPLE, places)
    for phase in PHASES:
        comparison = compare(places.report_dir / phase, SAMPLE / "expected" / phase)
        assert comparison.is_equal, comparison.summary()
    document = json.loads(places.report_file.read_text(encoding="utf-8"))
    assert document["as_expected"]
    assert document["phases"]["first_run"]["activated"] == 49
    assert len(document["phases"]["after_fixes"]["exceptions"]) == 5
    # without the main job: here it runs in the worker, which carries the memory of every test before it
    assert sum(size for name, size in report.peak_mib.items() if name != "main job") < 2048


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [7, 20261120])
def test_a_firm_nobody_has_seen_comes_out_as_the_rules_say(places: Places, tmp_path: Path, seed: int) -> None:
    """Yen, caps, blank roles, customers that pay nothing, parents, and entries on the days where rates change."""
    folder = write_firm(tmp_path / "firm", seed=seed)
    report = run(folder, places)
    tables = read_tables(folder)
    fixed, aliases = after_fixes(tables)
    for phase, outcome in zip(report.phases, (expected(tables), expected(fixed, aliases)), strict=True):
        for name, rows in outcome.tables().items():
            assert differing(phase.tables[name], rows, KEYS[name]) == [], f"{phase.name} {name}"
