"""Bad configuration stops the start of every tier with exit code 2 and names the key, and nothing else is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.gateway.door import GATEWAY_DIR
from tests.unit.process.conftest import TENANTS

ROOT = GATEWAY_DIR.parents[1]
TIERS = ("system", "process", "experience")
PSA = {"vendor": "kantata", "settings": {"base_url": "http://127.0.0.1:9"}, "secrets": {"access_token": "t"}}


def environment(tier: str, folder: Path) -> dict[str, str]:
    """What the tier needs to start; nothing listens where it points."""
    tenants, clients = folder / "tenants", folder / "clients.yaml"
    tenants.mkdir()
    (tenants / "harbour.yaml").write_text(yaml.safe_dump({"connectors": {"psa": PSA}}), encoding="utf-8")
    clients.write_text(yaml.safe_dump({"clients": []}), encoding="utf-8")
    values = {
        "PORT": "0",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "ISSUER_URL": "http://127.0.0.1:8103",
        "AUDIENCE": f"throughline-{tier}",
        "GATEWAY_DIR": str(GATEWAY_DIR),
    }
    values |= {
        "system": {"TENANTS_DIR": str(tenants)},
        "process": {"SYSTEM_URL": "http://127.0.0.1:8101", "TENANTS_DIR": str(TENANTS)},
        "experience": {
            "PROCESS_URL": "http://127.0.0.1:8102",
            "CLIENTS_FILE": str(clients),
            "SEALING_KEY": "not a secret: nothing is kept",
        },
    }[tier]
    return {f"THROUGHLINE_{tier.upper()}_{key}": value for key, value in values.items()}


def start(tier: str, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    command = [sys.executable, "-m", f"{tier}_apis"]
    return subprocess.run(  # noqa: S603 - our own program
        command, env=own | values, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def refused(tier: str, values: dict[str, str], *said: str) -> None:
    ended = start(tier, values)
    assert ended.returncode == 2, ended.stderr[-2000:]
    lines = ended.stderr.strip().splitlines()
    for part in said:
        assert any(part in line for line in lines), ended.stderr[-2000:]
    assert "Traceback" not in ended.stderr
    assert not any("not a secret" in line for line in lines)


@pytest.mark.parametrize("tier", TIERS)
def test_every_wrong_or_missing_key_is_named_at_once(tier: str, tmp_path: Path) -> None:
    prefix = f"THROUGHLINE_{tier.upper()}_"
    values = environment(tier, tmp_path)
    values[f"{prefix}PORT"] = "eighty"
    values[f"{prefix}DATABASE_URL"] = "mysql://somewhere"
    values[f"{prefix}COUNTERS_URL"] = "ftp://somewhere"
    values[f"{prefix}LOG_LEVEL"] = "LOUD"
    del values[f"{prefix}ISSUER_URL"]
    refused(
        tier,
        values,
        f"{prefix}PORT: ",
        f"{prefix}DATABASE_URL: ",
        f"{prefix}COUNTERS_URL: ",
        f"{prefix}LOG_LEVEL: ",
        f"{prefix}ISSUER_URL: is not set",
    )


@pytest.mark.parametrize(
    ("tier", "key"), [("system", "TENANTS_DIR"), ("process", "SYSTEM_URL"), ("experience", "CLIENTS_FILE")]
)
def test_a_tiers_own_key_is_named_when_it_is_missing(tier: str, key: str, tmp_path: Path) -> None:
    values = environment(tier, tmp_path)
    del values[f"THROUGHLINE_{tier.upper()}_{key}"]
    refused(tier, values, f"THROUGHLINE_{tier.upper()}_{key}: is not set")


@pytest.mark.parametrize("tier", TIERS)
def test_policy_documents_that_are_not_there_or_wrong_stop_the_start(tier: str, tmp_path: Path) -> None:
    values = environment(tier, tmp_path)
    folder = tmp_path / "gateway"
    (folder / tier).mkdir(parents=True)
    (folder / "plans.yaml").write_text((GATEWAY_DIR / "plans.yaml").read_text("utf-8"), encoding="utf-8")
    (folder / tier / "tier.yaml").write_text("policies: {jwt: {algorithms: [none]}}", encoding="utf-8")
    values[f"THROUGHLINE_{tier.upper()}_GATEWAY_DIR"] = str(folder)
    refused(tier, values, "tier.yaml")


@pytest.mark.parametrize(
    ("tier", "file", "text", "said"),
    [
        ("system", "tenants/harbour.yaml", "connectors: {psa: {vendor: nobody}}", "connectors.psa.vendor"),
        ("system", "tenants/harbour.yaml", "connectors: [", "not YAML"),
        ("experience", "clients.yaml", "clients: [{client_id: a, nonsense: 1}]", "nonsense"),
    ],
)
def test_a_wrong_file_stops_the_start_naming_file_and_key(
    tier: str, file: str, text: str, said: str, tmp_path: Path
) -> None:
    values = environment(tier, tmp_path)
    (tmp_path / file).write_text(text, encoding="utf-8")
    refused(tier, values, said, "TENANTS_DIR: harbour.yaml: " if tier == "system" else "CLIENTS_FILE")


def test_wrong_rules_of_a_firm_stop_the_start_of_the_process_tier(tmp_path: Path) -> None:
    values = environment("process", tmp_path)
    rules = yaml.safe_load((TENANTS / "harbour.yaml").read_text("utf-8"))
    rules["approvals"]["finance_from"] = "much"
    (tmp_path / "tenants" / "harbour.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    values["THROUGHLINE_PROCESS_TENANTS_DIR"] = str(tmp_path / "tenants")
    refused("process", values, "THROUGHLINE_PROCESS_TENANTS_DIR: ", "finance_from")
