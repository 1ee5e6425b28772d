"""Query options of OData as the product reads them: its wildcards, its enumeration literals, its companies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from deploy.sandbox.dynamics_finance.errors import bad_request
from deploy.sandbox.dynamics_finance.schema import ENUMS, NAMESPACE, EntitySet
from deploy.sandbox.dynamics_finance.state import DEFAULT_COMPANY, Table
from deploy.sandbox.dynamics_finance.values import Row
from deploy.sandbox.kit.odata import Condition, ODataRefused, parse_filter
from deploy.sandbox.kit.odata_options import parse_orderby, sorted_rows

_WILDCARD: Final = re.compile(r"\b(\w+) eq ('(?:[^']|'')*\*(?:[^']|'')*')")
_TEXTS: Final = re.compile(r"'(?:[^']|'')*'")
_COMPARED: Final = re.compile(r"\b(\w+)\s+(eq|ne|gt|ge|lt|le)\s+(\S+)")
_UNKNOWN: Final = re.compile(r"\s(in|has)\s")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer; `following` is how many rows to skip next, None at the end."""

    rows: list[Row]
    total: int
    following: int | None


def is_cross_company(options: Mapping[str, str]) -> bool:
    """Whether the caller looks into all companies."""
    return options.get("cross-company", "").lower() == "true"


def _wildcard(value: Any, pattern: str) -> bool:
    return fnmatchcase(str(value).lower(), pattern.lower().replace("[", "[[]"))


def condition(entity: EntitySet, text: str) -> Condition:
    """A `$filter`. Raises Refusal for what the product does not know."""
    plain = _TEXTS.sub("''", text)
    if found := _UNKNOWN.search(plain):
        raise bad_request(f"The operator '{found.group(1)}' is not supported.")
    for name, operator, literal in _COMPARED.findall(text):
        _check(entity, name, operator, literal)
    try:
        return parse_filter(_WILDCARD.sub(r"wildcard(\1,\2)", text), functions={"wildcard": _wildcard})
    except ODataRefused as refused:
        raise bad_request(f"Invalid filter: {refused}.") from refused


def _check(entity: EntitySet, name: str, operator: str, literal: str) -> None:
    field = entity.fields.get(name)
    if field is None:
        raise bad_request(f"Could not find a property named '{name}' on type '{entity.entity}'.")
    if not field.is_enum:
        return
    if operator not in {"eq", "ne"}:
        raise bad_request(f"Enumerations such as '{name}' can only be compared with eq and ne.")
    member = literal.rstrip(")")
    known = {f"{NAMESPACE}.{field.kind}'{value}'" for value in ENUMS[field.kind]}
    if member not in known:
        raise bad_request(f"A binary operator with incompatible types was detected: {name} is {field.kind}.")


def selected(entity: EntitySet, text: str) -> list[str] | None:
    """The fields of a `$select`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name != "*" and name not in entity.fields:
            raise bad_request(f"Could not find a property named '{name}' on type '{entity.entity}'.")
    return None if not names or "*" in names else names


def run(table: Table, options: Mapping[str, str], *, most: int) -> Page:
    """The rows that the options ask for, at most `most` of them."""
    entity = table.entity
    strange = [name for name in options if name.startswith("$") and name not in _KNOWN]
    if strange:
        raise bad_request(f"The query option '{strange[0]}' is not supported.")
    wanted = condition(entity, options["$filter"]) if options.get("$filter") else None
    rows = [
        row
        for row in table.candidates(wanted.equal if wanted else {})
        if (not entity.has_company or is_cross_company(options) or row["dataAreaId"] == DEFAULT_COMPANY)
        and (wanted is None or wanted(row))
    ]
    if order := options.get("$orderby"):
        parts = parse_orderby(order)
        for path, _ in parts:
            if path not in entity.fields:
                raise bad_request(f"Could not find a property named '{path}' on type '{entity.entity}'.")
        rows = sorted_rows(rows, parts)
    total = len(rows)
    try:
        skip = int(options.get("$skiptoken") or options.get("$skip") or 0)
        top = int(options["$top"]) if "$top" in options else None
    except ValueError as error:
        raise bad_request("$top and $skip are whole numbers.") from error
    end = total if top is None else min(total, skip + top)
    page = rows[skip : min(end, skip + most)]
    reached = skip + len(page)
    return Page(page, total, reached if reached < end else None)


_KNOWN: Final = frozenset(
    {"$filter", "$count", "$orderby", "$skip", "$top", "$expand", "$select", "$skiptoken", "$search"}
)
