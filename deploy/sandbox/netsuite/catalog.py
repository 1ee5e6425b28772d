"""The metadata catalog: the account's records as JSON schemas and as an OpenAPI document; minimal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.sandbox.netsuite.schema import RECORD_TYPES, FieldType, RecordType

JSON_SCHEMA = "application/schema+json"
OPENAPI = "application/swagger+json"
_TYPES = {"number": "number", "money": "number", "boolean": "boolean", "reference": "object", "enum": "object"}


def listing(root: str) -> dict[str, Any]:
    """Every record with the links to its metadata, one per media type."""
    kinds = (("canonical", "application/json"), ("alternate", OPENAPI), ("alternate", JSON_SCHEMA))
    items = [
        {
            "name": name,
            "links": [
                {"rel": rel, "href": f"{root}/metadata-catalog/{name}", "mediaType": media} for rel, media in kinds
            ],
        }
        for name in RECORD_TYPES
    ]
    return {"items": items}


def _property(kind: FieldType) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": kind.name, "type": _TYPES.get(kind.kind, "string")}
    if kind.kind == "date":
        schema["format"] = "date"
    if kind.kind == "datetime":
        schema["format"] = "date-time"
    if kind.kind == "enum" and kind.options:
        schema["properties"] = {"id": {"type": "string", "enum": list(kind.options)}, "refName": {"type": "string"}}
    if kind.name.startswith("cust"):
        schema["x-ns-custom-field"] = True
    schema["x-ns-filterable"] = kind.kind != "subrecord"
    if kind.is_read_only:
        schema["readOnly"] = True
    return schema


def schema_of(record: RecordType) -> dict[str, Any]:
    """The JSON schema of one record."""
    properties = {name: _property(kind) for name, kind in record.fields.items()}
    for sublist, fields in record.sublists.items():
        line = {"type": "object", "properties": {name: _property(kind) for name, kind in fields.items()}}
        properties[sublist] = {"type": "object", "properties": {"items": {"type": "array", "items": line}}}
    return {"type": "object", "title": record.name, "properties": properties, "required": list(record.required)}


def openapi_of(records: Sequence[RecordType]) -> dict[str, Any]:
    """An OpenAPI document of these records: where each is found and written, and how it looks."""
    paths: dict[str, Any] = {}
    for record in records:
        paths[f"/{record.name}"] = {
            "get": _operation(record, "Get list of records.", "200", f"{record.name}Collection"),
            "post": _operation(record, "Insert record.", "204"),
        }
        paths[f"/{record.name}/{{id}}"] = {
            "get": _operation(record, "Get record.", "200", record.name),
            "patch": _operation(record, "Update record.", "204"),
            "put": _operation(record, "Insert or update record.", "204"),
            "delete": _operation(record, "Remove record.", "204"),
        }
    schemas = {record.name: schema_of(record) for record in records}
    lists = {f"{record.name}Collection": _collection(record) for record in records}
    info = {"title": "REST API of the account", "version": "1.0"}
    return {"openapi": "3.0.1", "info": info, "paths": paths, "components": {"schemas": {**schemas, **lists}}}


def _operation(record: RecordType, summary: str, status: str, schema: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = {"description": summary}
    if schema:
        media = f"application/vnd.oracle.resource+json; type={'collection' if schema != record.name else 'singular'}"
        answer["content"] = {media: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"tags": [record.name], "summary": summary, "responses": {status: answer}}


def _collection(record: RecordType) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{record.name}"}}
    numbers = {name: {"type": "integer"} for name in ("count", "offset", "totalResults")}
    return {"type": "object", "properties": {"items": items, "hasMore": {"type": "boolean"}, **numbers}}
