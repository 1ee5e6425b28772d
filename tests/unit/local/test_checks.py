"""`throughline check` looks at what a start would write, and leaves what is there as it is."""

from __future__ import annotations

from pathlib import Path

from deploy.local.checks import configuration_problems
from deploy.local.installation import Installation
from deploy.local.places import Places
from deploy.local.ports import Ports


def files(root: Path) -> dict[str, tuple[str, int]]:
    found = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): (path.read_text(encoding="utf-8"), path.stat().st_mtime_ns) for path in found}


def test_a_check_leaves_an_installation_as_it_is(tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    Installation.of(places, Ports.free()).write()
    before = files(places.root)
    assert len(before) == 6
    assert configuration_problems(places, Ports.free()) == []
    assert files(places.root) == before


def test_a_check_of_nothing_makes_nothing(tmp_path: Path) -> None:
    assert configuration_problems(Places(tmp_path / "state"), Ports.free()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_of_secrets_is_named(tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    Installation.of(places, Ports.free())
    file = places.keys / "secrets.json"
    file.write_text("{", encoding="utf-8")
    [problem] = configuration_problems(places, Ports.free())
    assert problem.startswith(f"{file}: cannot be used: ")
