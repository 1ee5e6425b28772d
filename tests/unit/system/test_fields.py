"""Mappings as metadata: a tenant's own place of a field takes the standard one's, for reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors.taxonomy import MappingMissing, Misconfigured, VendorDrift
from system_apis.fields import EntityFields, load_fields

STANDARD: dict[str, Any] = {
    "opportunity": {
        "object": "Deal",
        "fields": {
            "legal_entity_code": {"path": "Entity__c", "custom": True},
            "region": "properties.region",
            "stage": {"path": "Stage", "written": True},
        },
    }
}


def opened(folder: Path, own: Any = None) -> EntityFields:
    (folder / "fields.yaml").write_text(yaml.safe_dump(STANDARD), encoding="utf-8")
    file = None
    if own is not None:
        file = folder / "harbour-acme.yaml"
        file.write_text(yaml.safe_dump(own), encoding="utf-8")
    return load_fields(folder, file)["opportunity"]


def test_without_a_file_of_its_own_everything_stands_where_the_vendor_has_it(tmp_path: Path) -> None:
    fields = opened(tmp_path)
    row = {"Entity__c": "HC-DE", "properties": {"region": "West"}}
    assert fields.take(row) == row
    assert fields.give({"Stage": "Won"}) == {"Stage": "Won"}
    assert fields.columns(["Entity__c", "Other"]) == ("Entity__c", "Other")


def test_a_moved_field_is_read_from_its_place_and_its_values_made_ours(tmp_path: Path) -> None:
    own = {
        "opportunity": {
            "legal_entity_code": {"path": "Company__r.Code__c", "values": {"Deutschland": "HC-DE"}},
            "region": "properties.sales_area",
        }
    }
    fields = opened(tmp_path, own)
    row = {"Company__r": {"Code__c": "Deutschland"}, "properties": {"sales_area": "North", "x": 1}}
    taken = fields.take(row)
    assert taken["Entity__c"] == "HC-DE"
    assert taken["properties"] == {"region": "North", "sales_area": "North", "x": 1}
    assert row["properties"] == {"sales_area": "North", "x": 1}, "the row as it came is left alone"
    assert fields.column("Entity__c") == "Company__r.Code__c"
    assert set(fields.paths()) == {"Company__r.Code__c", "properties.sales_area", "Stage"}


def test_a_moved_field_is_written_to_its_place_with_the_tenants_value(tmp_path: Path) -> None:
    fields = opened(
        tmp_path, {"opportunity": {"stage": {"path": "custom.step", "values": {"S9": "won", "S1": "open"}}}}
    )
    assert fields.give({"Stage": "won", "Name": "x"}) == {"Name": "x", "custom": {"step": "S9"}}
    with pytest.raises(MappingMissing, match=r"opportunity\.stage"):
        fields.give({"Stage": "lost"})


def test_two_fields_that_change_places_are_both_kept(tmp_path: Path) -> None:
    fields = opened(tmp_path, {"opportunity": {"legal_entity_code": "Stage", "stage": "Entity__c"}})
    assert fields.give({"Entity__c": "HC-DE", "Stage": "Won"}) == {"Entity__c": "Won", "Stage": "HC-DE"}
    taken = fields.take({"Entity__c": "Won", "Stage": "HC-DE"})
    assert (taken["Entity__c"], taken["Stage"]) == ("HC-DE", "Won")


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"opportunity\.legal_entity_code: Stage is the place of stage already"):
        opened(tmp_path, {"opportunity": {"legal_entity_code": "Stage"}})
    read_only = opened(tmp_path, {"opportunity": {"legal_entity_code": "properties.region"}})
    assert read_only.take({"properties": {"region": "HC-DE"}})["Entity__c"] == "HC-DE"


def test_a_value_the_table_lacks_is_said_not_passed_on(tmp_path: Path) -> None:
    fields = opened(tmp_path, {"opportunity": {"legal_entity_code": {"path": "C", "values": {"D": "HC-DE"}}}})
    assert fields.take({"C": None})["Entity__c"] is None
    with pytest.raises(MappingMissing) as missing:
        fields.take({"C": "F"})
    assert missing.value.findings[0].field == "opportunity.legal_entity_code"


def test_a_moved_field_that_does_not_come_is_drift_that_names_its_place(tmp_path: Path) -> None:
    fields = opened(tmp_path, {"opportunity": {"legal_entity_code": "Company__c"}})
    with pytest.raises(VendorDrift) as drift:
        fields.take({"Entity__c": "HC-DE"})
    assert drift.value.findings[0].field == "Company__c"


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"deal": {"x": "y"}}, "harbour-acme.yaml: deal: .* maps no such entity; it maps opportunity"),
        ({"opportunity": {"entity": "y"}}, r"harbour-acme.yaml: opportunity\.entity: no canonical field of it"),
        ({"opportunity": {"region": {"paths": "y"}}}, r"harbour-acme.yaml: opportunity\.region\.paths?"),
        ({"opportunity": {"region": {"path": ""}}}, r"harbour-acme.yaml: opportunity\.region\.path"),
        ([], "harbour-acme.yaml: "),
    ],
)
def test_a_mistake_names_file_field_and_reason(tmp_path: Path, own: Any, named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        opened(tmp_path, own)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(Misconfigured, match=r"gone\.yaml: cannot be read"):
        load_fields(tmp_path, tmp_path / "gone.yaml")
