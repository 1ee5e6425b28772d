"""The AsyncAPI document of the events: who tells which fact, who listens, how a message looks; nothing is sent here."""

from __future__ import annotations

from typing import Any, Final

from shared.canonical.events import EVENT_TYPES, Event
from shared.serving.composed import composed
from shared.serving.openapi import CONTACT, LICENSE

RELEASE: Final = "1.0.0"
TOLD_BY: Final[dict[str, str]] = {
    "opportunity.won.v1": "system",
    "opportunity.changed.v1": "system",
    "customer.changed.v1": "system",
    "contract.changed.v1": "system",
    "reference_data.changed.v1": "system",
    "work.recorded.v1": "system",
    "payment.received.v1": "system",
    "project.activated.v1": "process",
    "invoice.posted.v1": "process",
    "invoice.paid.v1": "process",
}
"""Event type → the tier whose event log the fact is written to."""
LISTENERS: Final[dict[str, tuple[str, ...]]] = {
    "process-quote-to-project": (
        "opportunity.won.v1",
        "opportunity.changed.v1",
        "customer.changed.v1",
        "contract.changed.v1",
        "reference_data.changed.v1",
    ),
    "process-time-to-bill": ("project.activated.v1",),
    "process-invoice-to-cash": ("payment.received.v1",),
    "experience-webhooks": ("invoice.paid.v1", "invoice.posted.v1", "project.activated.v1"),
}
"""Durable consumer on the bus → what it hears; a test holds it against what the tiers subscribe to."""

_PROCESS_OF: Final = {
    "project.activated.v1": "quote-to-project",
    "invoice.posted.v1": "time-to-bill",
    "invoice.paid.v1": "invoice-to-cash",
}
_SCHEMAS: Final = "#/components/schemas/"
_CLOUD_EVENT: Final = "application/cloudevents+json"
_PROMISE: Final = "Told at least once, in order per subject; a repeat carries the same `id`."
_LIMITS: Final = "A message is at most 1 MB and is kept for 7 days; whoever was away longer replays the event log."
_TENANT: Final = "harbour"
_BINDING: Final = "0.1.0"


def asyncapi_document() -> dict[str, Any]:
    """AsyncAPI 3.0 for every event type."""
    schemas: dict[str, Any] = {}
    envelope = _schema(Event, schemas)
    for body in EVENT_TYPES.values():
        schemas[body.__name__] = _schema(body, schemas)
    messages = {body.__name__: _message(kind, envelope, schemas) for kind, body in EVENT_TYPES.items()}
    channels = {body.__name__: _channel(kind) for kind, body in EVENT_TYPES.items()}
    schemas |= {"Event": envelope, "Headers": _HEADERS}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:throughline:events",
        "info": {
            "title": "Facts between the tiers",
            "version": RELEASE,
            "description": f"CloudEvents 1.0 in structured mode on NATS JetStream. {_PROMISE} {_LIMITS}",
            "contact": CONTACT,
            "license": {"name": LICENSE["name"], "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": tier, "description": f"Told by the {tier} tier."} for tier in ("system", "process")],
            "x-lifecycle": "active",
        },
        "defaultContentType": _CLOUD_EVENT,
        "servers": {"bus": _SERVER},
        "channels": channels,
        "operations": _operations(),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "messages": messages,
            "securitySchemes": {"bus_account": _ACCOUNT},
        },
    }


_SERVER: Final[dict[str, Any]] = {
    "host": "{address}",
    "protocol": "nats",
    "protocolVersion": "2.10",
    "title": "Bus of an installation",
    "description": "NATS with JetStream; the stream THROUGHLINE holds all subjects. Tiers are told it as nats_url.",
    "variables": {
        "address": {
            "default": "127.0.0.1:8104",
            "description": "Host and port; the embedded profile listens on loopback only.",
            "examples": ["127.0.0.1:8104", "nats.internal:4222"],
        }
    },
    "security": [{"$ref": "#/components/securitySchemes/bus_account"}],
}
_ACCOUNT: Final[dict[str, Any]] = {
    "type": "userPassword",
    "description": "An account of the bus, part of nats_url. Partners never get one: they are sent webhooks.",
}
_HEADERS: Final[dict[str, Any]] = {
    "title": "Headers",
    "description": "Headers of the bus; the CloudEvents attributes stand in the payload (structured mode).",
    "type": "object",
    "required": ["Nats-Msg-Id"],
    "properties": {
        "Nats-Msg-Id": {
            "type": "string",
            "x-standard": "NATS JetStream",
            "minLength": 1,
            "maxLength": 400,
            "description": "Tenant, source, id and round of the event: within 10 minutes the stream keeps one once.",
            "examples": ["harbour|/process/time-to-bill|evt_4r7c2m5xk3tavq8h9z2b6w1d|0"],
        }
    },
}


def _message(kind: str, envelope: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    body = EVENT_TYPES[kind].__name__
    data = composed(schemas[body], schemas)
    inner: dict[str, Any] = data.get("payment", data)
    subject = next((one for one in inner.values() if isinstance(one, str) and "_" in one), _TENANT)
    sample = composed(envelope, schemas) | {"type": kind, "subject": subject, "data": data}
    if kind in _PROCESS_OF:
        sample["source"] = f"/process/{_PROCESS_OF[kind]}"
    return {
        "name": kind,
        "title": body,
        "summary": _summary(kind),
        "description": f"{_PROMISE} `subject` names the record the fact is about.",
        "tags": [{"name": TOLD_BY[kind]}],
        "contentType": _CLOUD_EVENT,
        "headers": {"$ref": f"{_SCHEMAS}Headers"},
        "correlationId": {
            "description": "The request, webhook or poll that set everything in motion.",
            "location": "$message.payload#/correlationid",
        },
        "payload": {
            "allOf": [
                {"$ref": f"{_SCHEMAS}Event"},
                {
                    "type": "object",
                    "properties": {"type": {"const": kind}, "data": {"$ref": f"{_SCHEMAS}{body}"}},
                },
            ]
        },
        "examples": [
            {
                "name": "sample",
                "summary": "From the sample firm",
                "headers": {"Nats-Msg-Id": f"{_TENANT}|{sample['source']}|{sample['id']}|0"},
                "payload": sample,
            }
        ],
    }


def _channel(kind: str) -> dict[str, Any]:
    name = EVENT_TYPES[kind].__name__
    return {
        "address": f"throughline.{{tenant}}.{kind}",
        "title": name,
        "summary": _summary(kind),
        "description": f"All `{kind}` facts of one tenant, in order per subject.",
        "servers": [{"$ref": "#/servers/bus"}],
        "parameters": {"tenant": {"description": "Tenant the fact belongs to.", "examples": [_TENANT]}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operations() -> dict[str, Any]:
    """What each tier sends, and what each durable consumer receives."""
    made: dict[str, Any] = {}
    for kind, tier in TOLD_BY.items():
        name = EVENT_TYPES[kind].__name__
        made[f"send{name}"] = {
            "action": "send",
            "title": f"Tell {name}",
            "summary": _summary(kind),
            "description": f"The {tier} tier writes the fact with the change itself; a relay publishes it from there.",
            "tags": [{"name": tier}],
            **_refers(name),
        }
    for consumer, kinds in LISTENERS.items():
        listener = "".join(part.capitalize() for part in consumer.split("-")[1:])
        for kind in kinds:
            name = EVENT_TYPES[kind].__name__
            made[f"receive{name}As{listener}"] = {
                "action": "receive",
                "title": f"{listener} hears {name}",
                "summary": _summary(kind),
                "description": f"Durable consumer `{consumer}`; replicas share it, each event acts once.",
                "tags": [{"name": consumer.partition("-")[0]}],
                "bindings": {"nats": {"queue": consumer, "bindingVersion": _BINDING}},
                **_refers(name),
            }
    return made


def _refers(name: str) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }


def _summary(kind: str) -> str:
    return (EVENT_TYPES[kind].__doc__ or "").strip().splitlines()[0]


def _schema(model: Any, collected: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = model.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    collected.update(made.pop("$defs", {}))
    return made
