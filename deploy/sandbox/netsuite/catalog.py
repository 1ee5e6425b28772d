"""The metadata catalog: JSON schemas of the account's records, made from the schema; minimal."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.netsuite.schema import RECORD_TYPES, FieldType, RecordType

_TYPES = {"number": "number", "money": "number", "boolean": "boolean", "reference": "object", "enum": "object"}


def listing(root: str) -> dict[str, Any]:
    """Every record with the link to its schema."""
    items = [
        {"name": name, "links": [{"rel": "canonical", "href": f"{root}/metadata-catalog/{name}"}]}
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
