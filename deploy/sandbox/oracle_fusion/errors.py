"""The pod's errors and their bodies: structured from framework 4 on or when asked for, plain text before that."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

ERROR_TYPE = "application/vnd.oracle.adf.error+json"
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class Refusal(Exception):
    """A request the pod refuses; `path` is the attribute (`/ProjectName`), `headers` go with the answer."""

    def __init__(
        self, status: int, detail: str, *, code: str = "", path: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.path = path
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The structured body; the status is a string there."""
        details: dict[str, Any] = {"detail": self.detail}
        if self.code:
            details["o:errorCode"] = self.code
        if self.path:
            details["o:errorPath"] = self.path
        title = _TITLES.get(self.status, "Error")
        return {"title": title, "status": str(self.status), "o:errorDetails": [details]}

    def response(self, *, is_structured: bool) -> Response:
        """The error on the wire."""
        if is_structured:
            return JSONResponse(self.document(), self.status, self.headers, ERROR_TYPE)
        return PlainTextResponse(self.detail, self.status, self.headers)


def not_valid(detail: str, path: str, code: str = "27024") -> Refusal:
    """A value the attribute does not take."""
    return Refusal(400, detail, code=code, path=f"/{path}")


def missing(attribute: str) -> Refusal:
    """An attribute without which nothing is made."""
    return Refusal(400, f"JBO-27014: Attribute {attribute} is required.", code="27014", path=f"/{attribute}")


def no_such_item() -> Refusal:
    """Nothing there."""
    return Refusal(404, "Not Found")


def bad_query(detail: str) -> Refusal:
    """A query parameter that cannot be used."""
    return Refusal(400, f"URL request parameter q cannot be used. {detail}", code="27520")


def invalid_operation(operation: str) -> Refusal:
    """An operation the resource does not offer."""
    return Refusal(400, f"Invalid operation {operation} for the specified resource.", code="27515")


def unauthorized() -> Refusal:
    """No credentials, or none that count."""
    return Refusal(401, "Unauthorized", headers={"WWW-Authenticate": 'Bearer realm="oracle_fusion"'})


def throttled() -> Refusal:
    """The pod has no room for the request; Oracle documents no waiting time."""
    return Refusal(429, "Too Many Requests")
