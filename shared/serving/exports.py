"""The documents that go into openapi/: one per API and version, and one for the events; nothing is served from here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from shared.canonical.events import EVENT_TYPES, Event
from shared.gateway.document import ApiFacts, VersionFacts
from shared.serving.app import TierApp
from shared.serving.openapi import CONTACT, LICENSE, reached

_SCHEMA_PREFIX = "#/components/schemas/"


def export_documents(app: TierApp, tier: str) -> dict[str, str]:
    """OpenAPI 3.1 as YAML by file name (`system-crm.v1.yaml`) for every published API version of the tier."""
    whole = app.openapi()
    return {
        f"{tier}-{api.api}.{version}.yaml": _yaml(_part(whole, api, version, facts))
        for api in app.documents.apis
        for version, facts in api.versions.items()
        if api.published and facts.operations
    }


def export_events() -> dict[str, str]:
    """AsyncAPI 3.0 as YAML for every event type, by file name."""
    return {"events.v1.yaml": _yaml(_asyncapi())}


def _part(whole: dict[str, Any], api: ApiFacts, version: str, facts: VersionFacts) -> dict[str, Any]:
    declared = {
        (name.partition(" ")[0].lower(), _shape(facts.base + name.partition(" ")[2])) for name in facts.operations
    }
    paths: dict[str, Any] = {}
    for path, item in whole["paths"].items():
        operations = {method: told for method, told in item.items() if (method, _shape(path)) in declared}
        if operations:
            paths[path] = operations
    components = reached(whole["components"], paths)
    scopes = sorted(
        {one for told in _operations(paths) for need in told.get("security", []) for one in need["access_token"]}
    )
    schemes = json.loads(json.dumps(whole["components"]["securitySchemes"]))
    for flow in schemes["access_token"]["flows"].values():
        flow["scopes"] = {name: flow["scopes"][name] for name in scopes}
    components["securitySchemes"] = schemes
    tags = sorted({tag for told in _operations(paths) for tag in told.get("tags", [])})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": _release(version, facts),
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


def _release(version: str, facts: VersionFacts) -> str:
    """The release the registry names; before there is one, the first of the major version."""
    return str(getattr(facts, "release", None) or f"{version.removeprefix('v')}.0.0")


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


def _asyncapi() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    envelope = _schema(Event, schemas)
    for kind, body in EVENT_TYPES.items():
        name = body.__name__
        schemas[name] = _schema(body, schemas)
        messages[name] = {
            "name": kind,
            "title": name,
            "summary": (body.__doc__ or "").strip().splitlines()[0],
            "contentType": "application/cloudevents+json",
            "payload": {
                "allOf": [
                    {"$ref": f"{_SCHEMA_PREFIX}Event"},
                    {
                        "type": "object",
                        "properties": {"type": {"const": kind}, "data": {"$ref": f"{_SCHEMA_PREFIX}{name}"}},
                    },
                ]
            },
        }
        channels[name] = {
            "address": f"throughline.{{tenant}}.{kind}",
            "parameters": {"tenant": {"description": "Tenant the fact belongs to."}},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"receive{name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }
    schemas["Event"] = envelope
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Facts between the tiers",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in structured mode on NATS JetStream, at least once, in order per subject.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": dict(sorted(schemas.items())), "messages": messages},
    }


def _schema(model: Any, collected: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = model.model_json_schema(ref_template=f"{_SCHEMA_PREFIX}{{model}}")
    collected.update(made.pop("$defs", {}))
    return made


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
