"""The vendor's refusals: status and error body; nothing else may stand here."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer other than success; `errors` are the members of the vendor's error body."""

    def __init__(self, status: int, *errors: dict[str, Any]) -> None:
        """`errors` as the vendor words them: type, message and, for validation, field."""
        super().__init__(f"{status} {errors}")
        self.status = status
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {"errors": list(self.errors)}


def unauthorized() -> Refusal:
    """No token, or one the account does not know."""
    return Refusal(401, {"type": "oauth", "message": "Invalid OAuth 2 Request"})


def forbidden() -> Refusal:
    """The token's user may not do this."""
    return Refusal(403, {"type": "system", "message": "You are not authorized to perform this action"})


def not_found() -> Refusal:
    """No such record, or hidden by a default filter."""
    return Refusal(404, {"type": "system", "message": "Resource not found"})


def bad_request(message: str) -> Refusal:
    """Parameters or body that cannot be read."""
    return Refusal(400, {"type": "system", "message": message})


def rate_limited() -> Refusal:
    """Undeclared by the vendor, seen in life; no Retry-After comes with it."""
    return Refusal(429, {"type": "system", "message": "Rate limit exceeded. Please try again later."})


def invalid(field: str, message: str) -> Refusal:
    """A value that does not pass validation."""
    return Refusal(422, {"type": "validation", "message": message, "field": field})


def missing(*fields: str) -> Refusal:
    """Required values that are not there."""
    return Refusal(422, *({"type": "validation", "message": f"{f} can't be blank", "field": f} for f in fields))
