"""Simulator and connector keep to the record tables; these keep to the vendor's own files, where they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import deploy.sandbox.netsuite as package
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.schema import RECORD_TYPES
from system_apis.connectors.netsuite.connector import NetSuiteConnector
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule

CONTRACT: dict[str, Any] = yaml.safe_load((Path(package.__file__).parent / "contract.yaml").read_text(encoding="utf-8"))
RECORDS: dict[str, dict[str, Any]] = CONTRACT["records"]
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float, Decimal),
    "money": (int, float, Decimal),
    "subrecord": (dict,),
}


def _fits(kind: str, value: Any) -> bool:
    word, _, of = kind.removesuffix(" ro").partition(" ")
    if word in {"ref", "enum"}:
        if not isinstance(value, dict):
            return False
        named = cast("dict[str, Any]", value)
        chosen = str(named.get("id", ""))
        return bool(chosen or named.get("externalId")) and (word == "ref" or not of or chosen in of.split("|"))
    if word in {"date", "datetime"}:
        return _is_moment(value, "date" if word == "date" else "datetime")
    if word == "sublist":
        return isinstance(value, dict)
    return isinstance(value, _PLAIN[word]) and (word == "boolean") == isinstance(value, bool)


def _is_moment(value: Any, word: str) -> bool:
    try:
        parsed = date.fromisoformat(str(value)) if word == "date" else datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str) and (word == "date") != isinstance(parsed, datetime)


def _wrong_members(where: str, members: Mapping[str, str], given: Mapping[str, Any], *, writes: bool) -> Iterator[str]:
    for name, value in given.items():
        kind = members.get(name)
        if kind is None:
            if writes:
                yield f"{where}.{name} is not in the contract"
        elif writes and kind.endswith(" ro"):
            yield f"{where}.{name} cannot be written"
        elif value is not None and not _fits(kind, value):
            yield f"{where}.{name} is {value!r}, not {kind}"


def _wrong(record: str, body: Mapping[str, Any], *, writes: bool) -> Iterator[str]:
    """Where a record of a request or an answer departs from the contract."""
    told = RECORDS[record]
    members = {**told.get("fields", {}), **told.get("custom", {})}
    yield from _wrong_members(record, members, body, writes=writes)
    for sublist, kinds in told.get("lines", {}).items():
        for line in body.get(sublist, {}).get("items", ()):
            yield from _wrong_members(f"{record}.{sublist}", kinds, line, writes=writes)


@pytest.fixture
async def sent(
    connector: NetSuiteConnector, firm: NetSuiteFirm, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, Any]]:
    """(record, body) of everything the connector wrote for one deal, twice."""
    del firm
    outbound: Any = connector._client._outbound  # pyright: ignore[reportPrivateUsage]
    write, found = outbound.write, list[tuple[str, Any]]()

    async def writing(method: str, path: str, **more: Any) -> Any:
        if more.get("content"):
            found.append((path.split("/")[2], json.loads(more["content"])))
        return await write(method, path, **more)

    monkeypatch.setattr(outbound, "write", writing)
    for legal_entity in ("HC-DE", "HC-JP"):
        await connector.amend_customer(customer(), legal_entity)
        await connector.amend_project(plan())
        await connector.amend_contract(contract())
        await connector.amend_billing_schedule(schedule())
        await connector.create_invoice(draft())
    await connector.close_project("prj_acme")
    return found


async def test_every_request_of_the_connector_is_as_the_contract_says(sent: list[tuple[str, Any]]) -> None:
    assert {record for record, _ in sent} == {
        "customer",
        "customerSubsidiaryRelationship",
        "job",
        "projectTask",
        "salesOrder",
        "billingSchedule",
        "invoice",
    }
    assert not [one for record, body in sent for one in _wrong(record, body, writes=True)]
    for record, told in RECORDS.items():
        made = [body for name, body in sent if name == record]
        lacking = [name for name in told.get("required", ()) if made and not made[0].get(name)]
        assert not lacking, record


async def test_every_answer_of_the_simulator_is_as_the_contract_says(
    sent: list[tuple[str, Any]], firm: NetSuiteFirm
) -> None:
    await firm.pay((await firm.read_invoices())[0].record_id, Decimal("10.00"), date(2026, 11, 5), "PAY-1")
    for record, told in RECORDS.items():
        listed = await firm.ask("GET", f"/record/v1/{record}")
        assert listed["items"], f"no {record} is there to look at"
        path = f"/record/v1/{record}/{listed['items'][0]['id']}"
        body = await firm.ask("GET", path, params={"expandSubResources": "true"})
        assert not list(_wrong(record, body, writes=False))
        assert not [name for name in told.get("required", ()) if name not in body], record
    assert sent


async def test_the_metadata_catalog_tells_what_the_contract_says(firm: NetSuiteFirm) -> None:
    for record, told in RECORDS.items():
        schema = await firm.ask("GET", f"/record/v1/metadata-catalog/{record}")
        members = {**told.get("fields", {}), **told.get("custom", {})}
        assert members.keys() <= schema["properties"].keys(), record
        read_only = {name for name, one in schema["properties"].items() if one.get("readOnly")}
        assert {name for name, kind in members.items() if kind.endswith(" ro")} == read_only & members.keys()
        assert set(told.get("required", ())) <= set(schema["required"])


VENDORS_OWN = os.environ.get("THROUGHLINE_VENDOR_CONTRACTS", "")
#: read on the vendor's help pages, not in the condensed tables
ELSEWHERE: Mapping[str, frozenset[str]] = {
    "invoice": frozenset({"taxDetailsOverride"}),
    "customerPayment": frozenset({"lastModifiedDate"}),
}
_SAME = {"money": "number", "integer": "number"}


def _options(kind: str) -> set[str]:
    """The ids of a list, written out or as a span of numbers."""
    told = kind.removesuffix(" ro").partition(" ")[2]
    if span := re.fullmatch(r"(\d+)\.\.(\d+)", told):
        return {str(number) for number in range(int(span[1]), int(span[2]) + 1)}
    return set(filter(None, told.split("|")))


@pytest.mark.skipif(not VENDORS_OWN, reason="THROUGHLINE_VENDOR_CONTRACTS names no folder with the vendor's own files")
def test_the_contract_is_part_of_the_vendors_own_tables() -> None:
    tables = json.loads((Path(VENDORS_OWN) / "netsuite" / "record-fields.json").read_text(encoding="utf-8"))
    strange: list[str] = []

    def compare(where: str, kinds: Mapping[str, str], theirs: Mapping[str, str], apart: frozenset[str]) -> None:
        for name, kind in kinds.items():
            if name in apart:
                continue
            word = re.split(r"[ (]", theirs.get(name, "absent"))[0]
            if _SAME.get(word, word) != _SAME.get(kind.split()[0], kind.split()[0]):
                strange.append(f"{where}.{name}: {kind}, there {theirs.get(name)}")
            elif kind.startswith("enum ") and _options(kind) - _options(theirs[name]):
                strange.append(f"{where}.{name}: {kind}, there {theirs[name]}")

    assert CONTRACT["basePath"] == tables["basePath"]
    compared = [record for record in RECORDS if record in tables["records"]]
    assert len(compared) >= 6
    for record in compared:
        theirs = tables["records"][record]
        compare(record, RECORDS[record].get("fields", {}), theirs["fields"], ELSEWHERE.get(record, frozenset()))
        for sublist, kinds in RECORDS[record].get("lines", {}).items():
            if sublist in theirs.get("sublists", {}):
                compare(f"{record}.{sublist}", kinds, theirs["sublists"][sublist], frozenset({"internalId"}))
    assert not strange


def test_the_contract_names_records_the_simulator_has() -> None:
    assert RECORDS.keys() <= RECORD_TYPES.keys()
