"""What a connector declares of itself is checked against the ports; a mistake names file, field and the likely word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from process_apis.quote_to_project import rules
from shared.errors.taxonomy import Misconfigured
from system_apis.catalog import CONNECTORS
from system_apis.manifest import load_manifest
from system_apis.ports.acts import acts_of, acts_of_all
from system_apis.scorecard import load_scorecard


def changed(tmp_path: Path, file: str, before: str, after: str) -> Path:
    folder = tmp_path / "kantata"
    folder.mkdir()
    for name in ("manifest.yaml", "conformance.yaml"):
        shutil.copy(CONNECTORS / "kantata" / name, folder / name)
    text = (folder / file).read_text(encoding="utf-8")
    assert before in text
    (folder / file).write_text(text.replace(before, after), encoding="utf-8")
    return folder


def test_the_words_of_can_are_read_off_the_ports() -> None:
    assert acts_of("crm") == {
        "opportunities.list_since": "list_opportunities",
        "opportunities.get": "get_opportunity",
        "customers.list_since": "list_customers",
        "customers.get": "get_customer",
        "contracts.find": "find_contract",
        "contracts.list_since": "list_contracts",
        "contracts.get": "get_contract",
        "delivery_statuses.amend": "amend_delivery_status",
        "invoice_statuses.amend": "amend_invoice_status",
    }
    assert acts_of("psa")["billing_marks.create"] == "mark_billed"
    assert acts_of("psa")["time_entries.list_since"] == "list_time_entries"
    assert acts_of("erp")["legal_entities.list"] == "list_legal_entities"
    assert set(acts_of_all()) == {"changes.list_changes", "changes.read_feed", "schema.describe"}


def test_a_process_asks_for_acts_that_the_ports_have() -> None:
    asked = (*rules._ALWAYS, *rules._BY_TIME, *rules._BY_MILESTONE)
    ports = {role: acts_of(role) for role in ("crm", "psa", "erp")}
    assert not [f"{role} {act}" for role, act in asked if act not in ports[role]]


MISTAKES = [
    ("an entity", "  time_entries: [", "  time_entry: [", ("can.time_entry", "ports of psa", "mean time_entries?")),
    ("a verb", "milestones: [list_since", "milestones: [lists_since", ("can.milestones", "mean list_since?")),
    ("another role's", "  milestones: [", "  opportunities: [", ("can.opportunities", "no such entity", "milestones")),
    ("a key", "budget: {", "budgets: {", ("budget: Field required", "budgets: Extra inputs")),
    ("a name", "name: kantata", "name: kantate", ("name: must equal the folder's name",)),
    ("no document", "name: kantata", "name: [kantata", ("cannot be read",)),
]


@pytest.mark.parametrize(("before", "after", "told"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_in_a_manifest_is_told(tmp_path: Path, before: str, after: str, told: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_manifest(changed(tmp_path, "manifest.yaml", before, after))
    assert refused.value.message.startswith("manifest.yaml of connector kantata")
    assert not [part for part in told if part not in refused.value.message]
    assert refused.value.__context__ is None or refused.value.__suppress_context__, "the sentence stands alone"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("  paging: simulated", "  paging: done", "rules.paging.state: "),
        ("  paging: simulated", "  paging: {exempt: no}", "rules.paging.exempt: "),
        ("rules:", "rule:", "rules: Field required"),
        ("connector: kantata", "connector: kantate", "connector: must equal the folder's name"),
        ("connector: kantata", "connector: [kantata", "cannot be read"),
    ],
)
def test_a_mistake_in_a_scorecard_is_told(tmp_path: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_scorecard(changed(tmp_path, "conformance.yaml", before, after))
    assert refused.value.message.startswith("conformance.yaml of connector kantata")
    assert told in refused.value.message


def test_a_missing_scorecard_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"conformance\.yaml of connector acme cannot be read"):
        load_scorecard(tmp_path / "acme")
