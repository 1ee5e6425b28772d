"""What the package's metadata says of its fields holds for the simulator's answers and for what the connector sends."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import deploy.sandbox.certinia as sandbox_package
from deploy.sandbox.salesforce.session import API
from shared.canonical.billing import BillingMark
from system_apis.connectors.certinia.mapping import entry_ref
from tests.conformance.certinia.conftest import Org
from tests.conformance.certinia.test_billing import TUESDAY, mark

CONTRACT: dict[str, dict[str, str]] = yaml.safe_load(
    (Path(sandbox_package.__file__).parent / "contract.yaml").read_text(encoding="utf-8")
)
KINDS = {
    "text": {"string"},
    "textarea": {"textarea"},
    "longtext": {"textarea"},
    "checkbox": {"boolean"},
    "currency": {"currency"},
    "number": {"double"},
    "date": {"date"},
    "datetime": {"datetime"},
    "picklist": {"picklist"},
    "lookup": {"reference"},
    "master": {"reference"},
    "autonumber": {"string"},
}
NOTATION = re.compile(r"^(\w+)(?:\(([^)]*)\))?((?: [\w=]+)*)$")
FULL = os.environ.get("THROUGHLINE_VENDOR_CONTRACTS", "")


def facts(notation: str) -> tuple[str, str, set[str]]:
    """Kind, argument and flags of a field in the contract."""
    match = NOTATION.match(notation)
    assert match, notation
    return match[1], match[2] or "", set(match[3].split())


@pytest.mark.parametrize("sobject", sorted(CONTRACT))
async def test_the_orgs_metadata_agrees_with_the_contract(org: Org, sobject: str) -> None:
    described = await org.hands.wire.call("GET", f"{API}/sobjects/{sobject}/describe")
    fields = {field["name"]: field for field in described["fields"]}
    for name, notation in CONTRACT[sobject].items():
        kind, argument, flags = facts(notation)
        field = fields[f"pse__{name}__c"]
        assert field["type"] in KINDS[kind], name
        if kind in {"text", "longtext"}:
            assert field["length"] == int(argument), name
        if kind in {"currency", "number"}:
            assert field["scale"] == int(argument), name
        if kind in {"lookup", "master"}:
            assert field["referenceTo"] == [argument], name
        assert field["externalId"] == ("external" in flags), name
        assert field["unique"] == ("unique" in flags), name
        assert field["calculated"] == ("formula" in flags), name
        assert "required" not in flags or not field["nillable"], name


async def test_what_the_connector_sends_fits_the_contract(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    build = httpx.AsyncClient.build_request

    def heard(client: httpx.AsyncClient, method: str, url: Any, **given: Any) -> httpx.Request:
        request = build(client, method, url, **given)
        if request.method in {"PATCH", "POST"} and request.headers.get("user-agent") == "throughline":
            body: dict[str, Any] = json.loads(request.content) if request.content[:1] == b"{" else {}
            if found := re.search(r"/sobjects/(pse__\w+?)/", request.url.path):
                sent.extend((found[1], row) for row in body.get("records", [body]))
        return request

    monkeypatch.setattr(httpx.AsyncClient, "build_request", heard)
    ref = (await org.project()).source.ref
    await org.project(2, template=None)
    card = await org.hands.card(ref, {TUESDAY: 8})
    reached = await org.hands.complete("mil_1-1")
    spent = await org.hands.expense(ref)
    org.switch(event_copies_down=False, release_bills=False)
    whole: BillingMark = mark([entry_ref(card, TUESDAY)], milestone_refs=(reached,), expense_refs=(spent,))
    await org.connector.mark_billed(whole)
    await org.connector.close_project("prj_1")
    assert {sobject for sobject, _ in sent} >= {"pse__Proj__c", "pse__Project_Phase__c", "pse__Billing_Event_Item__c"}
    for sobject, row in sent:
        for name, value in row.items():
            if not name.startswith("pse__") or name.endswith("__r"):
                continue
            kind, argument, flags = facts(CONTRACT[sobject][name.removeprefix("pse__").removesuffix("__c")])
            assert "formula" not in flags, name
            _fits(f"{sobject}.{name}", kind, argument, value)


def _fits(name: str, kind: str, argument: str, value: Any) -> None:
    if value is None:
        return
    if kind == "checkbox":
        assert isinstance(value, bool), name
    elif kind in {"currency", "number"}:
        assert isinstance(value, int | float), name
        assert not isinstance(value, bool), name
        assert round(value, int(argument)) == value, name
    else:
        assert isinstance(value, str), name
        assert kind != "text" or len(value) <= int(argument), name
        assert kind != "textarea" or len(value) <= 255, name
        assert kind != "date" or re.fullmatch(r"\d{4}-\d\d-\d\d", value), name


@pytest.mark.skipif(not FULL, reason="THROUGHLINE_VENDOR_CONTRACTS names no folder with the full metadata")
def test_the_contract_agrees_with_the_full_metadata() -> None:
    full = json.loads((Path(FULL) / "certinia" / "pse-object-fields.json").read_text(encoding="utf-8"))
    kinds = {
        "Text": "text",
        "TextArea": "textarea",
        "LongTextArea": "longtext",
        "Checkbox": "checkbox",
        "Currency": "currency",
        "Number": "number",
        "Summary": "number",
        "Date": "date",
        "DateTime": "datetime",
        "Picklist": "picklist",
        "Lookup": "lookup",
        "MasterDetail": "master",
        "AutoNumber": "autonumber",
    }
    for sobject, fields in CONTRACT.items():
        for name, notation in fields.items():
            kind, argument, flags = facts(notation)
            field = full[sobject]["fields"][f"pse__{name}__c"]
            assert kinds[field["type"]] == kind, (sobject, name)
            if kind in {"currency", "number"} and "scale" in field:
                assert field["scale"] == argument, (sobject, name)
            if kind in {"text", "longtext"} and "length" in field:
                assert field["length"] == argument, (sobject, name)
            if kind in {"lookup", "master"}:
                assert field["referenceTo"] == argument, (sobject, name)
                assert f"children={field['relationshipName']}" in flags, (sobject, name)
            for key, flag in (("required", "required"), ("externalId", "external"), ("unique", "unique")):
                assert (str(field.get(key)) == "true") == (flag in flags) or kind == "master", (sobject, name, key)
            assert bool(field.get("formula")) == ("formula" in flags), (sobject, name)
