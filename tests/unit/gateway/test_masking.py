"""Masking: a field that needs a scope does not reach a caller without it, wherever in the answer it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError

from shared.gateway.document import load_documents
from shared.gateway.policies.masking.config import Masking
from shared.gateway.policies.masking.handler import MaskingHandler
from shared.gateway.policies.masking.schema import mask_notes, unmaskable
from tests.unit.gateway.stand import declared, kit_of, standing

FIELDS: dict[str, Any] = {
    "items[].margin": {"unless_scope": "margins.read", "then": "null"},
    "items[].owner.email": {"unless_scope": "people.read", "then": "remove"},
    "items[].lines[].cost": {"unless_scope": "margins.read", "then": "remove"},
    "totals.*": {"unless_scope": "margins.read", "then": "null"},
    "grid[][].cost": {"unless_scope": "margins.read", "then": "null"},
}
PAGE: dict[str, Any] = {
    "items": [
        {"name": "Harbour", "margin": "0.31", "owner": {"email": "ada@x.test"}, "lines": [{"cost": "1.00", "n": 1}]},
        {"name": "Orchard", "margin": "0.07", "owner": None, "lines": []},
        {"name": "Bare"},
    ],
    "totals": {"EUR": "1.00", "USD": "2.00"},
    "grid": [[{"cost": 1}], [{"cost": 2}]],
    "next_cursor": None,
}


def told(scopes: set[str], document: Any = PAGE, fields: dict[str, Any] = FIELDS) -> Any:
    """What a caller with these scopes gets of the document."""
    kit = kit_of(scopes=frozenset(scopes))
    MaskingHandler(Masking.model_validate({"fields": fields})).enter(kit)
    return document if kit.mask is None else orjson.loads(kit.mask(orjson.dumps(document)))


def test_who_holds_every_scope_gets_the_answer_untouched() -> None:
    kit = kit_of(scopes=frozenset({"margins.read", "people.read", "other"}))
    MaskingHandler(Masking.model_validate({"fields": FIELDS})).enter(kit)
    assert kit.mask is None


def test_fields_are_nulled_or_removed_in_lists_objects_and_pages() -> None:
    assert told(set()) == {
        "items": [
            {"name": "Harbour", "margin": None, "owner": {}, "lines": [{"n": 1}]},
            {"name": "Orchard", "margin": None, "owner": None, "lines": []},
            {"name": "Bare"},
        ],
        "totals": {"EUR": None, "USD": None},
        "grid": [[{"cost": None}], [{"cost": None}]],
        "next_cursor": None,
    }


def test_each_field_asks_for_its_own_scope() -> None:
    got = told({"margins.read"})
    assert got["items"][0]["margin"] == "0.31"
    assert got["items"][0]["owner"] == {}
    got = told({"people.read"})
    assert got["items"][0]["margin"] is None
    assert got["items"][0]["owner"] == {"email": "ada@x.test"}


def test_an_answer_that_is_a_list_is_reached_from_its_items() -> None:
    fields = {"*.cost": {"unless_scope": "margins.read", "then": "null"}}
    assert told(set(), {"a": {"cost": 1}, "b": {"cost": 2, "c": 3}}, fields) == {
        "a": {"cost": None},
        "b": {"cost": None, "c": 3},
    }


def test_whoever_comes_without_a_token_misses_every_scope() -> None:
    kit = kit_of(plan=None)
    MaskingHandler(Masking.model_validate({"fields": FIELDS})).enter(kit)
    assert kit.mask is not None


@pytest.mark.parametrize("path", ["", "items[]", "items[0].cost", "a..b", ".a", "a.", "items.[].cost", "$.a", "a-b"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        Masking.model_validate({"fields": {path: {"unless_scope": "a.read", "then": "null"}}})


@pytest.mark.parametrize("wrong", [{"fields": {}}, {"fields": FIELDS, "dry_run": True}, {}])
def test_a_policy_that_hides_nothing_or_only_tries_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Masking.model_validate(wrong)


class Line(BaseModel):
    cost: str | None
    note: str = ""
    price: str


class Sheet(BaseModel):
    lines: list[Line]
    best: Line | None = None
    facts: dict[str, Any] = {}


def test_a_policy_must_fit_the_schema_of_the_answer() -> None:
    schema = Sheet.model_json_schema(ref_template="#/components/schemas/{model}")
    components = schema.pop("$defs")

    def lines(path: str, then: str) -> list[str]:
        masking = Masking.model_validate({"fields": {path: {"unless_scope": "a.read", "then": then}}})
        return unmaskable(masking, schema, components)

    assert lines("lines[].cost", "null") == []
    assert lines("best.cost", "null") == []
    assert lines("lines[].note", "remove") == []
    assert lines("facts.*", "remove") == []
    assert lines("lines[].price", "null") == [
        "masking: `lines[].price` is to say null, but its schema does not admit null"
    ]
    assert lines("lines[].cost", "remove") == ["masking: `lines[].cost` is to be removed, but its schema requires it"]
    assert lines("lines.cost", "null") == ["masking: the answer has no field `lines.cost`"]
    assert lines("lines[].margin", "null") == ["masking: the answer has no field `lines[].margin`"]


def test_the_description_of_the_api_tells_what_is_masked() -> None:
    masking = Masking.model_validate({"fields": {"a": {"unless_scope": "a.read", "then": "null"}}})
    assert mask_notes(masking) == {"a": {"scope": "a.read", "then": "null"}}


def _api() -> APIRouter:
    router = APIRouter(prefix="/sheet/v1")
    made = 0

    @router.get("/sheet", operation_id="sheet")
    async def sheet() -> dict[str, Any]:
        return PAGE

    @router.post("/sheet", operation_id="make", status_code=201)
    async def make() -> dict[str, Any]:
        nonlocal made
        made += 1
        return PAGE | {"made": made}

    @router.get("/stream", operation_id="stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b'{"totals": ', b'{"EUR": "1.00"}}']), media_type="application/json")

    @router.get("/text", operation_id="text")
    async def text() -> Response:
        return Response("margin 0.31", media_type="text/plain")

    @router.get("/nothing", operation_id="nothing", status_code=204)
    async def nothing() -> None:
        return None

    return router


OPERATIONS = {
    "GET /sheet": {"scopes": ["things.read"]},
    "POST /sheet": {"scopes": ["things.read"], "policies": {"idempotency": {}}},
    "GET /stream": {"scopes": ["things.read"]},
    "GET /text": {"scopes": ["things.read"]},
    "GET /nothing": {"scopes": ["things.read"]},
}


async def test_the_gate_masks_what_goes_out_and_only_for_whom_it_is_declared() -> None:
    async with standing(_api(), declared("/sheet/v1", OPERATIONS, masking={"fields": FIELDS})) as door:
        whole = door.issuer.token(scope="things.read margins.read people.read", sub="bob")
        assert (await door.get("/sheet/v1/sheet", token=whole)).json() == PAGE
        answer = await door.get("/sheet/v1/sheet")
        assert answer.json() == told(set())
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert "0.31" not in answer.text
        assert "ada@x.test" not in answer.text
        assert (await door.get("/sheet/v1/stream")).json() == {"totals": {"EUR": None}}
        assert (await door.get("/sheet/v1/nothing")).status_code == 204
        assert int((await door.ask("HEAD", "/sheet/v1/sheet")).headers["content-length"]) == len(answer.content)
        problem = await door.get("/sheet/v1/sheet", headers={"x-request-deadline": "soon"})
        assert problem.json()["errors"][0]["field"] == "header.x-request-deadline"


async def test_what_cannot_be_masked_does_not_leave() -> None:
    async with standing(_api(), declared("/sheet/v1", OPERATIONS, masking={"fields": FIELDS}, content=None)) as door:
        answer = await door.get("/sheet/v1/text")
    assert answer.status_code == 500
    assert "margin" not in answer.text


async def test_a_replayed_answer_is_masked_for_whoever_asks_again() -> None:
    """The right may have been taken away since, or given: the kept answer is the whole one."""
    async with standing(_api(), declared("/sheet/v1", OPERATIONS, masking={"fields": FIELDS})) as door:
        whole = door.issuer.token(scope="things.read margins.read people.read")
        key = {"idempotency-key": "k"}
        assert (await door.post("/sheet/v1/sheet", headers=key)).json() == told(set()) | {"made": 1}
        again = await door.post("/sheet/v1/sheet", token=whole, headers=key)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == PAGE | {"made": 1}
        assert (await door.post("/sheet/v1/sheet", headers=key)).json() == told(set()) | {"made": 1}


def test_amounts_are_masked_at_the_experience_door() -> None:
    """What the product itself hides: who only keeps the machinery running sees no amounts, rates or margins."""
    folder = Path(__file__).parents[3] / "deploy" / "gateway"
    masked = {
        operation.name: set(operation.policies.masking.fields)
        for operation in load_documents(folder, "experience").operations()
        if operation.policies.masking is not None
    }
    assert masked["GET /pmo/v1/board"] == {"items[].amount"}
    assert masked["GET /finance/v1/work-in-progress/rows"] == {"items[].rate", "items[].amount"}
    assert "shown.*" in masked["GET /pmo/v1/approvals/{approval_id}"]


@pytest.mark.parametrize("tier", ["system", "process", "experience"])
def test_every_masked_field_of_the_product_exists_and_may_be_missing(tier: str) -> None:
    """A field that was renamed would be shown again: the declarations are held against the published schemas."""
    root = Path(__file__).parents[3]
    lines: list[str] = []
    for operation in load_documents(root / "deploy" / "gateway", tier).operations():
        if operation.policies.masking is None:
            continue
        text = (root / "openapi" / f"{tier}-{operation.api}.{operation.version}.yaml").read_text()
        document = yaml.safe_load(text)
        described = next(
            item[operation.method.lower()]
            for path, item in document["paths"].items()
            if operation.path.endswith(path) and operation.method.lower() in item
        )
        good = next(answer for status, answer in described["responses"].items() if status.startswith("2"))
        schema = good["content"]["application/json"]["schema"]
        found = unmaskable(operation.policies.masking, schema, document["components"]["schemas"])
        lines += [f"{operation.name}: {line}" for line in found]
    assert lines == []
