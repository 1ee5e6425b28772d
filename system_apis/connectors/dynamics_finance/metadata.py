"""What the environment says of its entities: types and lists from `$metadata`, duties from the metadata service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from shared.errors.taxonomy import NotFound, VendorDrift
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.payloads import PublicProperty
from system_apis.connectors.dynamics_finance.rows import VENDOR
from system_apis.ports.schema import FieldFacts

_EDM: Final = "{http://docs.oasis-open.org/odata/ns/edm}"


async def describe(client: FinanceClient, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """Documented set → its fields; a set that the environment lacks is left out."""
    model = _read(await client.model())
    sets = {one.get("Name", ""): one.get("EntityType", "").rpartition(".")[2] for one in model.iter(f"{_EDM}EntitySet")}
    types = {one.get("Name", ""): one for one in model.iter(f"{_EDM}EntityType")}
    enums = {
        one.get("Name", ""): tuple(member.get("Name", "") for member in one.iter(f"{_EDM}Member"))
        for one in model.iter(f"{_EDM}EnumType")
    }
    wanted = {name: sets[client.rows.called(name)] for name in objects if client.rows.called(name) in sets}
    duties = await asyncio.gather(*(_duties(client, entity) for entity in wanted.values()))
    return {
        name: _fields(types[entity], enums, duty)
        for (name, entity), duty in zip(wanted.items(), duties, strict=True)
        if entity in types
    }


def _read(content: bytes) -> ET.Element:
    try:
        return ET.fromstring(content)  # noqa: S314 - bounded in size, and expat expands no outer entities
    except ET.ParseError as error:
        raise VendorDrift(f"{VENDOR} answered $metadata that is not XML.", detail=str(error)) from error


async def _duties(client: FinanceClient, entity: str) -> Mapping[str, PublicProperty]:
    """What `$metadata` does not tell: which fields must be filled and which may be; nothing where it is not told."""
    try:
        found = await client.public_entity(entity)
    except NotFound:
        return {}
    return {one.name: one for one in found.properties}


def _fields(
    node: ET.Element, enums: Mapping[str, tuple[str, ...]], duties: Mapping[str, PublicProperty]
) -> tuple[FieldFacts, ...]:
    found: list[FieldFacts] = []
    for one in node.iter(f"{_EDM}Property"):
        name, kind = one.get("Name", ""), one.get("Type", "")
        duty = duties.get(name)
        found.append(
            FieldFacts(
                name=name,
                kind=kind,
                label=duty.label if duty else "",
                is_required=duty.is_mandatory if duty else False,
                is_writable=duty.may_create or duty.may_edit if duty else True,
                values=enums.get(kind.rpartition(".")[2], ()),
            )
        )
    return tuple(found)
