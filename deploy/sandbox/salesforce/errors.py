"""The vendor's refusals: codes, texts and the shapes they take on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


class SalesforceError(Exception):
    """A refusal as the REST API words it: HTTP status, error code, message, and the fields it is about."""

    def __init__(
        self, status: int, code: str, message: str, fields: Sequence[str] | None = None, body: Any = None
    ) -> None:
        """`body` replaces the usual array of one error."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = None if fields is None else list(fields)
        self.body = body

    def on_the_wire(self) -> Any:
        """The REST body: an array with one error."""
        if self.body is not None:
            return self.body
        error: Json = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = self.fields
        return [error]

    def in_a_collection(self) -> Json:
        """The error as a collection result carries it, where the key is `statusCode`."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields or []}


def not_found(message: str = "The requested resource does not exist") -> SalesforceError:
    """No such resource, or none the caller may see."""
    return SalesforceError(404, "NOT_FOUND", message)


def method_not_allowed(method: str, allowed: str) -> SalesforceError:
    """The resource exists, the method does not."""
    return SalesforceError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {allowed}")


def session_invalid(message: str = "Session expired or invalid") -> SalesforceError:
    """The access token does not count."""
    return SalesforceError(401, "INVALID_SESSION_ID", message)


def limit_exceeded(which: str = "ConcurrentRequests (Concurrent API Requests)") -> SalesforceError:
    """The org's limit is used up; the vendor sends 403 and no Retry-After."""
    return SalesforceError(403, "REQUEST_LIMIT_EXCEEDED", f"{which} Limit exceeded.")


def no_such_column(field: str, sobject: str) -> SalesforceError:
    """A field the object does not have, in a body."""
    return SalesforceError(400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {sobject}")


def malformed_query(message: str) -> SalesforceError:
    """A query that cannot be read."""
    return SalesforceError(400, "MALFORMED_QUERY", message)


def malformed_json(message: str) -> SalesforceError:
    """A body that cannot be read, or a value that does not fit its field's type."""
    return SalesforceError(400, "JSON_PARSER_ERROR", message)


def missing_fields(fields: Sequence[str]) -> SalesforceError:
    """Required fields without a value."""
    listed = ", ".join(fields)
    return SalesforceError(400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{listed}]", fields)


def duplicate_value(field: str, record_id: str) -> SalesforceError:
    """A unique field's value stands on another row."""
    text = f"duplicate value found: {field} duplicates value on record with id: {record_id}"
    return SalesforceError(400, "DUPLICATE_VALUE", text, [])


def unknown_reference(field: str) -> SalesforceError:
    """A lookup to a row that is not there."""
    return SalesforceError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [field])


def malformed_id(value: str) -> SalesforceError:
    """Something that cannot be a record id."""
    return SalesforceError(400, "MALFORMED_ID", f"malformed id {value}")
