"""Request bodies in, items and collections out: values checked against the contract; no bookkeeping may enter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from deploy.sandbox.oracle_fusion.errors import Refusal, bad_query, missing, not_valid
from deploy.sandbox.oracle_fusion.filters import stamp
from deploy.sandbox.oracle_fusion.schema import Attribute, Resource
from deploy.sandbox.oracle_fusion.state import Pod, Row

COLLECTIONS_FROM = 3
DEFAULT_LIMIT = 25
LARGEST_LIMIT = 500
_IGNORED = frozenset({"links", "__FLEX_Context_DisplayValue"})


def read_body(resource: Resource, body: Any, *, is_new: bool) -> Row:
    """The values of a request body, children read likewise. Raises Refusal naming the attribute."""
    if not isinstance(body, dict):
        raise Refusal(400, "The request body must be a JSON object.", code="27501")
    values: Row = {}
    for name, value in cast("dict[str, Any]", body).items():
        if child := resource.children.get(name):
            values[name] = [read_body(child, row, is_new=True) for row in _child_rows(name, value)]
        elif (attribute := resource.attributes.get(name)) is None:
            if name not in _IGNORED:
                raise not_valid(f"The attribute {name} does not exist on {resource.name}.", name, "27516")
        elif attribute.is_read_only:
            raise not_valid(f"JBO-27008: Attribute {name} in {resource.name} cannot be set.", name, "27008")
        else:
            values[name] = _value(attribute, value)
    if is_new:
        for attribute in resource.attributes.values():
            if attribute.is_required and values.get(attribute.name) in {None, ""}:
                raise missing(attribute.name)
    return values


def _child_rows(name: str, value: Any) -> list[Any]:
    rows = cast("dict[str, Any]", value).get("items") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise not_valid(f"{name} is given as an array.", name, "27501")
    return cast("list[Any]", rows)


def _value(attribute: Attribute, value: Any) -> Any:
    if value is None:
        return None
    is_kind, take = _KINDS[attribute.kind]
    refusal = not_valid(f"JBO-25009: {value!r} is no {attribute.kind}.", attribute.name, "25009")
    if not is_kind(value):
        raise refusal
    try:
        taken = take(value)
    except ValueError as error:
        raise refusal from error
    if attribute.length is not None and len(str(taken)) > attribute.length:
        detail = f"JBO-27023: {attribute.name} takes {attribute.length} characters at most."
        raise not_valid(detail, attribute.name, "27023")
    return None if taken == "" else taken


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_KINDS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    "boolean": (lambda value: isinstance(value, bool), bool),
    "number": (_is_number, Decimal),
    "int": (lambda value: _is_number(value) and isinstance(value, int), int),
    "date": (_is_text, lambda value: date.fromisoformat(value).isoformat()),
    "datetime": (_is_text, lambda value: stamp(datetime.fromisoformat(value))),
    "string": (_is_text, str),
}
"""Kind → whether a JSON value is of it, and how it is kept."""


@dataclass(slots=True)
class Shown:
    """What of a resource is shown: attributes (None: all) and which children, each with its own choice."""

    only: frozenset[str] | None = None
    children: dict[str, Shown] = field(default_factory=dict[str, "Shown"])


def wanted(resource: Resource, query: Mapping[str, str]) -> Shown:
    """What `fields` and `expand` ask for; `fields` wins. Raises Refusal for a child that is not there."""
    if fields := query.get("fields"):
        return _by_fields(resource, fields)
    shown = Shown()
    expand = query.get("expand", "")
    if expand == "all":
        return Shown(children={name: Shown() for name in resource.children})
    for path in filter(None, (path.strip() for path in expand.split(","))):
        _reach(resource, shown, path)
    return shown


def _by_fields(resource: Resource, text: str) -> Shown:
    shown = Shown(only=frozenset())
    for part in text.split(";"):
        path, colon, listed = part.rpartition(":")
        names = frozenset(filter(None, (name.strip() for name in listed.split(","))))
        target, place = (resource, shown) if not colon else _reach(resource, shown, path.strip())
        plain = names - target.children.keys()
        if strange := sorted(plain - target.attributes.keys()):
            raise bad_query(f"fields: {strange[0]} is no attribute of {target.name}.")
        place.only = (place.only or frozenset()) | plain
        for child in names & target.children.keys():
            place.children.setdefault(child, Shown())
    return shown


def _reach(resource: Resource, shown: Shown, path: str) -> tuple[Resource, Shown]:
    for name in path.split("."):
        child = resource.children.get(name)
        if child is None:
            raise bad_query(f"{resource.name} has no child {name}.")
        resource, shown = child, shown.children.setdefault(name, Shown())
    return resource, shown


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def etag(row: Row) -> str:
    """The change indicator of a row."""
    return f"{int(row.get('_version', 1)):08X}"


class Renderer:
    """Rows as the pod shows them to one caller: framework version, own address, with or without links."""

    def __init__(self, framework: int, *, has_links: bool = True) -> None:
        self.framework = framework
        self.has_links = has_links

    def item(self, resource: Resource, row: Row, href: str, shown: Shown) -> dict[str, Any]:
        """One item."""
        names = resource.attributes if shown.only is None else [n for n in resource.attributes if n in shown.only]
        body = {name: plain(row.get(name)) for name in names}
        for name, choice in shown.children.items():
            child = resource.children[name]
            below = f"{href}/child/{name}"
            rows = row.get(name, [])
            if self.framework < COLLECTIONS_FROM:
                body[name] = [self.item(child, inner, child_href(below, child, inner), choice) for inner in rows]
            else:
                body[name] = self.collection(child, rows, below, choice)
        if self.has_links:
            body["links"] = self._links(resource, row, href)
        return body

    def collection(
        self,
        resource: Resource,
        rows: list[Row],
        href: str,
        shown: Shown,
        *,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        has_total: bool = False,
    ) -> dict[str, Any]:
        """One page of items."""
        page = rows[offset : offset + limit]
        body: dict[str, Any] = {
            "items": [self.item(resource, row, child_href(href, resource, row), shown) for row in page],
            **({"totalResults": len(rows)} if has_total else {}),
            "count": len(page),
            "hasMore": offset + limit < len(rows),
            "limit": limit,
            "offset": offset,
        }
        if self.has_links:
            body["links"] = [{"rel": "self", "href": href, "name": resource.name, "kind": "collection"}]
        return body

    @staticmethod
    def _links(resource: Resource, row: Row, href: str) -> list[dict[str, Any]]:
        links: list[dict[str, Any]] = [
            {
                "rel": "self",
                "href": href,
                "name": resource.name,
                "kind": "item",
                "properties": {"changeIndicator": etag(row)},
            },
            {"rel": "canonical", "href": href, "name": resource.name, "kind": "item"},
        ]
        links += [
            {"rel": "child", "href": f"{href}/child/{name}", "name": name, "kind": "collection"}
            for name in resource.children
        ]
        return links


def child_href(collection: str, resource: Resource, row: Row) -> str:
    """The address of an item of a collection."""
    key = Pod.address_key(resource, row) if not resource.is_flex else str(row.get("_flex", 1))
    return f"{collection}/{key}"


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """`limit` and `offset`; larger limits are cut to the largest. Raises Refusal."""
    try:
        limit, offset = int(query.get("limit", DEFAULT_LIMIT)), int(query.get("offset", 0))
    except ValueError as error:
        raise Refusal(400, "limit and offset are whole numbers.", code="27510") from error
    if limit < 1 or offset < 0:
        raise Refusal(400, "limit and offset are whole numbers.", code="27510")
    return min(limit, LARGEST_LIMIT), offset
