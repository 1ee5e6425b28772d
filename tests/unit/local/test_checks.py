"""`throughline check` looks at what a start would write, and leaves what is there as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from deploy.local.checks import configuration_problems, connector_problems
from deploy.local.choice import Choice
from deploy.local.installation import Installation
from deploy.local.places import Places
from deploy.local.ports import Ports
from shared.errors.taxonomy import Misconfigured
from system_apis.catalog import CONNECTORS
from system_apis.tenant_files import read_tenant_file


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


def test_files_of_a_connector_that_nobody_bound_are_checked_too(tmp_path: Path) -> None:
    folder = tmp_path / "kantata"
    shutil.copytree(CONNECTORS / "kantata", folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert connector_problems(tmp_path) == []
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("plays: [psa]", "plays: [pso]"), encoding="utf-8")
    (folder / "conformance.yaml").unlink()
    about_manifest, about_score = connector_problems(tmp_path)
    assert about_manifest.startswith("manifest.yaml of connector kantata: plays.0: ")
    assert about_score.startswith("conformance.yaml of connector kantata cannot be read: ")


def test_a_tenants_own_mapping_is_bound_and_checked_with_the_systems_that_were_chosen(tmp_path: Path) -> None:
    places, choice = Places(tmp_path / "state"), Choice.of(crm="hubspot", erp="netsuite,HC-DE=s4hana")
    Installation.of(places, Ports.free(), choice).write()
    places.fields.mkdir()
    (places.fields / "crm.yaml").write_text("opportunity: {region: tl_area}\n", encoding="utf-8")
    (places.fields / "erp-HC-DE.yaml").write_text("customer: {nonsense: X}\n", encoding="utf-8")
    Installation.of(places, Ports.free(), choice).write()
    bound = yaml.safe_load((places.tenants / "harbour.yaml").read_text(encoding="utf-8"))["connectors"]
    assert bound["crm"]["fields"] == "fields/crm.yaml"
    assert "fields" not in bound["psa"]
    assert bound["erp"]["legal_entities"]["HC-DE"]["fields"] == "fields/erp-HC-DE.yaml"
    [problem] = configuration_problems(places, Ports.free())
    assert "erp-HC-DE.yaml: customer.nonsense: no canonical field of it" in problem
    (places.fields / "erp-HC-DE.yaml").unlink()
    assert configuration_problems(places, Ports.free()) == []
    (places.tenants / "own.yaml").write_text("opportunity: {region: tl_area}\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"own\.yaml: connectors: Field required .*lie in a folder below"):
        read_tenant_file(places.tenants / "own.yaml")
