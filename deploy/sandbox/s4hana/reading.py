"""Reading entities: the query options of both versions, pages, and rows as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from deploy.sandbox.kit.odata import ODataRefused, parse_filter
from deploy.sandbox.kit.odata_options import Expand, parse_expand, parse_orderby, parse_select, sorted_rows
from deploy.sandbox.s4hana.errors import invalid, not_found, unknown_property
from deploy.sandbox.s4hana.records import Records
from deploy.sandbox.s4hana.schema import Child, EntitySet, Service
from deploy.sandbox.s4hana.state import Row
from deploy.sandbox.s4hana.values import V2, etag_of, key_literal, unpadded, write

Options = Mapping[str, str]
_SAFE = "'(),=:"
_INDEXED = frozenset({"String", "Guid"})
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r"(?<![\w$@])[A-Za-z_]\w*(?!\w*\()")
_NUMBER = re.compile(r"\b([A-Za-z_]\w*)\s+(eq|ne|gt|ge|lt|le)\s+'(\d+)'")
_GRAMMAR = {"eq", "ne", "gt", "ge", "lt", "le", "and", "or", "not", "true", "false", "null", "datetime", "guid"} | {
    "datetimeoffset", "time", "asc", "desc", "startswith", "endswith", "substringof", "substring", "tolower",
    "toupper", "in", "contains", "M", "m", "T", "Z", "X",
}  # fmt: skip
_KNOWN = {"$filter", "$orderby", "$top", "$skip", "$skiptoken", "$select", "$expand", "$inlinecount", "$format"} | {
    "$count", "sap-client", "sap-language",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """One page of rows, how many there are in all, and where to read on."""

    rows: Sequence[Row]
    total: int
    read_on: int | None


class Reader:
    """Answers questions about one service."""

    def __init__(self, records: Records, service: Service, root: str) -> None:
        """`root` is the service's address as the client spells it."""
        self._records = records
        self._service = service
        self._root = root
        self._pads = records.tenant.customizing.switches.pads_numbers

    def page(self, entity: EntitySet, rows: Sequence[Row] | None, options: Options) -> Found:
        """The rows that are asked for; None: of the whole set."""
        if strange := sorted(name for name in options if name.startswith("$") and name not in _KNOWN):
            raise invalid("/IWBEP/CM_MGW_RT/160", f"The query option '{strange[0]}' is not supported")
        chosen = self._chosen(entity, rows, options.get("$filter", ""))
        if order := options.get("$orderby"):
            try:
                paths = parse_orderby(order)
            except ODataRefused as refused:
                raise invalid("/IWFND/CM_BEC/025", str(refused)) from refused
            for path, _ in paths:
                _property(entity, path)
            chosen = sorted_rows(chosen, paths)
        skip, top = _count(options, "$skip") or 0, _count(options, "$top")
        begin = _count(options, "$skiptoken") or skip
        until = min(len(chosen), skip + top) if top is not None else len(chosen)
        size = self._records.tenant.customizing.switches.page_size
        end = min(until, begin + size)
        return Found(chosen[begin:end], len(chosen), end if end < until else None)

    def _chosen(self, entity: EntitySet, rows: Sequence[Row] | None, text: str) -> list[Row]:
        table = self._records.tenant.table(entity.name)
        if not text:
            return list(table.rows.values() if rows is None else rows)
        for name in _WORD.findall(_QUOTED.sub("''", text)):
            if name not in _GRAMMAR:
                prop = _property(entity, name)
                if not prop.filterable:
                    raise invalid("/IWBEP/CM_MGW_RT/170", f"Property {name} is not filterable", name)

        def inside(match: re.Match[str]) -> str:
            name, word, number = match.groups()
            prop = entity.properties.get(name)
            return f"{name} {word} '{unpadded(number) if prop and prop.is_padded else number}'"

        try:
            condition = parse_filter(_NUMBER.sub(inside, text), version=2 if self._service.version == V2 else 4)
        except ODataRefused as refused:
            raise invalid("/IWFND/CM_BEC/026", f"Invalid $filter: {refused}") from refused
        candidates: Sequence[Row] = list(table.rows.values()) if rows is None else rows
        if rows is None:
            narrow = [
                (name, values)
                for name, values in condition.equal.items()
                if (prop := entity.properties.get(name)) and prop.kind in _INDEXED and _all_texts(values)
            ]
            if narrow:
                name, values = min(narrow, key=lambda one: table.size(*one))
                candidates = table.holding(name, values)
        return [row for row in candidates if condition(row)]

    # --- rows as JSON ----------------------------------------------------------------------------------------------
    def shown(self, entity: EntitySet, rows: Sequence[Row], options: Options) -> list[dict[str, Any]]:
        """Rows with what is selected of them and expanded from them."""
        try:
            expand = parse_expand(options.get("$expand", ""))
            select = parse_select(options.get("$select", ""))
        except ODataRefused as refused:
            raise invalid("/IWFND/CM_BEC/027", str(refused)) from refused
        return [self._row(entity, row, expand, select) for row in rows]

    def _row(self, entity: EntitySet, row: Row, expand: Mapping[str, Expand], select: Sequence[str]) -> dict[str, Any]:
        own = [name for name in select if "/" not in name and name not in entity.children and name != "*"]
        for name in own:
            _property(entity, name)
        for name in expand:
            if name not in entity.children:
                raise invalid("/IWBEP/CM_MGW_RT/171", f"Invalid navigation property '{name}' in $expand")
        names = own or list(entity.properties)
        shown: dict[str, Any] = {}
        if self._service.version == V2:
            shown["__metadata"] = self.metadata(entity, row)
        elif entity.etag:
            shown["@odata.etag"] = etag_of(row[entity.etag])
        shown |= {
            name: write(entity.properties[name], row[name], self._service.version, pads=self._pads) for name in names
        }
        for name, way in entity.children.items():
            if name in expand:
                below = [part[len(name) + 1 :] for part in select if part.startswith(f"{name}/")]
                shown[name] = self._expanded(way, row, expand[name], below)
            elif self._service.version == V2 and not own:
                shown[name] = {"__deferred": {"uri": f"{self.metadata(entity, row)['uri']}/{name}"}}
        return shown

    def _expanded(self, way: Child, row: Row, expand: Expand, select: Sequence[str]) -> Any:
        target = self._records.tenant.sets[way.target]
        rows = [self._row(target, one, expand.children, select) for one in self._records.children(row, way)]
        if way.many:
            return {"results": rows} if self._service.version == V2 else rows
        return rows[0] if rows else None

    def metadata(self, entity: EntitySet, row: Row) -> dict[str, str]:
        """`__metadata` of a row in version 2."""
        uri = f"{self._root}/{self.address(entity, row)}"
        shown = {"id": uri, "uri": uri, "type": f"{self._service.namespace}.{entity.type_name}"}
        return {**shown, "etag": etag_of(row[entity.etag])} if entity.etag else shown

    def address(self, entity: EntitySet, row: Row) -> str:
        """`Set(key)` of a row."""
        texts: list[str] = []
        for name in entity.key:
            value = row[name]
            shown = write(entity.properties[name], value, V2, pads=self._pads) if isinstance(value, str) else value
            texts.append(key_literal(shown))
        pairs = [f"{name}={text}" for name, text in zip(entity.key, texts, strict=True)]
        inside = ",".join(pairs) if len(pairs) > 1 else texts[0]
        return f"{entity.name}({quote(inside, safe=_SAFE)})"

    def listed(self, entity: EntitySet, path: str, rows: Sequence[Row] | None, options: Options) -> dict[str, Any]:
        """A page of rows as the body of an answer."""
        found = self.page(entity, rows, options)
        shown = self.shown(entity, found.rows, options)
        further = {name: value for name, value in options.items() if name != "$skiptoken"}
        link = f"{self._root}/{path}?{urlencode({**further, '$skiptoken': found.read_on})}"
        if self._service.version != V2:
            body: dict[str, Any] = {"@odata.context": f"{self._root}/$metadata#{entity.name}", "value": shown}
            body |= {"@odata.count": found.total} if options.get("$count") == "true" else {}
            return body | ({"@odata.nextLink": link} if found.read_on is not None else {})
        inner: dict[str, Any] = {"results": shown}
        inner |= {"__count": str(found.total)} if options.get("$inlinecount") == "allpages" else {}
        return {"d": inner | ({"__next": link} if found.read_on is not None else {})}


def _all_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str | UUID) for value in values)


def _property(entity: EntitySet, name: str) -> Any:
    prop = entity.properties.get(name)
    if prop is None:
        raise unknown_property(name, entity.type_name)
    return prop


def _count(options: Options, name: str) -> int | None:
    if name not in options:
        return None
    try:
        return max(0, int(options[name]))
    except ValueError as error:
        raise invalid("/IWFND/CM_BEC/028", f"Invalid {name}") from error


def way_of(entity: EntitySet, name: str) -> Child:
    """The navigation of that name. Raises Refusal."""
    way = entity.children.get(name)
    if way is None:
        raise not_found(name)
    return way
