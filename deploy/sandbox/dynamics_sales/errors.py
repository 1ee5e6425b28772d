"""Refusals as Dataverse words them: one `error` object with a code and a message."""

from __future__ import annotations

from typing import Any

DUPLICATE_TEXT = "A record with matching key values already exists."


class DataverseError(Exception):
    """An answer of 400 and more."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        """`code` as hexadecimal text, blank where the vendor leaves it blank."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def on_the_wire(self, *, is_detailed: bool = False) -> dict[str, Any]:
        """The body; `is_detailed` adds what callers get who asked for all annotations."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if is_detailed:
            error["@Microsoft.PowerApps.CDS.HelpLink"] = (
                f"http://go.microsoft.com/fwlink/?LinkID=398563&error={self.code}"
            )
            error["@Microsoft.PowerApps.CDS.InnerError.Message"] = self.message
        return {"error": error}


def bad_query(message: str) -> DataverseError:
    """OData that cannot be read."""
    return DataverseError(400, "0x0", message)


def no_property(name: str, schema: str) -> DataverseError:
    """A column that is not there."""
    return bad_query(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{schema.lower()}'.")


def bad_payload(message: str) -> DataverseError:
    """A body that does not fit the table."""
    return DataverseError(400, "0x80048d19", f"Error identified in Payload provided by the user: {message}")


def too_long(column: str, table: str, longest: int) -> DataverseError:
    """More letters than the column takes."""
    text = f"A validation error occurred. The length of the '{column}' attribute of the '{table}' entity exceeded the"
    return DataverseError(400, "0x80044331", f"{text} maximum allowed length of '{longest}'.")


def out_of_range(column: str, table: str, allowed: str) -> DataverseError:
    """A choice or number the column does not take."""
    text = (
        f"A validation error occurred. The value of '{column}' on record of type '{table}' is outside the valid range."
    )
    return DataverseError(400, "0x8004431a", f"{text} Accepted Values: {allowed}")


def business_rule(message: str) -> DataverseError:
    """What a plug-in of the product says no to."""
    return DataverseError(400, "0x80040265", message)


def does_not_exist(table: str, key: str) -> DataverseError:
    """No such row."""
    return DataverseError(404, "0x80040217", f"{table} With Id = {key} Does Not Exist")


def no_such_key(table: str) -> DataverseError:
    """No row has these values of an alternate key."""
    return DataverseError(404, "0x80060891", f"A record with the specified key values does not exist in {table} entity")


def no_segment(name: str) -> DataverseError:
    """An address that leads nowhere."""
    return DataverseError(404, "0x8006088a", f"Resource not found for the segment '{name}'.")


def not_allowed(method: str) -> DataverseError:
    """The resource does not know the method."""
    return DataverseError(405, "0x0", f"The requested resource does not support http method '{method}'.")


def duplicate_key() -> DataverseError:
    """Another row has the id or the alternate key."""
    return DataverseError(412, "0x80040237", DUPLICATE_TEXT)


def stale() -> DataverseError:
    """If-Match names another version."""
    text = "The version of the existing record doesn't match the RowVersion property provided."
    return DataverseError(412, "0x80060882", text)


def missing(column: str) -> DataverseError:
    """A column the platform itself demands."""
    return DataverseError(400, "0x80040203", f"The required attribute '{column}' is missing.")
