"""NetSuite's metadata catalog read: fields of records and of the lines of their sublists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from shared.errors.taxonomy import NotFound
from system_apis.connectors.netsuite.client import NetSuiteClient
from system_apis.connectors.netsuite.payloads import Property, RecordSchema
from system_apis.ports.schema import FieldFacts


async def described(client: NetSuiteClient, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """`record` → its fields and sublists, `record.sublist` → fields of a line; what the account lacks is left out."""
    records = list(dict.fromkeys(name.partition(".")[0] for name in objects))
    schemas = dict(zip(records, await asyncio.gather(*(_schema(client, name) for name in records)), strict=True))
    found: dict[str, Sequence[FieldFacts]] = {}
    for name in objects:
        record, _, sublist = name.partition(".")
        schema = schemas[record]
        if schema is None:
            continue
        if not sublist:
            found[name] = _facts(schema.properties, schema.required)
        elif (lines := schema.properties.get(sublist)) and (line := lines.line):
            found[name] = _facts(line, ())
    return found


async def _schema(client: NetSuiteClient, record: str) -> RecordSchema | None:
    try:
        return await client.catalog(record)
    except NotFound:
        return None


def _facts(properties: Mapping[str, Property], required: Sequence[str]) -> list[FieldFacts]:
    return [
        FieldFacts(
            name,
            one.kind,
            one.title,
            is_required=name in required,
            is_writable=not one.read_only,
            values=one.choices,
        )
        for name, one in properties.items()
    ]
