"""What every answer of the house looks like in OpenAPI: headers and problem documents; facts, no operation."""

from __future__ import annotations

from typing import Any

from shared.errors.taxonomy import (
    BodyTooLarge,
    Conflict,
    Defect,
    FieldFinding,
    InvalidRequest,
    LimitExceeded,
    MalformedRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    OutcomeUnknown,
    PlatformError,
    StaleVersion,
    UnsupportedContent,
    VendorRejected,
    VendorUnavailable,
    VersionRetired,
)
from shared.gateway.problem import MEDIA_TYPE, problem_document
from shared.gateway.refusals import NotAcceptable

_CORRELATION = "0b6f2f6c4f1d4c0f9e1b7a52d3c8e914"
_PATH = "/finance/v1/invoices/inv_7pq2m5xk3ta4r6c2m5xk"


def _header(description: str, example: str, *, most: int) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", "maxLength": most, "examples": [example]}}


HEADERS: dict[str, dict[str, Any]] = {
    "X-Correlation-Id": _header(
        "Finds this request in the logs and traces of every tier; the caller's own where one was sent.",
        _CORRELATION,
        most=128,
    ),
    "RateLimit-Policy": _header(
        "The windows of the caller's plan: quota `q` in `w` seconds (draft-ietf-httpapi-ratelimit-headers-11).",
        '"burst";q=100;w=60',
        most=500,
    ),
    "RateLimit": _header(
        "What is left of the window that ends first: `r` requests for the next `t` seconds.",
        '"burst";r=50;t=30',
        most=500,
    ),
    "Retry-After": {
        "description": "Seconds to wait before asking again; sooner will not help.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 604_800, "examples": [30]},
    },
    "Deprecation": _header(
        "Only on a deprecated version: since when callers are asked to move on, as `@` and Unix seconds (RFC 9745).",
        "@1796083200",
        most=20,
    ),
    "Sunset": _header(
        "Only on a version whose end is set: when it stops answering (RFC 8594).",
        "Wed, 30 Jun 2027 00:00:00 GMT",
        most=40,
    ),
    "Link": _header(
        "Only on a deprecated version: its successor and the notice that explains the move.",
        '</pmo/v2>; rel="successor-version"',
        most=2000,
    ),
    "Idempotency-Replayed": {
        "description": "`true` on an answer that was kept from the first request with this Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": _header(
        "How to get in (RFC 6750, RFC 9728): the scheme, why the token does not count, where to ask for one.",
        'Bearer realm="throughline", error="invalid_token"',
        most=2000,
    ),
}
_TOLD: dict[int, tuple[str, PlatformError]] = {
    400: ("The request cannot be read.", MalformedRequest("The body is not valid JSON.")),
    401: ("No access token, or one that does not count.", NotAuthenticated("The token has expired.")),
    403: ("The token lacks a scope, or the tenant is not served.", NotPermitted("The scope billing.read is needed.")),
    404: ("There is no such resource or version, or the caller may not know of it.", NotFound()),
    406: ("No media type of the Accept header is spoken here.", NotAcceptable()),
    409: ("The present state does not allow this.", Conflict("The invoice is posted; there is nothing to decide.")),
    410: ("The version has been retired; `successor` names the one to use.", VersionRetired()),
    412: ("The resource has changed since it was read.", StaleVersion()),
    413: ("The body is larger than allowed.", BodyTooLarge("The body is larger than 1048576 bytes.")),
    415: ("The content type is not spoken here.", UnsupportedContent("Send application/json.")),
    422: (
        "A field is missing, mistyped, out of bounds or unknown, or a business rule stands against it.",
        InvalidRequest(findings=[FieldFinding("query.limit", "Input should be less than or equal to 200")]),
    ),
    429: ("A limit of the caller's plan is used up.", LimitExceeded(extra={"violated-policies": ["burst"]})),
    500: ("Something went wrong on our side; nobody needs to repeat it for us to see it.", Defect()),
    502: ("A connected system did not do its part.", VendorRejected("The ERP rejected the invoice.")),
    503: ("The platform or a connected system is unavailable for the moment.", VendorUnavailable()),
    504: ("A connected system did not say whether the change was made: look before trying again.", OutcomeUnknown()),
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457), what is known to have happened, and what to do next.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "instance", "correlation_id", "errors"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "maxLength": 200,
            "description": "Stable name of the kind of problem; a program may branch on it.",
            "examples": ["urn:throughline:problem:invalid_request"],
        },
        "title": {
            "type": "string",
            "maxLength": 300,
            "description": "One sentence that is the same for every problem of the type.",
            "examples": ["The request is not valid."],
        },
        "status": {
            "type": "integer",
            "minimum": 400,
            "maximum": 599,
            "description": "HTTP status of the answer.",
            "examples": [422],
        },
        "detail": {
            "type": "string",
            "maxLength": 10_000,
            "description": "What is wrong this time, for people.",
            "examples": ["The request is not valid: query.limit."],
        },
        "code": {
            "type": "string",
            "maxLength": 80,
            "description": "Short form of `type`, the same in every tier.",
            "examples": ["invalid_request"],
        },
        "reaction": {
            "type": "string",
            "enum": ["fix_request", "wait", "reconcile", "call_operator", "report_bug"],
            "description": "What the reader should do next.",
        },
        "effect": {
            "type": "string",
            "enum": ["none", "unknown"],
            "description": "What is known to have happened: nothing, or nobody can say yet.",
        },
        "instance": {
            "type": "string",
            "maxLength": 8192,
            "description": "Path of the request that was refused.",
            "examples": [_PATH],
        },
        "correlation_id": {
            "type": "string",
            "maxLength": 128,
            "description": "Finds this request in the logs of every tier.",
            "examples": [_CORRELATION],
        },
        "errors": {
            "type": "array",
            "maxItems": 10_000,
            "description": "What is wrong with which field (the first hundred); empty where none is to blame.",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {
                    "field": {
                        "type": "string",
                        "maxLength": 8192,
                        "description": "Where: `body.lines.0.amount`, `query.limit`, `path.invoice_id`.",
                        "examples": ["query.limit"],
                    },
                    "reason": {
                        "type": "string",
                        "maxLength": 10_000,
                        "description": "Why it is not accepted.",
                        "examples": ["Input should be less than or equal to 200"],
                    },
                },
            },
        },
    },
}


def problem_answers() -> dict[str, dict[str, Any]]:
    """One response component per status, each with a problem of that status as its example."""
    return {f"Problem{status}": _problem_answer(told, error) for status, (told, error) in _TOLD.items()}


def headers_of(*names: str) -> dict[str, Any]:
    """References to the header components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem_answer(told: str, error: PlatformError) -> dict[str, Any]:
    names = ["X-Correlation-Id"]
    if error.status in {429, 503}:
        names.append("Retry-After")
    if error.status == LimitExceeded.status:
        names += ["RateLimit", "RateLimit-Policy"]
    if error.status == NotAuthenticated.status:
        names.append("WWW-Authenticate")
    value = problem_document(error, instance=_PATH, correlation_id=_CORRELATION)
    return {
        "description": told,
        "headers": headers_of(*names),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {error.code: {"summary": value["title"], "value": value}},
            }
        },
    }
