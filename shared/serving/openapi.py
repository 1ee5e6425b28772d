"""OpenAPI documents as callers need them: security and problems at every operation; routes and policies enter."""

from __future__ import annotations

from typing import Any

from shared.gateway.document import GatewayDocuments, Operation
from shared.gateway.gateway import path_shape

_PROBLEM = "application/problem+json"
_ALWAYS = {400, 404, 413, 422, 429, 500, 502, 503, 504}
_TITLES = {
    400: "The request cannot be read.",
    401: "No access token, or one that does not count.",
    403: "The token lacks a scope, or the tenant is not served.",
    404: "There is no such resource or version.",
    409: "The present state does not allow this.",
    412: "The resource has changed since it was read.",
    413: "The body is larger than allowed.",
    415: "The content type is not spoken here.",
    422: "A field is missing, mistyped or out of bounds, or a business rule stands against it.",
    429: "A limit of the caller's plan is used up.",
    500: "Something went wrong on our side.",
    502: "A connected system did not do its part.",
    503: "The platform or a connected system is unavailable for the moment.",
    504: "A connected system did not say whether the change was made.",
}
_PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "instance", "correlation_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:throughline:problem:invalid_request"]},
        "title": {"type": "string", "description": "One sentence that is the same for every problem of the type."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong this time."},
        "code": {"type": "string", "examples": ["invalid_request"]},
        "reaction": {
            "type": "string",
            "enum": ["fix_request", "wait", "reconcile", "call_operator", "report_bug"],
            "description": "What the reader should do next.",
        },
        "effect": {"type": "string", "enum": ["none", "unknown"], "description": "What is known to have happened."},
        "instance": {"type": "string", "description": "Path of the request."},
        "correlation_id": {"type": "string", "description": "Finds this request in the logs of every tier."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {
                    "field": {"type": "string", "examples": ["body.hours"]},
                    "reason": {"type": "string", "examples": ["Input should be greater than 0"]},
                },
            },
        },
    },
}


def described(document: dict[str, Any], gateway: GatewayDocuments) -> dict[str, Any]:
    """The framework's document with what the gateway adds: security, problem responses, Idempotency-Key."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM_SCHEMA
    components["responses"] = {
        f"Problem{status}": {
            "description": told,
            "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, told in _TITLES.items()
    }
    components["securitySchemes"] = {
        "access_token": {
            "type": "oauth2",
            "description": "Access token (RFC 9068) of the built-in issuer.",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": _scopes(gateway)}},
        }
    }
    declared = {(one.method.lower(), path_shape(one.path)): one for one in gateway.operations()}
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            facts = declared.get((method, path_shape(path)))
            if facts is not None:
                _describe(operation, facts)
    return document


def _describe(operation: dict[str, Any], facts: Operation) -> None:
    responses: dict[str, Any] = operation.setdefault("responses", {})
    statuses = set(_ALWAYS)
    if not facts.is_public:
        statuses |= {401, 403}
        alternatives = [[*facts.scopes, one] for one in facts.one_of] or [list(facts.scopes)]
        operation["security"] = [{"access_token": scopes} for scopes in alternatives]
    else:
        operation["security"] = []
    if facts.method != "GET":
        statuses |= {409, 412, 415}
    for status in sorted(statuses):
        told = responses.get(str(status), {})
        if "content" not in told or "HTTPValidationError" in str(told):
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = dict(sorted(responses.items()))
    if facts.policies.idempotency is not None:
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": facts.policies.idempotency.required,
                "description": "The same key with the same request gets the first answer again for a day.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                "examples": {"uuid": {"value": "7f3c1c52-6f0e-4ac9-9c39-5c9a4f3f2a10"}},
            }
        )


def _scopes(gateway: GatewayDocuments) -> dict[str, str]:
    names = sorted({scope for one in gateway.operations() for scope in (*one.scopes, *one.one_of)})
    return {name: f"{name.rpartition('.')[2].capitalize()} {name.rpartition('.')[0]}." for name in names}
