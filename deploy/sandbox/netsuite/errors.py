"""How NetSuite says no: its error document and the known pairs of status and code; nothing else may enter."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/vnd.oracle.resource+json; type=error"
_TITLES = {
    400: ("Bad Request", "10.4.1"),
    401: ("Unauthorized", "10.4.2"),
    403: ("Forbidden", "10.4.4"),
    404: ("Not Found", "10.4.5"),
    405: ("Method Not Allowed", "10.4.6"),
    429: ("Bad Request", "10.4.1"),
    500: ("Internal Server Error", "10.5.1"),
}


class Refusal(Exception):
    """A request the account refuses; `where` is the member that locates the trouble (`o:errorPath` and its kin)."""

    def __init__(self, status: int, code: str, detail: str, *, title: str | None = None, **where: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title
        self.where = where

    def document(self) -> dict[str, Any]:
        """The error body."""
        title, section = _TITLES.get(self.status, _TITLES[400])
        details = {"detail": self.detail, "o:errorCode": self.code}
        details.update({f"o:{name}": value for name, value in self.where.items()})
        return {
            "type": f"https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html#sec{section}",
            "title": self.title or title,
            "status": self.status,
            "o:errorDetails": [details],
        }

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """The error on the wire."""
        return JSONResponse(self.document(), self.status, headers, MEDIA_TYPE)


def invalid_content(detail: str, path: str) -> Refusal:
    """A field that is missing, mistyped or points nowhere."""
    return Refusal(400, "INVALID_CONTENT", f"Error while accessing a resource. {detail}", errorPath=path)


def invalid_query(detail: str, parameter: str = "q") -> Refusal:
    """A query parameter that cannot be used."""
    return Refusal(400, "INVALID_PARAMETER", f"Invalid query parameter. {detail}", errorQueryParam=parameter)


def no_such_record(record: str, key: str) -> Refusal:
    """Nothing there."""
    return Refusal(
        404,
        "NONEXISTENT_ID",
        f"The record instance does not exist. Provide a valid record instance ID. ({record}/{key})",
    )


def user_error(detail: str) -> Refusal:
    """A business rule of the account stands against it."""
    return Refusal(400, "USER_ERROR", f"Error while accessing a resource. {detail}")


def invalid_login() -> Refusal:
    """The bearer token is missing, unknown or expired, or the request is not signed as it must be."""
    return Refusal(401, "INVALID_LOGIN", "Invalid login attempt. The Login Audit Trail of the account tells more.")


def too_many_at_once() -> Refusal:
    """More requests in flight than the account's limit."""
    return Refusal(429, "CONCURRENCY_LIMIT_EXCEEDED", "Concurrent request limit exceeded. Request blocked.")
