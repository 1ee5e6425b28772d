"""Which rows changed after a mark, their children's changes counted, in the platform's own conditions."""

from __future__ import annotations

from dataclasses import dataclass

from system_apis.dialects.marks import Mark
from system_apis.dialects.salesforce.soql import soql_instant, soql_text


@dataclass(frozen=True, slots=True)
class Family:
    """An object whose rows count as changed when rows that point at them change."""

    sobject: str
    where: str
    child: str | None = None
    lookup: str = ""
    child_where: str = ""


def later(where: str, after: Mark | None, key: str) -> str:
    """The condition that also leaves out everything up to the mark; `key` names the row."""
    if after is None:
        return where
    at = soql_instant(after.at)
    condition = f"SystemModstamp >= {at}"
    if after.ref:
        condition += f" AND (SystemModstamp > {at} OR {key} > {soql_text(after.ref)})"
    return f"{where} AND {condition}" if where else condition
