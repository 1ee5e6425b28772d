"""Errors of the taxonomy as RFC 9457 documents; what a caller may read enters, internal detail does not."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from shared.errors.taxonomy import (
    Defect,
    LimitExceeded,
    MethodNotAllowed,
    NotAuthenticated,
    Overloaded,
    PlatformError,
    TooManyAtOnce,
)

Headers = list[tuple[bytes, bytes]]
MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:throughline:problem:"
_FINDINGS_IN_DETAIL = 3
_REGISTERED = "https://iana.org/assignments/http-problem-types#"
QUOTA_TYPE = f"{_REGISTERED}quota-exceeded"
CAPACITY_TYPE = f"{_REGISTERED}temporary-reduced-capacity"


def problem_type(kind: type[PlatformError]) -> str:
    """The stable `type` of an error: the registered one where there is one, else ours."""
    if issubclass(kind, LimitExceeded | TooManyAtOnce):
        return QUOTA_TYPE
    return CAPACITY_TYPE if issubclass(kind, Overloaded) else TYPE_PREFIX + kind.code


def problem_document(error: PlatformError, *, instance: str, correlation_id: str) -> dict[str, Any]:
    """The members of the document; never `error.detail`."""
    kind = type(error)
    return {
        **error.extra,
        "type": problem_type(kind),
        "title": kind.sentence,
        "status": error.status,
        "detail": _detail(error),
        "code": error.code,
        "reaction": error.reaction.value,
        "effect": error.effect.value,
        "instance": instance,
        "correlation_id": correlation_id,
        "errors": [finding.as_json() for finding in error.findings],
    }


def _detail(error: PlatformError) -> str:
    if error.message != type(error).sentence or not error.findings or error.status == NotAuthenticated.status:
        return error.message
    told = "; ".join(f"{finding.field}: {finding.reason}" for finding in error.findings[:_FINDINGS_IN_DETAIL])
    return f"{error.message} {told}"


def problem_answer(error: PlatformError, *, instance: str, correlation_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body that tell the caller of an error."""
    document = problem_document(error, instance=instance, correlation_id=correlation_id)
    try:
        body = orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half a surrogate pair in a field name of the caller's: readable when escaped
        body = json.dumps(document, default=str).encode()
    headers: Headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after))).encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.extra.get("allow", ())).encode()))
    return error.status, headers, body


def broken(instance: str, correlation_id: str) -> tuple[int, Headers, bytes]:
    """The answer to a defect of ours: nothing but its correlation id."""
    return problem_answer(Defect(), instance=instance, correlation_id=correlation_id)
