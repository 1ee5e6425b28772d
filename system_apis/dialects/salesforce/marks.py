"""Places in the order of change: which rows changed after a mark, their children's changes counted, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.errors.taxonomy import FieldFinding, InvalidRequest
from shared.outbound import pack_cursor, unpack_cursor
from system_apis.dialects.salesforce.soql import soql_instant, soql_text


@dataclass(frozen=True, slots=True)
class Family:
    """An object whose rows count as changed when rows that point at them change."""

    sobject: str
    where: str
    child: str | None = None
    lookup: str = ""
    child_where: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the order of change: instant, then row."""

    at: datetime
    ref: str

    def packed(self) -> str:
        """As an opaque cursor."""
        return pack_cursor({"at": soql_instant(self.at), "ref": self.ref})


def start(since: datetime | None, cursor: str | None) -> Mark | None:
    """Where a list begins: behind the cursor, else at the instant, else at the beginning. Raises InvalidRequest."""
    if cursor is None:
        return Mark(since.astimezone(UTC), "") if since else None
    state = unpack_cursor(cursor)
    try:
        return Mark(datetime.fromisoformat(str(state["at"])), str(state["ref"]))
    except (KeyError, ValueError) as error:
        finding = FieldFinding("cursor", "must be the next_cursor of an earlier answer")
        raise InvalidRequest("The cursor is not one that this list gave out.", findings=[finding]) from error


def later(where: str, after: Mark | None, key: str) -> str:
    """The condition that also leaves out everything up to the mark; `key` names the row."""
    if after is None:
        return where
    at = soql_instant(after.at)
    condition = f"SystemModstamp >= {at}"
    if after.ref:
        condition += f" AND (SystemModstamp > {at} OR {key} > {soql_text(after.ref)})"
    return f"{where} AND {condition}" if where else condition
