"""The documents that go into openapi/: one per API and version, and one for the events; nothing is served from here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from shared.canonical.events import EVENT_TYPES, Event
from shared.gateway.document import ApiFacts, VersionFacts
from shared.serving.app import TierApp
from shared.serving.composed import composed
from shared.serving.openapi import CONTACT, LICENSE, reached

_SCHEMA_PREFIX = "#/components/schemas/"
_CLOUD_EVENT = "application/cloudevents+json"
_SUBJECT = "harbour"
_PROMISE = "Told at least once, in order per subject; a repeat carries the same `id`."


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
    return {"events.v1.yaml": _yaml(_asyncapi())}


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


def _asyncapi() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    envelope = _schema(Event, schemas)
    for body in EVENT_TYPES.values():
        schemas[body.__name__] = _schema(body, schemas)
    for kind, body in EVENT_TYPES.items():
        name = body.__name__
        summary = (body.__doc__ or "").strip().splitlines()[0]
        data = composed(schemas[name], schemas)
        subject = next((one for one in data.values() if isinstance(one, str) and "_" in one), _SUBJECT)
        example = composed(envelope, schemas) | {"type": kind, "subject": subject, "data": data}
        messages[name] = {
            "name": kind,
            "title": name,
            "summary": summary,
            "description": f"{_PROMISE} `subject` names the record the fact is about.",
            "contentType": _CLOUD_EVENT,
            "payload": {
                "allOf": [
                    {"$ref": f"{_SCHEMA_PREFIX}Event"},
                    {
                        "type": "object",
                        "properties": {"type": {"const": kind}, "data": {"$ref": f"{_SCHEMA_PREFIX}{name}"}},
                    },
                ]
            },
            "examples": [{"name": "sample", "summary": "From the sample firm", "payload": example}],
        }
        channels[name] = {
            "address": f"throughline.{{tenant}}.{kind}",
            "title": name,
            "summary": summary,
            "description": f"All `{kind}` facts of one tenant, in order per subject.",
            "parameters": {"tenant": {"description": "Tenant the fact belongs to.", "examples": ["harbour"]}},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"receive{name}"] = {
            "action": "receive",
            "summary": summary,
            "description": f"Read `{kind}` from a durable consumer; acknowledge once it is dealt with.",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        }
    schemas["Event"] = envelope
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Facts between the tiers",
            "version": "1.0.0",
            "description": f"CloudEvents 1.0 in structured mode on NATS JetStream. {_PROMISE}",
            "contact": CONTACT,
            "license": {"name": LICENSE["name"], "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _CLOUD_EVENT,
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
