"""A firm's own rules are refused when they are wrong, naming file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_apis.tenants import Tenants
from shared.errors.taxonomy import Misconfigured

GOOD = "tenant: t\napprovals: {finance_from: 1, factors: {USD: '1'}}\ntax_id_countries: [DE]\n"


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(GOOD)
    assert Tenants.read(tmp_path).names == ("t",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (GOOD.replace("USD", "XXX"), "t.yaml: approvals.factors.XXX"),
        (GOOD.replace("DE", "Germany"), "t.yaml: tax_id_countries"),
        (GOOD + "surprise: 1\n", "t.yaml: surprise"),
        (GOOD.replace("finance_from: 1", "finance_from: -1"), "t.yaml: approvals.finance_from"),
        ("tenant: [", "t.yaml is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_key(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "t.yaml").write_text(content)
    with pytest.raises(Misconfigured, match=told.replace(".", r"\.")):
        Tenants.read(tmp_path)


def test_an_owner_is_somebody_only_where_the_firm_says_who(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(GOOD + "people: {Olive Ng: olive}\n")
    rules = Tenants.read(tmp_path).of("t")
    assert [rules.subject_of(owner) for owner in ("Olive Ng", "olive", None, "")] == [
        "olive",
        "crm:olive",
        "crm",
        "crm",
    ]
    assert len(rules.subject_of("x" * 1000)) == 255


def test_a_folder_without_rules_and_a_tenant_without_rules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no tenant files"):
        Tenants.read(tmp_path)
    (tmp_path / "t.yaml").write_text(GOOD)
    with pytest.raises(Misconfigured, match="no rules for tenant x"):
        Tenants.read(tmp_path).of("x")
