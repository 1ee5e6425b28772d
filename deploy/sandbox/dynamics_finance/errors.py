"""How the product says no: OData errors with an infolog, throttling, the door's silence; nothing else may enter."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response


class Refusal(Exception):
    """A request that is refused; `inner` is the text of `innererror.message`."""

    def __init__(self, status: int, message: str, inner: str = "", *, kind: str = "") -> None:
        super().__init__(inner or message)
        self.status = status
        self.message = message
        self.inner = inner
        self.kind = kind

    def document(self) -> dict[str, Any]:
        """The error body."""
        error: dict[str, Any] = {"code": "", "message": self.message}
        if self.inner:
            error["innererror"] = {"message": self.inner, "type": self.kind, "stacktrace": ""}
        return {"error": error}

    def response(self) -> Response:
        """The error on the wire."""
        return JSONResponse(self.document(), self.status)


def write_failed(entity: str, *reasons: str, data_source: str = "") -> Refusal:
    """A rule of the table stands against the row; each reason is a line of the infolog."""
    source = data_source or entity
    listed = "; ".join([*(f"Warning: {reason}" for reason in reasons), _noise(source)])
    inner = f"Write failed for table row of type '{entity}'. Infolog: {listed}."
    return Refusal(400, "An error has occurred.", inner, kind="Microsoft.Dynamics.Platform.Integration.Services.OData")


def _noise(source: str) -> str:
    return f"Warning: validateWrite failed on data source '{source} ({source})'"


def already_exists(entity: str, key: str) -> Refusal:
    """The key is taken: 400 with a text, not 409."""
    return write_failed(entity, f"Cannot create a record in {entity} ({key}). The record already exists.")


def bad_request(reason: str) -> Refusal:
    """A body or a query that cannot be read."""
    return Refusal(400, "An error has occurred.", reason, kind="Microsoft.OData.ODataException")


def no_such_set(name: str) -> Refusal:
    """An address without a data entity behind it."""
    return Refusal(404, f"No HTTP resource was found that matches the request URI '{name}'.")


def no_such_row(name: str) -> Refusal:
    """Nothing under that key, or not in the company looked at."""
    return Refusal(404, f"No row of {name} matches the key.")


def not_allowed(name: str) -> Refusal:
    """The security role of the mapped user does not reach so far."""
    return Refusal(403, f"Access is denied to data entity {name} for the user of this application.")


def stale() -> Refusal:
    """If-Match names an older version."""
    return Refusal(412, "The request could not be performed because the ETag does not match the current version.")


def update_conflict(table: str) -> Refusal:
    """Two writers met in one record; neither change of the second was kept."""
    return write_failed(
        table,
        f"Cannot edit a record in {table}. An update conflict occurred due to another user process deleting the record "
        "or changing one or more fields in the record.",
    )


def throttled(seconds: int | None) -> Response:
    """The service is short of resources."""
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    return JSONResponse({"Message": "Number of requests exceeded. The service is throttled."}, 429, headers)


def unknown_caller() -> Response:
    """No token, or an application that is not registered inside the product: an empty body."""
    return Response(status_code=401)
