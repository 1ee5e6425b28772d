"""The other query options of OData 2 and 4 as simulators read them: order, columns, children, keys in addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from deploy.sandbox.kit.odata import ODataRefused, Resolve, follow

Row = TypeVar("Row")
Key = Mapping[str, Any]
_SEGMENT: Final = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?:\((?P<inside>.*)\))?$", re.DOTALL)
_PAIR: Final = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=\s*)?('(?:[^']|'')*'|[A-Za-z]+'(?:[^']|'')*'|[^,']+)\s*(?:,|$)")
_PREFIXED: Final = re.compile(r"^(guid|datetime|datetimeoffset|time|X)'(.*)'$", re.DOTALL)


def split_outside(text: str, mark: str) -> list[str]:
    """The parts between marks that stand outside parentheses and texts."""
    parts, depth, quoted, start = [""], 0, False, 0
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
        elif not quoted and depth == 0 and letter == mark:
            parts[-1] = text[start:at]
            parts.append("")
            start = at + 1
    parts[-1] = text[start:]
    return [part.strip() for part in parts if part.strip()]


def parse_orderby(text: str) -> list[tuple[str, bool]]:
    """Paths with whether they descend."""
    order: list[tuple[str, bool]] = []
    for part in split_outside(text, ","):
        path, _, way = part.partition(" ")
        if way.strip().lower() not in {"", "asc", "desc"}:
            raise ODataRefused(f"'{part}' is not an order")
        order.append((path, way.strip().lower() == "desc"))
    return order


def sorted_rows(rows: Sequence[Row], order: Sequence[tuple[str, bool]], resolve: Resolve = follow) -> list[Row]:
    """The rows in that order; empty values first, as SQL Server and HANA put them."""
    ordered = list(rows)
    for path, descends in reversed(order):
        parts = path.split("/")

        def key(row: Any, parts: Sequence[str] = parts) -> tuple[bool, Any]:
            value = resolve(row, parts)
            return (value is not None, value if value is not None else "")

        ordered.sort(key=key, reverse=descends)
    return ordered


def parse_select(text: str) -> list[str]:
    """Columns, in order, each once."""
    return list(dict.fromkeys(split_outside(text, ",")))


@dataclass(frozen=True, slots=True)
class Expand:
    """What is asked of a child: its own options (version 4) by name without `$`, and its own children."""

    options: Mapping[str, str] = field(default_factory=dict[str, str])
    children: Mapping[str, Expand] = field(default_factory=dict[str, "Expand"])


def parse_expand(text: str) -> dict[str, Expand]:
    """Children to be brought along: paths (`a/b`, version 2), nested options (`a($select=b;$expand=c)`, version 4)."""
    found: dict[str, Expand] = {}
    for part in split_outside(text, ","):
        head, _, inside = part.partition("(")
        name, *deeper = head.strip().split("/")
        options: dict[str, str] = {}
        for option in split_outside(inside.rstrip()[:-1], ";") if inside else []:
            key, _, value = option.partition("=")
            if not key.startswith("$"):
                raise ODataRefused(f"'{option}' is not an option of $expand")
            options[key[1:].strip()] = value.strip()
        children = parse_expand(options.pop("expand")) if "expand" in options else {}
        for below in reversed(deeper):
            children = {below: Expand({}, children)}
        known = found.get(name, Expand())
        found[name] = Expand({**known.options, **options}, {**known.children, **children})
    return found


def _literal(text: str) -> Any:
    text = text.strip()
    if prefixed := _PREFIXED.match(text):
        inner = prefixed.group(2).replace("''", "'")
        return UUID(inner) if prefixed.group(1) == "guid" else inner
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return UUID(text)
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def parse_key(segment: str) -> tuple[str, Key | None]:
    """Name and key of `Set(…)`: None for the set itself; a key without a name stands under ''. Raises ODataRefused."""
    match = _SEGMENT.match(segment)
    if match is None:
        raise ODataRefused(f"'{segment}' is not a segment of an address")
    inside = match.group("inside")
    if inside is None or not inside.strip():
        return match.group("name"), None
    pairs = list(_PAIR.finditer(inside))
    if not pairs or "".join(pair.group(0) for pair in pairs) != inside:
        raise ODataRefused(f"'{inside}' is not a key")
    return match.group("name"), {pair.group(1) or "": _literal(pair.group(2)) for pair in pairs}
