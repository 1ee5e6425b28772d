"""What goes wrong behind the gate becomes a problem document here; the taxonomy enters, HTTP leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.errors.taxonomy import (
    BodyTooLarge,
    Conflict,
    FieldFinding,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PlatformError,
    UnsupportedContent,
)
from shared.gateway.kit import SCOPE_KEY, Kit
from shared.gateway.policies.jwt.challenge import challenges
from shared.gateway.problem import problem_answer
from shared.telemetry import get_logger

_NAMED_AT_MOST, _FINDINGS_AT_MOST, _LONGEST_FIELD = 10, 100, 500
_log = get_logger("serving")
_BY_STATUS: dict[int, type[PlatformError]] = {
    kind.status: kind
    for kind in (
        MalformedRequest,
        NotAuthenticated,
        NotPermitted,
        NotFound,
        MethodNotAllowed,
        Conflict,
        BodyTooLarge,
        UnsupportedContent,
        InvalidRequest,
    )
}


def problem_response(request: Request, error: PlatformError) -> Response:
    """The answer that tells of an error."""
    kit: Kit | None = request.scope.get(SCOPE_KEY)
    if kit is not None:
        kit.refused_by = error.code
    correlation_id = kit.correlation_id if kit else ""
    if error.detail:
        _log.warning("refused", code=error.code, detail=error.detail, correlation_id=correlation_id)
    status, headers, body = problem_answer(error, instance=request.url.path, correlation_id=correlation_id)
    response = Response(body, status_code=status)
    response.raw_headers = [*headers, *challenges(error, "", "")]
    return response


async def on_platform_error(request: Request, error: Exception) -> Response:
    """Errors of ours, raised by routes and what they call."""
    assert isinstance(error, PlatformError)  # noqa: S101 - registered for this class
    return problem_response(request, error)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Bodies and parameters that do not fit their models: every finding, with field and reason."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return problem_response(request, as_refusal(error.errors()))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    kind = _BY_STATUS.get(error.status_code, InvalidRequest)
    return problem_response(request, kind(str(error.detail)))


def as_refusal(errors: Sequence[Any]) -> InvalidRequest:
    """The framework's findings as an error of ours; a body that is not JSON at all is malformed (400)."""
    if any(one["type"] == "json_invalid" for one in errors):
        one = next(one for one in errors if one["type"] == "json_invalid")
        reason = str(one.get("ctx", {}).get("error", one["msg"]))
        return MalformedRequest(
            "The body is not valid JSON.", findings=[FieldFinding("body", f"{reason} at character {one['loc'][-1]}")]
        )
    findings = [FieldFinding(field_path(one["loc"])[:_LONGEST_FIELD], str(one["msg"])) for one in errors]
    fields = list(dict.fromkeys(finding.field for finding in findings))
    more = f" and {len(fields) - _NAMED_AT_MOST} more" if len(fields) > _NAMED_AT_MOST else ""
    named = ", ".join(fields[:_NAMED_AT_MOST])
    return InvalidRequest(f"The request is not valid: {named}{more}.", findings=findings[:_FINDINGS_AT_MOST])


def field_path(place: Sequence[int | str]) -> str:
    """`body.lines.0.amount`, `query.limit`, `path.id`, `header.if-match`."""
    return ".".join(str(part) for part in place)


def install_problems(app: FastAPI) -> None:
    """Let the application answer with problem documents."""
    app.add_exception_handler(PlatformError, on_platform_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
