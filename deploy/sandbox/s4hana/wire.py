"""Requests to one OData service taken apart and answered; bodies of both versions, no routes and no business."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.responses import Response

from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import parse_key, split_outside
from deploy.sandbox.s4hana.errors import JSON, invalid, not_allowed, not_found
from deploy.sandbox.s4hana.metadata import edmx
from deploy.sandbox.s4hana.reading import Options, Reader, way_of
from deploy.sandbox.s4hana.records import Records
from deploy.sandbox.s4hana.schema import EntitySet, Function, Service
from deploy.sandbox.s4hana.state import Row
from deploy.sandbox.s4hana.values import V2, Unreadable, etag_of, literal, write

Call = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a service; `path` is below the service's root."""

    method: str
    path: str
    options: Options
    body: bytes = b""
    if_match: str | None = None


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    content = orjson.dumps(document, default=_decimal)
    return Response(content, status, {"content-type": JSON, "dataserviceversion": "2.0", **(headers or {})})


class ServiceDesk:
    """Serves one service; `calls` are its function imports and actions by name."""

    def __init__(self, service: Service, records: Records, calls: Mapping[str, Call], root: str) -> None:
        self._service = service
        self._records = records
        self._calls = calls
        self._root = root
        self._reader = Reader(records, service, root)

    def serve(self, ask: Ask) -> Response:
        """The answer. Raises Refusal."""
        parts = split_outside(ask.path, "/")
        if not parts:
            return self._document(ask)
        if parts == ["$metadata"]:
            return Response(edmx(self._service), 200, {"content-type": "application/xml", "dataserviceversion": "2.0"})
        name, key = _segment(parts[0])
        if function := self._service.functions.get(name):
            return self._called(function, ask)
        entity = self._service.sets.get(name)
        if entity is None:
            raise not_found(parts[0])
        if key is None:
            action = parts[1].rpartition(".")[2] if len(parts) > 1 else ""
            if self._service.actions.get(action) == name:
                return self._acted(action, ask)
            return self._collection(entity, None, parts[1:], ask)
        return self._entity(entity, self._records.find(entity, key), parts[1:], ask)

    def _document(self, ask: Ask) -> Response:
        if ask.method not in {"GET", "HEAD"}:
            raise not_allowed("the service document")
        names = list(self._service.sets)
        if self._service.version == V2:
            return answer({"d": {"EntitySets": names}})
        return answer({"value": [{"name": name, "kind": "EntitySet", "url": name} for name in names]})

    def _collection(
        self, entity: EntitySet, rows: list[Row] | None, rest: list[str], ask: Ask, fixed: Row | None = None
    ) -> Response:
        if rest == ["$count"] and ask.method == "GET":
            return Response(
                str(self._reader.page(entity, rows, ask.options).total), 200, {"content-type": "text/plain"}
            )
        if rest:
            raise not_found(rest[0])
        if ask.method == "GET":
            return answer(self._reader.listed(entity, ask.path, rows, ask.options))
        if ask.method != "POST":
            raise not_allowed(entity.name)
        body = _body(ask.body)
        row = self._records.create(entity, body, self._service.version, fixed)
        nested = {"$expand": ",".join(_nested(entity, body, self._records))}
        return self._one(entity, row, nested, status=201)

    def _entity(self, entity: EntitySet, row: Row, rest: list[str], ask: Ask) -> Response:
        if rest:
            return self._followed(entity, row, rest, ask)
        if ask.method == "GET":
            return self._one(entity, row, ask.options)
        if ask.method in {"PATCH", "MERGE", "PUT"}:
            self._records.change(entity, row, _body(ask.body), self._service.version, ask.if_match)
            return Response(status_code=204, headers=_etag(entity, row))
        if ask.method == "DELETE":
            self._records.delete(entity, row, ask.if_match)
            return Response(status_code=204)
        raise not_allowed(entity.name)

    def _followed(self, entity: EntitySet, row: Row, rest: list[str], ask: Ask) -> Response:
        name, key = _segment(rest[0])
        if name in entity.properties and len(rest) == 1 and ask.method == "GET":
            value = write(entity.properties[name], row[name], self._service.version, pads=False)
            return answer({"d": {name: value}} if self._service.version == V2 else {"value": value})
        way = way_of(entity, name)
        target = self._service.sets[way.target]
        if key is not None:
            return self._entity(target, self._records.find(target, key), rest[1:], ask)
        rows = self._records.children(row, way)
        if way.many:
            link = {theirs: row[ours] for ours, theirs in way.on.items()}
            return self._collection(target, rows, rest[1:], ask, link)
        if not rows:
            raise not_found(name)
        return self._entity(target, rows[0], rest[1:], ask)

    def _one(self, entity: EntitySet, row: Row, options: Options, status: int = 200) -> Response:
        shown = self._reader.shown(entity, [row], options)[0]
        headers = _etag(entity, row)
        if status == 201:  # noqa: PLR2004 - created
            headers["location"] = f"{self._root}/{self._reader.address(entity, row)}"
        return answer({"d": shown} if self._service.version == V2 else shown, status, headers)

    def _called(self, function: Function, ask: Ask) -> Response:
        if ask.method != function.verb:
            raise not_allowed(function.name)
        given: dict[str, Any] = {}
        for name, prop in function.parameters.items():
            if name not in ask.options:
                raise invalid("/IWBEP/CM_MGW_RT/030", f"Function import parameter '{name}' is missing", name)
            try:
                given[name] = literal(prop, ask.options[name])
            except Unreadable as error:
                raise invalid("/IWBEP/CM_MGW_RT/031", str(error), name) from error
        with self._records.tenant.unit():
            result = self._calls[function.name](given)
        facts = self._service.results.get(function.answers)
        if facts is None:
            entity = self._service.sets[function.on]
            return self._one(entity, result, {})
        rows = [
            {name: write(prop, row[name], V2, pads=False) for name, prop in facts.fields.items()}
            for row in cast("list[Row]", result if facts.many else [result])
        ]
        return answer({"d": {"results": rows} if facts.many else {function.name: rows[0]}})

    def _acted(self, action: str, ask: Ask) -> Response:
        if ask.method != "POST":
            raise not_allowed(action)
        with self._records.tenant.unit():
            rows, messages = self._calls[action](_body(ask.body))
        entity = self._service.sets[self._service.actions[action]]
        shown = [{**one, "SAP__Messages": messages} for one in self._reader.shown(entity, rows, {})]
        return answer({"@odata.context": f"{self._root}/$metadata#{entity.name}", "value": shown})


def _segment(text: str) -> tuple[str, Mapping[str, Any] | None]:
    try:
        return parse_key(text)
    except ODataRefused as refused:
        raise not_found(text) from refused


def _etag(entity: EntitySet, row: Row) -> dict[str, str]:
    return {"etag": etag_of(row[entity.etag])} if entity.etag else {}


def _body(content: bytes) -> Mapping[str, Any]:
    try:
        document: Any = json.loads(content, parse_float=Decimal) if content.strip() else {}
    except ValueError as error:
        raise invalid("/IWBEP/CM_MGW_RT/176", "The request body is not well-formed JSON") from error
    if not isinstance(document, Mapping):
        raise invalid("/IWBEP/CM_MGW_RT/177", "The request body is not an object")
    inner: Any = cast("Mapping[str, Any]", document).get("d", document)
    return cast("Mapping[str, Any]", inner)


def _nested(entity: EntitySet, body: Mapping[str, Any], records: Records) -> list[str]:
    """The ways that a deep insert went, so that its answer goes them too."""
    paths: list[str] = []
    for name, way in entity.children.items():
        if name not in body:
            continue
        raw: Any = body[name]
        node: Any = cast("Mapping[str, Any]", raw).get("results", raw) if isinstance(raw, Mapping) else raw
        listed: list[Any] = cast("list[Any]", node) if isinstance(node, list) else [node]
        target = records.tenant.sets[way.target]
        below = {path for one in listed for path in _nested(target, cast("Mapping[str, Any]", one), records)}
        paths += [name, *(f"{name}/{path}" for path in sorted(below))]
    return paths


def options_of(query: str) -> dict[str, str]:
    """Query options by name, decoded once."""
    return dict(parse_qsl(query, keep_blank_values=True))


def decoded(path: str) -> str:
    """A path of a batch's part, decoded."""
    return unquote(path)
