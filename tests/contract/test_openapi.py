"""The exported documents: complete, of one mind with the policies, and the same as the committed ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shared.canonical.events import EVENT_TYPES
from shared.gateway.gateway import path_shape
from shared.serving.app import TierApp
from shared.serving.exports import export_documents, export_events

ROOT = Path(__file__).parents[2]
PROBLEM = "application/problem+json"


@cache
def published(app: TierApp) -> dict[str, dict[str, Any]]:
    made = export_documents(app, app.gateway_tier)
    return {name: yaml.load(text, Loader=yaml.CSafeLoader) for name, text in made.items()}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_operation_of_every_document_is_covered_by_a_policy_and_the_other_way_round(tier: TierApp) -> None:
    told = {
        (method, path_shape(path)) for document in published(tier).values() for method, path, _ in operations(document)
    }
    named = {api.api for api in tier.documents.apis if api.published}
    hidden = {(route.method, path_shape(route.path)) for route in tier.documents.operations() if route.api not in named}
    declared = {(one.method, path_shape(one.path)) for one in tier.documents.operations()} - hidden
    assert told == declared


def test_every_operation_says_who_may_call_it_and_how_it_refuses(tier: TierApp) -> None:
    declared = {(one.method, path_shape(one.path)): one for one in tier.documents.operations()}
    for document in published(tier).values():
        for method, path, operation in operations(document):
            facts = declared[(method, path_shape(path))]
            needed = [set(one["access_token"]) for one in operation["security"]]
            wanted = [{*facts.scopes, one} for one in facts.one_of] or ([set(facts.scopes)] if facts.scopes else [])
            assert needed == wanted, (method, path)
            assert operation["operationId"], (method, path)
            assert len(operation["tags"]) == 1, (method, path)
            assert operation["summary"], (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and "$ref" in answer:
                    name = answer["$ref"].rpartition("/")[2]
                    assert PROBLEM in document["components"]["responses"][name]["content"], (method, path, status)


def test_operation_ids_are_unique_within_a_tier(tier: TierApp) -> None:
    ids = [one["operationId"] for document in published(tier).values() for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere_and_nothing_is_carried_along_unused(tier: TierApp) -> None:
    for name, document in published(tier).items():
        wanted = set(references(document))
        found = {
            f"#/components/{kind}/{key}"
            for kind in ("schemas", "responses", "headers", "parameters")
            for key in document["components"].get(kind, {})
        }
        assert wanted == found, name


def test_idempotency_keys_are_described_where_they_are_asked_for(tier: TierApp) -> None:
    declared = {(one.method, path_shape(one.path)): one for one in tier.documents.operations()}
    for document in published(tier).values():
        for method, path, operation in operations(document):
            described = [one for one in operation.get("parameters", []) if one["name"] == "Idempotency-Key"]
            policy = declared[(method, path_shape(path))].policies.idempotency
            if policy is not None or described:  # an operation may keep its answers itself (a secret is told once)
                assert [one["required"] for one in described] == [policy is None or policy.required], (method, path)


def test_every_event_type_has_a_channel_and_a_message() -> None:
    document = yaml.safe_load(export_events()["events.v1.yaml"])
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {f"throughline.{{tenant}}.{kind}" for kind in EVENT_TYPES}
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_committed_documents_are_those_the_code_makes(tiers: dict[str, TierApp]) -> None:
    made = export_events()
    for name, app in tiers.items():
        made |= export_documents(app, name)
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "openapi").glob("*.v*.yaml")}
    drifted = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not drifted, "run `throughline openapi`"
