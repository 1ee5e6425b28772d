"""Every kind of difference weighs what it asks of callers, in the direction the data flows."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.serving.differences.changes import step_of
from shared.serving.differences.documents import differences
from shared.serving.differences.reading import read_document

from .small_documents import ASYNCAPI, OPENAPI, Edit, Node, boat, edited, operation, order

ROOT = Path(__file__).parents[3]
ORDER, BOAT = "BoatOrder", "Boat"


def put(place: Any, **told: Any) -> Edit:
    """Set members where `place` leads."""
    return lambda document: place(document).update(told)


def drop(place: Any, *names: Any) -> Edit:
    """Take members away where `place` leads."""

    def edit(document: Node) -> None:
        for name in names:
            del place(document)[name]

    return edit


def schema(name: str) -> Any:
    return lambda document: document["components"]["schemas"][name]


def of(place: Any, *path: Any) -> Any:
    """Further down."""

    def found(document: Node) -> Any:
        here = place(document)
        for part in path:
            here = here[part]
        return here

    return found


root: Any = lambda document: document  # noqa: E731 - the shortest place


def row(kind: str, weight: str, back: str, change: Edit) -> Any:
    return pytest.param(change, kind, weight, back, id=kind)


ROWS = [
    # what callers send: wider is additive, narrower breaks
    row("asked_enum_value_added", "additive", "breaking", put(of(order, "kind"), enum=["sail", "motor", "oar"])),
    row("asked_enum_lifted", "additive", "breaking", drop(of(order, "kind"), "enum")),
    row("asked_null_allowed", "additive", "breaking", put(of(order, "kind"), type=["string", "null"])),
    row("asked_type_widened", "additive", "breaking", put(of(order, "cabins", "items"), type="number")),
    row("asked_type_changed", "breaking", "breaking", put(of(order, "cabins", "items"), type="string")),
    row("asked_bound_loosened", "additive", "breaking", put(of(order, "name"), maxLength=30)),
    row("asked_bound_loosened", "additive", "breaking", put(of(order, "name"), minLength=0)),
    row("asked_bound_loosened", "additive", "breaking", put(of(order, "length"), minimum=0)),
    row("asked_bound_loosened", "additive", "breaking", drop(of(order, "length"), "maximum")),
    row("asked_bound_loosened", "additive", "breaking", put(of(order, "cabins"), maxItems=10)),
    row("asked_bound_tightened", "breaking", "additive", put(of(order, "length"), multipleOf=2)),
    row("asked_bound_tightened", "breaking", "additive", put(of(order, "name"), pattern="^x")),
    row("asked_unique_items_changed", "breaking", "additive", put(of(order, "cabins"), uniqueItems=True)),
    row("asked_property_added", "additive", "breaking", put(order, sails={"type": "integer"})),
    row("asked_property_became_optional", "additive", "breaking", put(schema(ORDER), required=[])),
    row("asked_additional_properties_changed", "additive", "breaking", put(schema(ORDER), additionalProperties=True)),
    row("asked_items_lifted", "additive", "breaking", drop(of(order, "cabins"), "items")),
    row("asked_default_changed", "breaking", "breaking", put(of(operation, "parameters", 1, "schema"), default="blue")),
    row(
        "asked_variant_added",
        "additive",
        "breaking",
        put(order, owner={"anyOf": [{"$ref": "#/components/schemas/Owner"}, {"type": "null"}, {"type": "string"}]}),
    ),
    row("asked_description_changed", "editorial", "editorial", put(of(order, "name"), description="Its name.")),
    row("asked_examples_changed", "editorial", "editorial", put(of(order, "name"), examples=["Ada"])),
    row("asked_property_deprecated", "additive", "editorial", put(of(order, "name"), deprecated=True)),
    row("asked_schema_rule_changed", "breaking", "breaking", put(schema(ORDER), dependentRequired={"kind": ["name"]})),
    row("asked_note_changed", "editorial", "editorial", put(of(order, "name"), **{"x-column": "n"})),
    # what callers are told: wider breaks, narrower is additive
    row("told_enum_value_added", "breaking", "additive", put(of(boat, "kind"), enum=["sail", "motor", "oar"])),
    row("told_enum_lifted", "breaking", "additive", drop(of(boat, "kind"), "enum")),
    row("told_null_allowed", "breaking", "additive", put(of(boat, "note"), type=["string", "null"])),
    row("told_type_widened", "breaking", "additive", put(of(boat, "depth"), type="number")),
    row("told_type_changed", "breaking", "breaking", put(boat, depth={"type": "object", "properties": {}})),
    row("told_bound_loosened", "breaking", "additive", put(of(boat, "name"), maxLength=30)),
    row("told_bound_loosened", "breaking", "additive", drop(of(boat, "name"), "maxLength")),
    row("told_format_changed", "breaking", "breaking", put(of(boat, "built_on"), format="date-time")),
    row("told_property_added", "additive", "breaking", put(boat, sails={"type": "integer"})),
    row("told_property_became_optional", "breaking", "additive", put(schema(BOAT), required=["name"])),
    row("told_additional_properties_changed", "additive", "additive", put(schema(BOAT), additionalProperties=False)),
    row("told_description_changed", "editorial", "editorial", put(of(boat, "note"), description="A note.")),
    row("told_default_changed", "editorial", "editorial", put(of(boat, "note"), default="none")),
    # the operation
    row("operation_id_changed", "breaking", "breaking", put(operation, operationId="keepBoat")),
    row("operation_deprecated", "additive", "editorial", put(operation, deprecated=True)),
    row("summary_changed", "editorial", "editorial", put(operation, summary="One boat")),
    row("description_changed", "editorial", "editorial", put(operation, description="Keeps the boat.")),
    row("tags_changed", "editorial", "editorial", put(operation, tags=["ships"])),
    row("servers_changed", "breaking", "breaking", put(operation, servers=[{"url": "/else"}])),
    row("operation_rule_changed", "breaking", "breaking", put(operation, callbacks={"sold": {}})),
    row("note_changed", "editorial", "editorial", put(operation, **{"x-cost": 2})),
    row("field_masked", "breaking", "additive", put(operation, **{"x-masked-unless-scope": {"note": {"scope": "s"}}})),
    row(
        "parameter_added",
        "additive",
        "breaking",
        lambda d: operation(d)["parameters"].append({"name": "wide", "in": "query", "schema": {"type": "boolean"}}),
    ),
    row(
        "required_parameter_added",
        "breaking",
        "breaking",
        lambda d: operation(d)["parameters"].append({"name": "k", "in": "header", "required": True, "schema": {}}),
    ),
    row("parameter_became_required", "breaking", "additive", put(of(operation, "parameters", 2), required=True)),
    row("parameter_style_changed", "breaking", "breaking", put(of(operation, "parameters", 1), style="spaceDelimited")),
    row("parameter_deprecated", "additive", "editorial", put(of(operation, "parameters", 2), deprecated=True)),
    row(
        "parameter_explained_differently",
        "editorial",
        "editorial",
        put(of(operation, "parameters", 1), description="Only those."),
    ),
    row("request_body_required_changed", "breaking", "additive", put(of(operation, "requestBody"), required=True)),
    row("request_body_removed", "breaking", "additive", drop(operation, "requestBody")),
    row("media_type_added", "additive", "breaking", put(of(operation, "requestBody", "content"), **{"text/csv": {}})),
    row("media_type_added", "additive", "breaking", put(of(operation, "responses", "200", "content"), **{"a/b": {}})),
    row("answer_added", "additive", "breaking", put(of(operation, "responses"), **{"409": {"description": "No."}})),
    row("answer_added", "breaking", "breaking", put(of(operation, "responses"), **{"202": {"description": "Later."}})),
    row("answer_header_added", "additive", "breaking", put(of(operation, "responses", "200", "headers"), Age={})),
    row(
        "answer_header_became_optional",
        "breaking",
        "additive",
        put(of(operation, "responses", "200", "headers", "ETag"), required=False),
    ),
    row("security_loosened", "additive", "breaking", put(operation, security=[])),
    row("security_tightened", "breaking", "breaking", put(operation, security=[{"token": ["boats.own"]}])),
    row(
        "security_tightened",
        "breaking",
        "additive",
        put(operation, security=[{"token": ["boats.write", "boats.own"]}]),
    ),
    # the document
    row("operation_added", "additive", "breaking", put(of(root, "paths"), **{"/boats/v1/ports": {"get": {}}})),
    row("server_added", "additive", "breaking", lambda d: d["servers"].append({"url": "/more"})),
    row("security_scheme_added", "additive", "breaking", put(of(root, "components", "securitySchemes"), key={})),
    row(
        "oauth_address_changed",
        "breaking",
        "breaking",
        put(of(root, "components", "securitySchemes", "token", "flows", "clientCredentials"), tokenUrl="/u"),
    ),
    row(
        "oauth_flow_added",
        "additive",
        "breaking",
        put(of(root, "components", "securitySchemes", "token", "flows"), authorizationCode={}),
    ),
    row(
        "scope_added",
        "additive",
        "breaking",
        put(of(root, "components", "securitySchemes", "token", "flows", "clientCredentials", "scopes"), more="More."),
    ),
    row("lifecycle_changed", "additive", "additive", put(of(root, "info"), **{"x-lifecycle": "deprecated"})),
    row("lifecycle_changed", "breaking", "additive", put(of(root, "info"), **{"x-lifecycle": "retired"})),
    row("sunset_at_changed", "additive", "additive", put(of(root, "info"), **{"x-sunset-at": "2027-11-30T00:00:00Z"})),
    row("successor_changed", "additive", "additive", put(of(root, "info"), **{"x-successor": "/boats/v2"})),
    row("info_changed", "editorial", "editorial", put(of(root, "info"), description="All about boats.")),
    row("tags_changed", "editorial", "editorial", put(root, tags=[])),
    row(
        "document_edited",
        "editorial",
        "editorial",
        put(of(root, "components", "schemas"), Unused={"type": "object"}),
    ),
]

EVENT_ROWS = [
    row("channel_added", "additive", "breaking", put(of(root, "channels"), More={"address": "more"})),
    row("channel_address_changed", "breaking", "breaking", put(of(root, "channels", "BoatSold"), address="sold")),
    row(
        "channel_parameters_changed",
        "breaking",
        "breaking",
        put(of(root, "channels", "BoatSold"), parameters={"tenant": {}}),
    ),
    row("message_added", "breaking", "breaking", put(of(root, "channels", "BoatSold", "messages"), More={})),
    row("message_type_changed", "breaking", "breaking", put(of(root, "components", "messages", "BoatSold"), name="x")),
    row("content_type_changed", "breaking", "breaking", put(root, defaultContentType="application/xml")),
    row(
        "content_type_changed",
        "breaking",
        "breaking",
        put(of(root, "components", "messages", "BoatSold"), contentType="a/b"),
    ),
    row(
        "told_property_added",
        "additive",
        "breaking",
        put(
            of(root, "components", "messages", "BoatSold", "payload", "allOf", 1, "properties"),
            buyer={"type": "string"},
        ),
    ),
    row(
        "told_property_became_optional",
        "breaking",
        "additive",
        put(of(root, "components", "messages", "BoatSold", "payload", "allOf", 0), required=[]),
    ),
    row("operation_added", "additive", "breaking", put(of(root, "operations"), more={"action": "send"})),
    row("operation_changed", "breaking", "breaking", put(of(root, "operations", "onBoatSold"), action="send")),
    row("description_changed", "editorial", "editorial", put(of(root, "operations", "onBoatSold"), summary="Hears.")),
    row("server_added", "additive", "breaking", put(of(root, "servers"), other={"host": "h", "protocol": "nats"})),
    row("server_changed", "breaking", "breaking", put(of(root, "servers", "bus"), protocol="mqtt")),
    row("server_security_changed", "breaking", "additive", put(of(root, "servers", "bus"), security=[{"$ref": "#/x"}])),
    row("info_changed", "editorial", "editorial", put(of(root, "info"), title="All facts")),
]
STEPS = {"breaking": "major", "additive": "minor", "editorial": "patch"}


@pytest.mark.parametrize(("change", "kind", "weight", "back"), ROWS)
def test_a_difference_of_an_api_weighs_what_it_asks_of_callers(change: Edit, kind: str, weight: str, back: str) -> None:
    _weighs(OPENAPI, change, kind, weight, back)


@pytest.mark.parametrize(("change", "kind", "weight", "back"), EVENT_ROWS)
def test_a_difference_of_the_events_weighs_what_it_asks_of_listeners(
    change: Edit, kind: str, weight: str, back: str
) -> None:
    _weighs(ASYNCAPI, change, kind, weight, back)


def _weighs(document: Node, change: Edit, kind: str, weight: str, back: str) -> None:
    after = edited(document, change)
    forth, back_again = differences(document, after), differences(after, document)
    assert kind in {one.kind for one in forth}
    assert all(one.text.endswith(".") for one in forth)
    assert (step_of(forth), step_of(back_again)) == (STEPS[weight], STEPS[back]), (forth, back_again)


def test_a_new_property_that_must_be_sent_breaks_callers_and_one_that_is_always_told_does_not() -> None:
    def edit(document: Node) -> None:
        for name in (ORDER, BOAT):
            schema(name)(document)["properties"]["berth"] = {"type": "string"}
            schema(name)(document)["required"].append("berth")

    found = {one.kind: one.weight for one in differences(OPENAPI, edited(OPENAPI, edit))}
    assert found == {"asked_required_property_added": "breaking", "told_property_added": "additive"}


def test_what_only_we_may_write_is_no_part_of_what_callers_send() -> None:
    def edit(document: Node) -> None:
        order(document)["id"] = {"type": "string", "readOnly": True}
        boat(document)["secret"] = {"type": "string", "writeOnly": True}

    assert [one.kind for one in differences(OPENAPI, edited(OPENAPI, edit))] == ["document_edited"]


def test_a_version_may_be_kept_longer_but_not_shorter_than_was_promised() -> None:
    early, late = (
        edited(OPENAPI, put(of(root, "info"), **{"x-sunset-at": f"{year}-01-31T00:00:00Z"})) for year in (2027, 2028)
    )
    assert step_of(differences(early, late)) == "minor"
    assert step_of(differences(late, early)) == "major"


def test_renaming_a_path_parameter_or_a_schema_breaks_nobody() -> None:
    def edit(document: Node) -> None:
        item = document["paths"].pop("/boats/v1/boats/{boat_id}")
        item["put"]["parameters"][0]["name"] = "id"
        document["paths"]["/boats/v1/boats/{id}"] = item
        document["components"]["schemas"]["Vessel"] = document["components"]["schemas"].pop("Owner")
        order(document)["owner"]["anyOf"][0] = {"$ref": "#/components/schemas/Vessel"}

    assert [one.kind for one in differences(OPENAPI, edited(OPENAPI, edit))] == ["path_parameter_renamed"]


def test_what_we_send_to_callers_in_a_webhook_flows_the_other_way() -> None:
    def webhook(**properties: Any) -> Node:
        content = {"application/json": {"schema": {"type": "object", "properties": properties}}}
        body = {"required": True, "content": content}
        return {**OPENAPI, "webhooks": {"boatSold": {"post": {"requestBody": body, "responses": {}}}}}

    one, more = webhook(a={"type": "string"}), webhook(a={"type": ["string", "null"]})
    assert step_of(differences(one, more)) == "major"
    assert step_of(differences(more, one)) == "minor"


def test_one_change_in_a_shared_schema_is_told_once_with_every_operation_it_reaches() -> None:
    def twice(document: Node) -> None:
        document["paths"]["/boats/v1/copies/{boat_id}"] = {"put": {**operation(document), "operationId": "copyBoat"}}

    before = edited(OPENAPI, twice)
    after = edited(before, drop(boat, "note"))
    (change,) = differences(before, after)
    assert change.operations == ("PUT /boats/v1/boats/{boat_id}", "PUT /boats/v1/copies/{boat_id}")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([one.values[0] for one in ROWS]), max_size=6))
def test_whatever_was_changed_is_told_and_what_is_the_same_is_not(changes: list[Edit]) -> None:
    def edit(document: Node) -> None:
        for change in changes:
            with suppress(LookupError):  # an earlier change took its place away
                change(document)

    document = edited(OPENAPI, edit)
    assert differences(document, copy.deepcopy(document)) == ()
    assert bool(differences(OPENAPI, document)) == (document != OPENAPI)


def test_a_document_of_another_kind_is_a_breaking_difference() -> None:
    assert step_of(differences(OPENAPI, ASYNCAPI)) == "major"


@pytest.mark.parametrize("path", sorted((ROOT / "openapi").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_document_of_ours_differs_from_itself(path: Path) -> None:
    document = read_document(path)
    assert differences(document, document) == ()
