"""The simulator keeps the vendor's manners on the raw wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP, PEOPLE
from tests.conformance.hubspot.conftest import Portal
from tests.conformance.served import Sandbox, Serve

Json = dict[str, Any]
BEARER = {"authorization": f"Bearer {PEOPLE.token}"}
OBJECTS = "/crm/v3/objects"


class _Wire:
    """Raw calls with a person's token."""

    def __init__(self, box: Sandbox, client: httpx.AsyncClient) -> None:
        self.box = box
        self._client = client

    def switch(self, **switches: Any) -> None:
        assert self.box.simulator.configure is not None
        self.box.simulator.configure(switches)

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {**BEARER, **more.pop("headers", {})}
        return await self._client.request(method, self.box.base_url + path, json=body, headers=headers, **more)

    async def made(self, kind: str, **properties: Any) -> str:
        answer = await self("POST", f"{OBJECTS}/{kind}", {"properties": properties})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest.fixture
async def wire(serve: Serve) -> AsyncIterator[_Wire]:
    box = await serve(simulator())
    async with httpx.AsyncClient(trust_env=False) as client:
        yield _Wire(box, client)


async def test_every_value_comes_back_as_a_text_or_null(wire: _Wire) -> None:
    deal = await wire.made("deals", dealname="x", amount=1000.5, dealstage="closedwon", closedate=1_772_323_200_000)
    answer = await wire("GET", f"{OBJECTS}/deals/{deal}?properties=amount,hs_is_closed_won,closedate,dealtype")
    assert answer.json()["properties"] | {"createdate": "", "hs_lastmodifieddate": ""} == {
        "amount": "1000.5",
        "closedate": "2026-03-01T00:00:00Z",
        "createdate": "",
        "dealname": "x",
        "dealstage": "closedwon",
        "dealtype": None,
        "hs_is_closed_won": "true",
        "hs_lastmodifieddate": "",
        "hs_object_id": deal,
        "pipeline": "default",
    }


async def test_only_a_few_properties_come_unasked_and_unknown_ones_never(wire: _Wire) -> None:
    company = await wire.made("companies", name="x", city="Kiel")
    bare = (await wire("GET", f"{OBJECTS}/companies/{company}")).json()["properties"]
    assert "city" not in bare
    asked = await wire("GET", f"{OBJECTS}/companies/{company}?properties=city&properties=nonsense")
    assert asked.json()["properties"].keys() - bare.keys() == {"city"}
    wire.switch(unknown_properties="refused")
    assert (await wire("GET", f"{OBJECTS}/companies/{company}?properties=nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"nonsense": "1"}, "PROPERTY_DOESNT_EXIST"),
        ({"hs_is_closed_won": "true"}, "READ_ONLY_VALUE"),
        ({"dealtype": "guess"}, "INVALID_OPTION"),
        ({"dealstage": "nowhere"}, "INVALID_OPTION"),
        ({"amount": "ten"}, "INVALID_INTEGER"),
        ({"amount": "NaN"}, "INVALID_INTEGER"),
        ({"closedate": "soon"}, "INVALID_DATE"),
    ],
)
async def test_a_refused_value_is_told_as_json_within_the_sentence(wire: _Wire, values: Json, code: str) -> None:
    answer = await wire("POST", f"{OBJECTS}/deals", {"properties": values})
    body = answer.json()
    assert (answer.status_code, body["category"]) == (400, "VALIDATION_ERROR")
    head, _, listed = body["message"].partition(": ")
    assert head == "Property values were not valid"
    [problem] = json.loads(listed)
    assert (problem["error"], problem["name"], problem["isValid"]) == (code, next(iter(values)), False)


async def test_a_blank_text_empties_a_property(wire: _Wire) -> None:
    company = await wire.made("companies", name="x", city="Kiel")
    answer = await wire("PATCH", f"{OBJECTS}/companies/{company}", {"properties": {"city": ""}})
    assert answer.json()["properties"]["city"] is None
    wire.switch(clears_with="null")
    for value, told in (("", ""), ("Kiel", "Kiel"), (None, None)):
        answer = await wire("PATCH", f"{OBJECTS}/companies/{company}", {"properties": {"city": value}})
        assert answer.json()["properties"]["city"] == told


async def test_archived_records_are_listed_apart(wire: _Wire) -> None:
    company = await wire.made("companies", name="x")
    path = f"{OBJECTS}/companies/{company}"
    assert [(await wire("DELETE", path)).status_code for _ in range(2)] == [204, 204]
    assert (await wire("GET", path)).json()["category"] == "OBJECT_NOT_FOUND"
    assert (await wire("GET", f"{OBJECTS}/companies")).json() == {"results": []}
    [row] = (await wire("GET", f"{OBJECTS}/companies?archived=true")).json()["results"]
    assert (row["id"], row["archived"]) == (company, True)
    wire.switch(archives_again=False)
    assert (await wire("DELETE", path)).status_code == 404
    assert (await wire("DELETE", f"{OBJECTS}/companies/1")).status_code == 404


async def test_lists_are_read_on_until_there_is_no_paging(wire: _Wire) -> None:
    made = [await wire.made("companies", name=str(n)) for n in range(5)]
    seen: list[str] = []
    after = "0"
    for _ in range(3):
        body = (await wire("GET", f"{OBJECTS}/companies?limit=2&after={after}")).json()
        seen += [row["id"] for row in body["results"]]
        after = body.get("paging", {}).get("next", {}).get("after", "")
    assert (seen, after) == (made, "")
    assert (await wire("GET", f"{OBJECTS}/companies?limit=101")).status_code == 400


async def test_a_line_is_priced_by_the_vendor(wire: _Wire) -> None:
    line = await wire.made("line_items", name="x", price="12.50", quantity="3", hs_discount_percentage="10")
    answer = await wire("GET", f"{OBJECTS}/line_items/{line}")
    assert answer.json()["properties"]["amount"] == "33.75"
    answer = await wire("PATCH", f"{OBJECTS}/line_items/{line}", {"properties": {"amount": "1"}})
    assert "READ_ONLY_VALUE" in answer.text


async def _with_unique(wire: _Wire) -> None:
    prop = {"name": "ref", "label": "Ref", "groupName": "g", "type": "string", "fieldType": "text"}
    answer = await wire("POST", "/crm/v3/properties/companies", {**prop, "hasUniqueValue": True})
    assert answer.status_code == 201


async def test_upserts_go_by_a_unique_property_and_say_what_is_new(wire: _Wire) -> None:
    await _with_unique(wire)
    path = f"{OBJECTS}/companies/batch/upsert"
    inputs = [{"idProperty": "ref", "id": one, "properties": {"name": one}} for one in ("A", "B")]
    first = (await wire("POST", path, {"inputs": inputs})).json()
    again = (await wire("POST", path, {"inputs": inputs[:1]})).json()
    assert [row["new"] for row in first["results"]] == [True, True]
    assert [(row["id"], row["new"]) for row in again["results"]] == [(first["results"][0]["id"], False)]
    strange: Json = {"idProperty": "name", "id": "A", "properties": {}}
    assert (await wire("POST", path, {"inputs": [strange]})).status_code == 400
    taken = await wire("POST", f"{OBJECTS}/companies", {"properties": {"ref": "A"}})
    assert taken.status_code == 409
    assert taken.json()["message"].endswith(f"Existing ID: {first['results'][0]['id']}")
    renamed = await wire("PATCH", f"{OBJECTS}/companies/B?idProperty=ref", {"properties": {"ref": "C"}})
    assert renamed.status_code == 200
    assert (await wire("POST", f"{OBJECTS}/companies", {"properties": {"ref": "B"}})).status_code == 201


async def test_a_batch_is_done_whole_or_refused_whole_unless_its_parts_are_traced(wire: _Wire) -> None:
    await _with_unique(wire)
    path = f"{OBJECTS}/companies/batch/upsert"
    kept = await wire.made("companies", ref="K", name="kept")
    inputs: list[Json] = [
        {"idProperty": "ref", "id": "K", "properties": {"name": "changed"}},
        {"idProperty": "ref", "id": "N", "properties": {"name": "new"}},
        {"idProperty": "ref", "id": "X", "properties": {"hs_object_id": "7"}},
    ]
    assert (await wire("POST", path, {"inputs": inputs})).status_code == 400
    assert wire.box.simulator.counts()["companies"] == 1
    assert (await wire("GET", f"{OBJECTS}/companies/{kept}")).json()["properties"]["name"] == "kept"
    traced = [{**one, "objectWriteTraceId": f"t{number}"} for number, one in enumerate(inputs)]
    answer = await wire("POST", path, {"inputs": traced})
    body = answer.json()
    assert (answer.status_code, len(body["results"]), body["numErrors"]) == (207, 2, 1)
    assert body["errors"][0]["context"] == {"ids": ["X"], "objectWriteTraceId": ["t2"]}
    found = await wire("POST", f"{OBJECTS}/companies/search", {"sorts": ["hs_lastmodifieddate"]})
    assert found.json()["total"] == 2


async def test_a_batch_has_its_limit(wire: _Wire) -> None:
    inputs = [{"id": str(n)} for n in range(101)]
    answer = await wire("POST", f"{OBJECTS}/deals/batch/read", {"inputs": inputs, "properties": []})
    assert answer.status_code == 400
    assert (await wire("POST", f"{OBJECTS}/deals/batch/read", {"inputs": []})).status_code == 400


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([{"propertyName": "name", "operator": "EQ", "value": "B"}], ["B"]),
        ([{"propertyName": "name", "operator": "NEQ", "value": "B"}], ["A", "C"]),
        ([{"propertyName": "name", "operator": "IN", "values": ["A", "C", "D"]}], ["A", "C"]),
        ([{"propertyName": "name", "operator": "NOT_IN", "values": ["A"]}], ["B", "C"]),
        ([{"propertyName": "city", "operator": "HAS_PROPERTY"}], ["A"]),
        ([{"propertyName": "city", "operator": "NOT_HAS_PROPERTY"}], ["B", "C"]),
        ([{"propertyName": "city", "operator": "CONTAINS_TOKEN", "value": "ki*"}], ["A"]),
        ([{"propertyName": "city", "operator": "NOT_CONTAINS_TOKEN", "value": "ki"}], ["B", "C"]),
        ([{"propertyName": "hs_object_id", "operator": "GT", "value": "51000000001"}], ["B", "C"]),
        ([{"propertyName": "hs_object_id", "operator": "LTE", "value": "51000000002"}], ["A", "B"]),
        ([{"propertyName": "createdate", "operator": "BETWEEN", "value": "0", "highValue": "1"}], []),
        ([{"propertyName": "createdate", "operator": "LT", "value": "99999999999999"}], ["A", "B", "C"]),
    ],
)
async def test_searches_filter(wire: _Wire, filters: list[Json], names: list[str]) -> None:
    for name in ("A", "B", "C"):
        await wire.made("companies", name=name, **({"city": "Kiel"} if name == "A" else {}))
    body = {"filterGroups": [{"filters": filters}], "sorts": [{"propertyName": "name", "direction": "ASCENDING"}]}
    found = (await wire("POST", f"{OBJECTS}/companies/search", body)).json()
    assert [row["properties"]["name"] for row in found["results"]] == names
    assert found["total"] == len(names)


_BEYOND: list[Json] = [
    {"limit": 201},
    {"after": "9999", "limit": 10},
    {"sorts": ["name", "city"]},
    {"filterGroups": [{"filters": []}] * 6},
    {"filterGroups": [{"filters": [{"propertyName": "name", "operator": "HAS_PROPERTY"}] * 11}]},
    {"filterGroups": [{"filters": [{"propertyName": "name", "operator": "HAS_PROPERTY"}] * 9}] * 3},
    {"filterGroups": [{"filters": [{"propertyName": "nonsense", "operator": "HAS_PROPERTY"}]}]},
    {"filterGroups": [{"filters": [{"propertyName": "name", "operator": "LIKE", "value": "x"}]}]},
    {"filterGroups": [{"filters": [{"propertyName": "hs_object_id", "operator": "EQ", "value": 7}]}]},
]


@pytest.mark.parametrize("body", _BEYOND)
async def test_searches_have_limits(wire: _Wire, body: Json) -> None:
    answer = await wire("POST", f"{OBJECTS}/companies/search", body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


async def test_the_index_lags_behind_the_records(wire: _Wire) -> None:
    company = await wire.made("companies", name="old")
    search = f"{OBJECTS}/companies/search"
    assert (await wire("POST", search, {})).json()["total"] == 1
    wire.switch(index_lag_ms=30_000)
    await wire("PATCH", f"{OBJECTS}/companies/{company}", {"properties": {"name": "new"}})
    await wire.made("companies", name="another")
    [row] = (await wire("POST", search, {})).json()["results"]
    assert row["properties"]["name"] == "old"
    wire.switch(advance_ms=31_000)
    found = (await wire("POST", search, {})).json()
    assert [row["properties"]["name"] for row in found["results"]] == ["new", "another"]


async def test_both_families_serve_the_same_records(wire: _Wire) -> None:
    company = await wire.made("companies", name="x")
    classic = await wire("GET", f"/crm/v3/objects/companies/{company}")
    for release in ("2026-03", "2026-09"):
        assert (await wire("GET", f"/crm/objects/{release}/companies/{company}")).json() == classic.json()
    for path in (
        "/crm/objects/1999-03/companies",
        "/crm/v4/objects/companies",
        "/crm/v3/associations/deals/companies/labels",
    ):
        assert (await wire("GET", path)).status_code == 404
    by_number = await wire("GET", f"/crm/v3/objects/0-2/{company}")
    assert by_number.json() == classic.json()


async def test_associated_ids_are_numbers_in_one_family_and_texts_in_the_other(portal: Portal) -> None:
    path = f"deals/{portal.deal}/associations/companies"
    classic = await portal.people.call("GET", f"/crm/v4/objects/{path}")
    dated = await portal.people.call("GET", f"/crm/objects/2026-03/{path}")
    assert isinstance(classic["results"][0]["toObjectId"], int)
    assert dated["results"][0]["toObjectId"] == str(classic["results"][0]["toObjectId"])


async def test_a_line_belongs_to_one_deal(wire: _Wire) -> None:
    one, other = [await wire.made("deals", dealname=name) for name in ("one", "other")]
    line = await wire.made("line_items", name="x")

    async def linked(deal: str) -> int:
        path = f"/crm/v4/objects/deals/{deal}/associations/default/line_items/{line}"
        return (await wire("PUT", path)).status_code

    assert [await linked(one), await linked(one), await linked(other)] == [200, 200, 400]
    wire.switch(one_parent=False)
    assert await linked(other) == 200
    assert (await wire("DELETE", f"/crm/v4/objects/deals/{one}/associations/line_items/{line}")).status_code == 204
    answer = await wire("GET", f"/crm/v4/objects/line_items/{line}/associations/deals")
    assert [str(row["toObjectId"]) for row in answer.json()["results"]] == [other]


async def test_a_hierarchy_is_an_association_and_shows_as_a_property(wire: _Wire) -> None:
    child, parent, other = [await wire.made("companies", name=name) for name in ("child", "parent", "other")]
    for above in (parent, other):
        spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 14}]
        await wire("PUT", f"/crm/v4/objects/companies/{child}/associations/companies/{above}", spec)
    answer = await wire("GET", f"{OBJECTS}/companies/{child}?properties=hs_parent_company_id")
    assert answer.json()["properties"]["hs_parent_company_id"] == other
    below = (await wire("GET", f"/crm/v4/objects/companies/{other}/associations/companies")).json()["results"]
    assert [(str(row["toObjectId"]), row["associationTypes"][0]["typeId"]) for row in below] == [(child, 13)]


async def test_records_are_made_with_their_associations_or_not_at_all(wire: _Wire) -> None:
    company = await wire.made("companies", name="x")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 5}]
    body: Json = {"properties": {"dealname": "x"}, "associations": [{"to": {"id": company}, "types": types}]}
    made = await wire("POST", f"{OBJECTS}/deals", body)
    assert made.status_code == 201
    read = await wire("GET", f"{OBJECTS}/deals/{made.json()['id']}?associations=companies")
    kinds = [one["type"] for one in read.json()["associations"]["companies"]["results"]]
    assert kinds == ["deal_to_company", "deal_to_company_unlabeled"]
    body["associations"][0]["to"]["id"] = "1"
    assert (await wire("POST", f"{OBJECTS}/deals", body)).status_code == 404
    assert wire.box.simulator.counts()["deals"] == 1


async def test_a_pipeline_edit_touches_all_its_deals(wire: _Wire) -> None:
    deal = await wire.made("deals", dealname="x", dealstage="closedwon")
    before = (await wire("GET", f"{OBJECTS}/deals/{deal}?properties=hs_is_closed_won")).json()
    change = {"metadata": {"isClosed": False, "probability": 0.5}}
    stage = await wire("PATCH", "/crm/v3/pipelines/deals/default/stages/closedwon", change)
    assert stage.json()["metadata"] == {"isClosed": "false", "probability": "0.5"}
    after = (await wire("GET", f"{OBJECTS}/deals/{deal}?properties=hs_is_closed_won")).json()
    assert after["updatedAt"] > before["updatedAt"]
    assert (before["properties"]["hs_is_closed_won"], after["properties"]["hs_is_closed_won"]) == ("true", "false")


async def test_who_may_not_come_in_is_told_why(wire: _Wire) -> None:
    path = f"{OBJECTS}/deals"
    nobody = await wire("GET", path, headers={"authorization": "Bearer nobody"})
    assert (nobody.status_code, nobody.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    form = {
        "grant_type": "refresh_token",
        "client_id": CONNECTOR_APP.client_id,
        "client_secret": CONNECTOR_APP.client_secret,
        "refresh_token": CONNECTOR_APP.refresh_token,
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        url = wire.box.base_url + "/oauth/2026-03/token"
        given = (await client.post(url, data=form)).json()
        assert given["expires_in"] == 1800
        wire.switch(advance_ms=1_801_000)
        late = await wire("GET", path, headers={"authorization": f"Bearer {given['access_token']}"})
        assert (late.status_code, late.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
        assert "expire time" in late.json()["context"]
        for wrong, status in (("refresh_token", "BAD_REFRESH_TOKEN"), ("client_secret", "BAD_CLIENT_SECRET")):
            refused = await client.post(url, data={**form, wrong: "x"})
            assert (refused.status_code, refused.json()["status"]) == (400, status)
        assert (await client.post(url, data={**form, "grant_type": "password"})).status_code == 400
        assert (await client.post(wire.box.base_url + "/oauth/v9/token", data=form)).status_code == 404


async def test_a_query_that_is_too_long_is_refused_as_html(wire: _Wire) -> None:
    answer = await wire("GET", f"{OBJECTS}/deals?properties={'x' * 17_000}")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (414, "text/html")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"{OBJECTS}/deals", None, 400),
        ("POST", f"{OBJECTS}/unheard", {"properties": {}}, 400),
        ("GET", f"{OBJECTS}/deals/nonsense", None, 404),
        ("PUT", f"{OBJECTS}/deals", {}, 404),
        ("GET", "/crm/v3/pipelines/companies", None, 404),
        ("GET", "/crm/v3/owners/99", None, 404),
        ("GET", "/crm/v3/properties/deals/nonsense", None, 404),
        ("GET", "/crm-object-schemas/v3/schemas/deals", None, 404),
        ("POST", "/crm-object-schemas/v3/schemas", {"name": "x"}, 400),
        ("POST", "/crm/v3/properties/deals", {"name": "X Y", "label": "x"}, 400),
        ("PUT", "/crm/v4/objects/deals/1/associations/default/companies/1", None, 404),
        ("POST", "/crm/v4/associations/products/companies/batch/associate/default", {"inputs": []}, 400),
    ],
)
async def test_what_cannot_be_served_is_refused_in_the_vendors_words(
    wire: _Wire, method: str, path: str, body: Json | None, status: int
) -> None:
    answer = await wire(method, path, body)
    assert answer.status_code == status, answer.text
    assert answer.json()["correlationId"]


@pytest.mark.parametrize("switch", [{"nonsense": 1}, {"clears_with": "magic"}, {"target_url": "ftp://x"}])
async def test_unknown_switches_are_refused(wire: _Wire, switch: Json) -> None:
    with pytest.raises(ValueError, match=next(iter(switch))):
        wire.switch(**switch)


async def test_a_reset_portal_is_new(portal: Portal) -> None:
    portal.switch(index_lag_ms=5, batch_limit=1)
    portal.sandbox.simulator.reset()
    assert portal.sandbox.simulator.counts() == {"companies": 0, "deals": 0, "line_items": 0, "products": 0}
    await portal.people.call("POST", f"{OBJECTS}/companies", {"properties": {"name": "first"}})
    assert await portal.people.call("GET", "/crm-object-schemas/v3/schemas") == {"results": []}
