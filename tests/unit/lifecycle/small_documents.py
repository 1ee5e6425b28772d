"""A small document of each kind, and how to change a copy of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Node = dict[str, Any]
Edit = Callable[[Node], None]

OPENAPI: Node = {
    "openapi": "3.1.0",
    "info": {"title": "Boats", "version": "1.0.0", "description": "About boats.", "x-lifecycle": "active"},
    "servers": [{"url": "/"}],
    "tags": [{"name": "boats"}],
    "paths": {
        "/boats/v1/boats/{boat_id}": {
            "put": {
                "operationId": "putBoat",
                "summary": "A boat",
                "description": "Keeps it.",
                "tags": ["boats"],
                "security": [{"token": ["boats.write"]}],
                "parameters": [
                    {"name": "boat_id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {
                        "name": "color",
                        "in": "query",
                        "description": "Only these.",
                        "schema": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                    },
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BoatOrder"}}},
                },
                "responses": {
                    "200": {
                        "description": "The boat.",
                        "headers": {"ETag": {"schema": {"type": "string"}, "required": True}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Boat"}}},
                    },
                    "404": {"description": "No boat."},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "BoatOrder": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 20, "description": "What it is called."},
                    "length": {"type": "number", "minimum": 1, "maximum": 400},
                    "kind": {"type": "string", "enum": ["sail", "motor"]},
                    "owner": {"anyOf": [{"$ref": "#/components/schemas/Owner"}, {"type": "null"}]},
                    "cabins": {"type": "array", "items": {"type": "integer"}, "maxItems": 9},
                },
            },
            "Boat": {
                "type": "object",
                "required": ["name", "kind"],
                "properties": {
                    "name": {"type": "string", "maxLength": 20},
                    "kind": {"type": "string", "enum": ["sail", "motor"]},
                    "note": {"type": "string"},
                    "built_on": {"type": "string", "format": "date"},
                    "depth": {"type": "integer"},
                    "next": {"$ref": "#/components/schemas/Boat"},
                },
            },
            "Owner": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        },
        "securitySchemes": {
            "token": {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "/t", "scopes": {"boats.write": "Change boats."}}},
            }
        },
    },
}

ASYNCAPI: Node = {
    "asyncapi": "3.0.0",
    "info": {"title": "Facts", "version": "1.0.0"},
    "defaultContentType": "application/json",
    "servers": {"bus": {"host": "127.0.0.1:4222", "protocol": "nats"}},
    "channels": {
        "BoatSold": {
            "address": "boats.sold.v1",
            "messages": {"BoatSold": {"$ref": "#/components/messages/BoatSold"}},
        }
    },
    "operations": {
        "onBoatSold": {"action": "receive", "channel": {"$ref": "#/channels/BoatSold"}, "summary": "Hears of it."}
    },
    "components": {
        "messages": {
            "BoatSold": {
                "name": "boat.sold.v1",
                "contentType": "application/json",
                "payload": {
                    "allOf": [
                        {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
                        {"type": "object", "properties": {"price": {"type": "integer"}}},
                    ]
                },
            }
        }
    },
}


def edited(document: Node, edit: Edit) -> Node:
    """A copy with one thing changed."""
    made = copy.deepcopy(document)
    edit(made)
    return made


def operation(document: Node) -> Node:
    """The one operation of the document."""
    found: Node = document["paths"]["/boats/v1/boats/{boat_id}"]["put"]
    return found


def order(document: Node) -> Node:
    """What callers send."""
    found: Node = document["components"]["schemas"]["BoatOrder"]["properties"]
    return found


def boat(document: Node) -> Node:
    """What callers are told."""
    found: Node = document["components"]["schemas"]["Boat"]["properties"]
    return found
