"""OData as simulators read it, and as connectors write it: the two rooms understand each other."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from deploy.sandbox.kit.odata import ODataRefused, parse_filter
from deploy.sandbox.kit.odata_batch import BatchAnswer, read_batch, write_batch
from deploy.sandbox.kit.odata_options import parse_expand, parse_key, parse_orderby, sorted_rows
from system_apis.dialects import odata
from system_apis.dialects.odata import Part, compose_batch, key, literal

NUMBER = UUID("6f9619ff-8b86-d011-b42d-00cf4fc964ff")
ROW: dict[str, Any] = {
    "name": "O'Hara & Sons",
    "amount": Decimal("12.50"),
    "is_open": True,
    "id": NUMBER,
    "on": date(2026, 11, 30),
    "at": datetime(2026, 11, 30, 12, 0, tzinfo=UTC),
    "parent": {"code": "HC-DE"},
    "lines": [{"n": 1, "item": "A"}, {"n": 2, "item": "B"}],
    "nothing": None,
}


@pytest.mark.parametrize(
    ("text", "version", "holds"),
    [
        ("name eq 'O''Hara & Sons'", 4, True),
        ("amount gt 12.4 and amount le 12.5", 4, True),
        ("amount eq 12.50M", 2, True),
        ("is_open eq true and not (amount lt 1)", 4, True),
        (f"id eq {NUMBER}", 4, True),
        (f"id eq guid'{NUMBER}'", 2, True),
        ("on ge 2026-11-30", 4, True),
        ("at ge datetime'2026-11-30T12:00:00'", 2, True),
        ("at gt 2026-11-30T13:00:00+01:00", 4, False),
        ("parent/code eq 'HC-DE'", 4, True),
        ("parent/code in ('HC-UK','HC-DE')", 4, True),
        ("lines/any(l:l/n gt 1 and l/item eq 'B')", 4, True),
        ("lines/all(l:l/n gt 1)", 4, False),
        ("nothing eq null", 4, True),
        ("nothing gt 1", 4, False),
        ("startswith(name,'o''h')", 4, True),
        ("substringof('Sons',name)", 2, True),
        ("contains(name,'Sons') or false", 4, True),
        ("year(at) eq 2026", 4, True),
        ("is_open eq Some.Vendor.NoYes'true'", 4, True),
    ],
)
def test_a_filter_says_which_rows_it_means(text: str, version: Any, holds: bool) -> None:
    assert parse_filter(text, version=version)(ROW) is holds


@pytest.mark.parametrize("text", ["name eq", "name eq 'x' 'y'", "nosuch(name)", "(name eq 'x'", "name ~ 1"])
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ODataRefused):
        parse_filter(text)


def test_a_filter_tells_what_an_index_may_look_up() -> None:
    assert parse_filter("a eq 1 and (b eq 'x' or b eq 'y') and c gt 2").equal == {"a": (1,), "b": ("x", "y")}
    assert parse_filter("a eq 1 or c gt 2").equal == {}


def test_a_function_of_the_vendor_gets_row_and_named_arguments() -> None:
    def within(row: Any, **given: Any) -> bool:
        return row[given["PropertyName"]] in given["PropertyValues"]

    text = "V.In(PropertyName='name',PropertyValues=['a','O''Hara & Sons'])"
    assert parse_filter(text, functions={"V.In": within})(ROW)


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "O'Hara & Sons"),
        ("amount", Decimal("12.50")),
        ("id", NUMBER),
        ("on", date(2026, 11, 30)),
        ("at", datetime(2026, 11, 30, 12, 0, tzinfo=UTC)),
        ("is_open", True),
        ("nothing", None),
    ],
)
def test_what_a_connector_writes_a_simulator_reads(path: str, value: Any, version: Any) -> None:
    assert parse_filter(f"{path} eq {literal(value, version)}", version=version)(ROW)


def test_keys_of_addresses() -> None:
    assert parse_key("accounts") == ("accounts", None)
    assert parse_key(f"accounts({NUMBER})") == ("accounts", {"": NUMBER})
    assert parse_key("Set(a='x,y',b=2)") == ("Set", {"a": "x,y", "b": 2})
    assert parse_key("Set('it''s')") == ("Set", {"": "it's"})
    assert key("Set", {"a": "x y", "b": 2}) == "Set(a='x%20y',b=2)"
    with pytest.raises(ODataRefused):
        parse_key("Set(a='x'")


def test_order_and_children() -> None:
    rows = [{"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": None, "b": 2}]
    assert sorted_rows(rows, parse_orderby("b desc, a")) == [rows[2], rows[1], rows[0]]
    found = parse_expand("lines($select=n,item;$expand=product($select=code)),to_Item/to_Part")
    assert found["lines"].options == {"select": "n,item"}
    assert found["lines"].children["product"].options == {"select": "code"}
    assert "to_Part" in found["to_Item"].children


def test_a_batch_goes_there_and_back() -> None:
    body, kind = compose_batch(
        [Part("GET", "a?$top=1"), [Part("POST", "b", {"x": "ü"}), Part("PATCH", "$1", {"y": 1})]]
    )
    single, changes = read_batch(body, kind)
    assert not isinstance(single, list)
    assert isinstance(changes, list)
    assert (single.method, single.url) == ("GET", "a?$top=1")
    assert [(c.method, c.url, c.content_id) for c in changes] == [("POST", "b", "1"), ("PATCH", "$1", "2")]
    assert json.loads(changes[0].body) == {"x": "ü"}
    answer, told = write_batch([BatchAnswer(200, {"Content-Type": "application/json"}, b'{"v":1}'), [BatchAnswer(204)]])
    read = odata.read_batch(answer, told, "vendor")
    assert [(one.status, one.body) for one in read] == [(200, {"v": 1}), (204, None)]
