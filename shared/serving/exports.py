"""The documents that go into openapi/: one per API and version, and one for the events; nothing is served from here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from shared.gateway.document import ApiFacts, VersionFacts
from shared.serving.app import TierApp
from shared.serving.events_document import asyncapi_document
from shared.serving.openapi import CONTACT, LICENSE, reached


def export_documents(app: TierApp, tier: str) -> dict[str, str]:
    """OpenAPI 3.1 as YAML by file name (`system-crm.v1.yaml`) for every published API version of the tier."""
    whole = app.openapi()
    return {
        f"{tier}-{api.api}.{version}.yaml": _yaml(_part(whole, api, facts))
        for api in app.documents.apis
        for version, facts in api.versions.items()
        if api.published and facts.operations
    }


def export_events() -> dict[str, str]:
    """AsyncAPI 3.0 as YAML for every event type, by file name."""
    return {"events.v1.yaml": _yaml(asyncapi_document())}


def _part(whole: dict[str, Any], api: ApiFacts, facts: VersionFacts) -> dict[str, Any]:
    declared = {
        (name.partition(" ")[0].lower(), _shape(facts.base + name.partition(" ")[2])) for name in facts.operations
    }
    paths: dict[str, Any] = {}
    for path, item in whole["paths"].items():
        operations = {method: told for method, told in item.items() if (method, _shape(path)) in declared}
        if operations:
            paths[path] = operations
    components = reached(whole["components"], paths)
    asked = {one for told in _operations(paths) for need in told.get("security", []) for one in need["access_token"]}
    shown = {one["scope"] for told in _operations(paths) for one in told.get("x-masked-unless-scope", {}).values()}
    scopes = sorted(asked | shown)
    schemes = json.loads(json.dumps(whole["components"]["securitySchemes"]))
    for flow in schemes["access_token"]["flows"].values():
        flow["scopes"] = {name: flow["scopes"][name] for name in scopes}
    components["securitySchemes"] = schemes
    tags = sorted({tag for told in _operations(paths) for tag in told.get("tags", [])})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": facts.release,
            "description": f"{api.description}\n\nAudience: {api.audience}. Kept by: {api.owner}.",
            "contact": CONTACT,
            "license": LICENSE,
            **_lifecycle(facts),
        },
        "servers": [{"url": "/", "description": "Wherever the tier is served."}],
        "tags": [{"name": tag, "description": api.description} for tag in tags],
        "paths": paths,
        "components": components,
    }


def _lifecycle(facts: VersionFacts) -> dict[str, str]:
    told = facts.lifecycle.model_dump(mode="json", exclude_none=True, exclude={"state"})
    return {
        "x-lifecycle": facts.lifecycle.state.value,
        **{f"x-{name.replace('_', '-')}": str(value) for name, value in told.items()},
    }


def _operations(paths: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (told for item in paths.values() for told in item.values())


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


class _Plain(yaml.SafeDumper):
    """YAML without anchors, indented the way people indent lists."""

    def ignore_aliases(self, data: Any) -> bool:
        return data is not None

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - the library's signature
        return super().increase_indent(flow, indentless=False)


def _block(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _block)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
