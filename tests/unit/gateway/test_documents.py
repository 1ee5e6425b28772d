"""Policy documents: what may be declared, and that nothing is served undeclared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.gateway.document import ApiFacts, DocumentRefused, Policies, load_documents
from shared.gateway.paths import PathTree
from tests.unit.gateway.door import GATEWAY_DIR, OPERATIONS, documents, opened


@pytest.mark.parametrize("tier", ["system", "process", "experience"])
def test_the_documents_of_every_tier_are_well_formed(tier: str) -> None:
    declared = load_documents(GATEWAY_DIR, tier)
    operations = declared.operations()
    assert len(operations) > 10
    for operation in operations:
        assert operation.is_public or operation.scopes or operation.one_of
        assert operation.policies.correlation is not None
        assert operation.policies.size_limit is not None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("policies: {jtw: {}}", "policies.jtw"),
        ("policies: {rate_limit: {count_per: client}}", "policies.rate_limit.when_counters_are_down"),
        ("policies: {size_limit: {max_bytes: much}}", "policies.size_limit.max_bytes"),
        ("policies: {jwt: {algorithms: [HS256]}}", "policies.jwt.algorithms.0"),
        ("policies: [", "tier.yaml"),
    ],
)
def test_a_wrong_document_is_refused_with_file_and_place(tmp_path: Path, change: str, place: str) -> None:
    shutil.copytree(GATEWAY_DIR, tmp_path / "gateway")
    (tmp_path / "gateway" / "system" / "tier.yaml").write_text(change, encoding="utf-8")
    with pytest.raises(DocumentRefused) as refusal:
        load_documents(tmp_path / "gateway", "system")
    assert any("tier.yaml" in line and place in line for line in refusal.value.lines)


def test_a_missing_folder_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DocumentRefused, match=r"plans\.yaml: No such file"):
        load_documents(tmp_path, "system")


@pytest.mark.parametrize(
    "operations",
    [
        {"GET /things": {}},
        {"GET /things": {"scopes": ["a.read"], "public": "both at once cannot be"}},
        {"GET /things": {"public": "short"}},
        {"FETCH /things": {"scopes": ["a.read"]}},
        {"GET things": {"scopes": ["a.read"]}},
    ],
)
def test_an_operation_is_either_guarded_or_public_for_a_reason(operations: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"operation|public|METHOD"):
        ApiFacts.model_validate(
            {
                "api": "things",
                "title": "T",
                "description": "T",
                "owner": "t",
                "audience": "t",
                "versions": {"v1": {"base": "/things/v1", "operations": operations}},
            }
        )


@pytest.mark.parametrize(
    "lifecycle",
    [
        {"state": "deprecated"},
        {"deprecated_at": "2027-01-01T00:00:00Z", "sunset_at": "2026-01-01T00:00:00Z"},
        {"sunset_at": "2026-01-01T00:00:00"},
    ],
)
def test_lifecycle_dates_must_make_sense(lifecycle: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"deprecated_at|time zone"):
        documents(version={"lifecycle": lifecycle})


def test_a_lower_level_replaces_a_policy_as_a_whole_or_switches_it_off() -> None:
    upper = Policies.model_validate({"size_limit": {"max_bytes": 10}, "audit": {}})
    lower = upper.under(Policies.model_validate({"size_limit": {"max_bytes": 99}, "audit": None}))
    assert lower.size_limit is not None
    assert lower.size_limit.max_bytes == 99
    assert lower.audit is None


async def _refusal(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    with pytest.raises(SystemExit) as end:
        async with opened(documents(**changes)):
            pass
    assert end.value.code == 2
    return capsys.readouterr().err


async def test_a_route_without_a_declaration_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    told = await _refusal(capsys, operations={name: OPERATIONS[name] for name in list(OPERATIONS)[1:]})
    assert told.strip() == "GET /things/v1/things/{}: is served but declared in no policy document"


async def test_a_declaration_without_a_route_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    told = await _refusal(capsys, operations={**OPERATIONS, "PUT /things/{id}": {"scopes": ["things.write"]}})
    assert told.strip() == "PUT /things/v1/things/{}: is declared in a policy document but not served"


async def test_a_guarded_operation_without_token_check_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    told = await _refusal(capsys, policies={"jwt": None})
    assert "needs the policies jwt and scopes" in told


async def test_an_unknown_plan_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    told = await _refusal(capsys, policies={"rate_limit": {"plan": "gold", "when_counters_are_down": "admit"}})
    assert "there is no plan `gold`" in told


def test_a_literal_segment_wins_over_a_parameter_and_methods_are_told() -> None:
    tree: PathTree[str] = PathTree()
    tree.add("GET", "/runs/{id}", "one")
    tree.add("GET", "/runs/latest", "latest")
    tree.add("POST", "/runs/latest", "touch")
    tree.add("DELETE", "/runs/{id}", "gone")
    assert tree.find("GET", "/runs/latest") == "latest"
    assert tree.find("GET", "/runs/7") == "one"
    assert tree.find("DELETE", "/runs/latest") == "gone"
    assert tree.find("GET", "/runs/") is None
    assert tree.find("GET", "/runs/7/more") is None
    assert tree.methods("/runs/latest") == ["DELETE", "GET", "POST"]
    with pytest.raises(ValueError, match="declared twice"):
        tree.add("GET", "/runs/{run_id}", "again")
