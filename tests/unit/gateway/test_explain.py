"""What a policy document says for one operation and one plan, as it is told and as it is done."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deploy.local.policies_command import app, checked
from shared.gateway.document import GatewayDocuments, Registry, load_documents
from shared.gateway.explain import Explained, explain, find_operation
from shared.gateway.order import ORDER
from shared.gateway.risks import lifecycle_risks, risks
from tests.unit.gateway.door import GATEWAY_DIR, OPERATIONS, documents, opened

ROOT = GATEWAY_DIR.parents[1]
LEVELS: dict[str, Any] = {
    "GET /things": {"scopes": ["things.read"], "policies": {"deadline": {"seconds": 3}}},
    "POST /things": {
        "scopes": ["things.write"],
        "plans": {
            "trial": {
                "size_limit": {"max_bytes": 40},
                "rate_limit": {"windows": [{"name": "daily", "requests": 2, "per_seconds": 86400}]},
            }
        },
    },
}


def declared(**changes: Any) -> GatewayDocuments:
    return documents(
        operations={**OPERATIONS, **LEVELS}, version={"policies": {"size_limit": {"max_bytes": 80}}}, **changes
    )


def policy_of(documents: GatewayDocuments, operation: str, name: str, plan: str | None = None) -> Explained:
    method, _, path = operation.partition(" ")
    found = find_operation(documents, method, path)
    assert found is not None
    return next(one for one in explain(documents, found, plan).chain if one.policy == name)


def test_every_setting_names_the_level_it_comes_from() -> None:
    declaration = declared()
    assert policy_of(declaration, "GET /things/v1/things", "jwt").origin == "tier"
    assert policy_of(declaration, "GET /things/v1/things", "size_limit").origin == "version"
    deadline = policy_of(declaration, "GET /things/v1/things", "deadline")
    assert (deadline.origin, deadline.settings) == ("operation", {"seconds": 3.0, "accept_from_caller": True})
    assert policy_of(declaration, "GET /things/v1/things", "lifecycle").origin == "registry"
    trial = policy_of(declaration, "POST /things/v1/things", "size_limit", "trial")
    assert (trial.origin, trial.settings) == ("plan trial at operation", {"max_bytes": 40})
    assert policy_of(declaration, "POST /things/v1/things", "size_limit", "partner").settings == {"max_bytes": 80}
    assert "trial" in policy_of(declaration, "POST /things/v1/things", "size_limit").note


def test_the_chain_is_told_in_the_order_it_runs_and_leaves_nothing_out() -> None:
    declaration = declared()
    operation = find_operation(declaration, "GET", "/things/v1/things/4711")
    assert operation is not None
    chain = explain(declaration, operation).chain
    assert [one.policy for one in chain] == [name for names in ORDER.values() for name in names]
    public = find_operation(declaration, "GET", "/things/v1/open")
    assert public is not None
    off = {one.policy: one.note for one in explain(declaration, public).chain if one.settings is None}
    assert off["jwt"] == off["scopes"] == "public"


async def test_a_plan_has_sizes_and_windows_of_its_own_where_it_is_declared() -> None:
    async with opened(declared()) as door:
        trial, partner = (door.issuer.token(plan=plan, jti=plan) for plan in ("trial", "partner"))
        wide = {"hours": 1, "note": "x" * 20}
        assert (await door.post("/things/v1/things", json=wide, token=trial)).status_code == 413
        assert (await door.post("/things/v1/things", json=wide, token=partner)).status_code == 201
        assert (await door.post("/things/v1/things", json={"hours": 1, "note": "x" * 90})).status_code == 413
        answers = [await door.post("/things/v1/things", json={"hours": 1}, token=trial) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert answers[0].headers["ratelimit-policy"] == '"daily";q=2;w=86400'
        elsewhere = await door.get("/things/v1/things", token=trial)
        assert (elsewhere.status_code, elsewhere.headers["ratelimit-policy"][:7]) == (200, '"burst"')
        assert (await door.post("/things/v1/things", json={"hours": 1}, token=partner)).status_code == 201


def test_dry_runs_and_risky_settings_are_pointed_at_with_the_operations_they_reach() -> None:
    found = risks(
        documents(
            policies={
                "rate_limit": {"when_counters_are_down": "admit", "dry_run": True},
                "proxies": {"trusted": ["0.0.0.0/0"]},
                "deadline": None,
            }
        )
    )
    rules = {risk.rule: risk for risk in found}
    assert "GET /things/v1/things" in rules["dry-run"].operations
    assert rules["limits-open"].where == "system/tier.yaml"
    assert {"proxies-wide", "endless"} <= set(rules)


def test_promises_of_the_registry_that_do_not_fit_are_pointed_at() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    told = {"title": "T", "description": "T", "owner": "t", "audience": "t", "tier": "system", "name": "things"}
    versions: dict[str, Any] = {
        "v1": {"release": "1.0.0", "state": "deprecated", "deprecated_at": "2026-01-01T00:00:00Z"},
        "v2": {"release": "2.0.0", "sunset_at": "2026-06-11T00:00:00Z", "successor": "/things/v9"},
        "v3": {"release": "3.0.0", "sunset_at": "2026-05-11T00:00:00Z", "successor": "/things/v1"},
    }
    registry = Registry.model_validate({"apis": [{**told, "versions": versions}]})
    texts: dict[str, list[str]] = {"v1": [], "v2": [], "v3": []}
    for risk in lifecycle_risks(registry, [documents()], now):
        texts[risk.where.rpartition(" ")[2]].append(risk.text)
    assert any("without a date" in text for text in texts["v1"])
    assert any("names no successor" in text for text in texts["v1"])
    assert any("no version that is declared" in text for text in texts["v2"])
    assert any("ends within 30 days" in text for text in texts["v2"])
    assert any("its sunset has passed" in text for text in texts["v3"])


def test_the_documents_in_the_repository_can_be_used_and_nothing_runs_dry() -> None:
    found = checked(GATEWAY_DIR, ROOT / "openapi")
    assert found.problems == []
    assert not [risk for risk in found.warnings if risk.rule in {"dry-run", "lifecycle"}]


def test_check_ends_with_an_error_and_every_reason(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    shutil.copytree(GATEWAY_DIR, folder)
    registry = yaml.safe_load((folder / "registry.yaml").read_text("utf-8"))
    del registry["apis"][0]
    registry["apis"].append({**registry["apis"][-1], "name": "nowhere"})
    (folder / "registry.yaml").write_text(yaml.safe_dump(registry), "utf-8")
    (folder / "process" / "kpis.yaml").write_text("api: kpis\nversions: {v1: {base: kpis}}\n", "utf-8")
    answer = CliRunner().invoke(app, ["check", "--folder", str(folder), "--json"])
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert told["usable"] is False
    for reason in ("is not in registry.yaml", "experience/nowhere has no policy document", "versions.v1.base"):
        assert any(reason in problem for problem in told["problems"])


def test_explain_finds_an_operation_by_path_and_by_its_operation_id() -> None:
    runner = CliRunner()
    by_path = runner.invoke(app, ["explain", "GET /pmo/v1/deals/4711", "--json"])
    told = json.loads(by_path.stdout)
    assert (told["operation"], told["scopes"]) == ("GET /pmo/v1/deals/{opportunity_id}", ["deals.read"])
    document = yaml.safe_load((ROOT / "openapi" / "experience-pmo.v1.yaml").read_text("utf-8"))
    name = document["paths"]["/pmo/v1/board"]["get"]["operationId"]
    by_name = runner.invoke(app, ["explain", name, "--plan", "trial"])
    assert by_name.exit_code == 0
    assert "GET /pmo/v1/board" in by_name.stdout
    assert "daily" in by_name.stdout
    lost = runner.invoke(app, ["explain", "GET /nowhere"])
    assert (lost.exit_code, "There is no operation" in lost.stderr) == (1, True)
    many = runner.invoke(app, ["explain", "GET /health"])
    assert "Choose one with --tier" in many.stderr


@pytest.mark.parametrize("tier", ["system", "process", "experience"])
def test_every_operation_can_be_explained_for_every_plan(tier: str) -> None:
    declaration = load_documents(GATEWAY_DIR, tier)
    for operation in declaration.operations():
        for plan in (None, *declaration.plans):
            assert json.dumps(explain(declaration, operation, plan).document())
