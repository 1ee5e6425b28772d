"""An administrator's work in a new portal: properties and custom objects of `portal.yaml`, over the vendor's wire."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from deploy.sandbox.hubspot.session import HubspotSession
from shared.documents import read_yaml

Json = dict[str, Any]
_GROUP = "throughline"
_FIELDS = {"string": "text", "number": "number", "date": "date", "bool": "booleancheckbox", "enumeration": "select"}


@cache
def _wanted() -> Json:
    document: Json = read_yaml(Path(__file__).with_name("portal.yaml").read_text(encoding="utf-8"))
    return document


def _property(name: str, facts: Any) -> Json:
    told: Json = {"type": facts} if isinstance(facts, str) else facts
    kind = str(told["type"])
    options = told.get("options", ["true", "false"] if kind == "bool" else [])
    return {
        "name": name,
        "label": name.removeprefix("tl_").replace("_", " ").capitalize(),
        "groupName": _GROUP,
        "type": kind,
        "fieldType": told.get("field", _FIELDS[kind]),
        "hasUniqueValue": bool(told.get("unique")),
        "options": [{"label": one, "value": one, "hidden": False} for one in options],
    }


async def custom_objects(wire: HubspotSession) -> dict[str, str]:
    """The portal's own objects: name → type id."""
    answer = await wire.call("GET", "/crm-object-schemas/v3/schemas")
    return {schema["name"]: schema["objectTypeId"] for schema in answer["results"]}


async def set_up(wire: HubspotSession) -> dict[str, str]:
    """Make what is not there; the custom objects by name. Repeat: nothing more."""
    for kind, listed in _wanted()["properties"].items():
        inputs = [_property(name, facts) for name, facts in listed.items()]
        await wire.call("POST", f"/crm/v3/properties/{kind}/batch/create", {"inputs": inputs}, mixed=True)
    made = await custom_objects(wire)
    for name, facts in _wanted()["objects"].items():
        if name in made:
            continue
        schema = {
            "name": name,
            "labels": facts["labels"],
            "primaryDisplayProperty": facts["required"][0],
            "requiredProperties": facts["required"],
            "associatedObjects": [made.get(one, one) for one in facts["beside"]],
            "properties": [_property(one, told) for one, told in facts["properties"].items()],
        }
        answer = await wire.call("POST", "/crm-object-schemas/v3/schemas", schema)
        made[name] = answer["objectTypeId"]
    return made
