"""Kinds of objects: the standard ones of every portal and those a portal makes for itself, with their properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from deploy.sandbox.hubspot.errors import HubspotError, invalid
from deploy.sandbox.hubspot.values import Property
from shared.documents import read_yaml

Json = dict[str, Any]
_CUSTOM_SYSTEM = {"hs_object_id": "number", "hs_createdate": "datetime", "hs_lastmodifieddate": "datetime"}
_FIELDS = {
    "string": {"text", "textarea", "phonenumber", "html", "file"},
    "number": {"number", "calculation_equation"},
    "date": {"date"},
    "datetime": {"date"},
    "bool": {"booleancheckbox"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox"},
}


@dataclass(slots=True)
class Kind:
    """An object type: its plural name in paths, its number, the word webhooks use, its properties."""

    name: str
    type_id: str
    singular: str
    shown: tuple[str, ...]
    properties: dict[str, Property]
    required: tuple[str, ...] = ()
    fully_qualified: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    primary_display: str = ""

    @property
    def is_custom(self) -> bool:
        """Whether the portal made it."""
        return bool(self.fully_qualified)

    @property
    def created_property(self) -> str:
        """Where the instant of creation stands."""
        return "hs_createdate" if self.is_custom else "createdate"


def _standard(name: str, facts: Any) -> Property:
    told: Json = {"type": facts} if isinstance(facts, str) else facts
    kind = str(told["type"])
    fallback = {"number": "number", "date": "date", "datetime": "date", "bool": "booleancheckbox"}.get(kind, "text")
    return Property(
        name,
        kind,
        str(told.get("field", fallback)),
        name,
        options=tuple(told.get("options", ())),
        is_read_only=bool(told.get("read_only")),
        is_calculated=bool(told.get("calculated")),
    )


@cache
def _objects() -> Json:
    path = Path(__file__).with_name("objects.yaml")
    document: Json = read_yaml(path.read_text(encoding="utf-8"))
    return document


def standard_kinds() -> dict[str, Kind]:
    """The objects of a new portal."""
    return {
        name: Kind(
            name,
            facts["type_id"],
            facts["singular"],
            tuple(facts["shown"]),
            {prop: _standard(prop, told) for prop, told in facts["properties"].items()},
        )
        for name, facts in _objects().items()
    }


def read_property(given: Json, group: str = "") -> Property:
    """A property's definition from a request. Raises HubspotError."""
    name, kind, shown_as = (str(given.get(part, "")) for part in ("name", "type", "fieldType"))
    if not name or name != name.lower() or not name.replace("_", "").isalnum() or not given.get("label"):
        raise invalid("Invalid input JSON: name and label of a property are required")
    if shown_as not in _FIELDS.get(kind, ()):
        raise invalid(f"Invalid fieldType {shown_as} for type {kind}")
    return Property(
        name,
        kind,
        shown_as,
        str(given["label"]),
        str(given.get("groupName", group)),
        tuple(str(option["value"]) for option in given.get("options") or ()),
        is_unique=bool(given.get("hasUniqueValue")),
        is_custom=True,
    )


def custom_kind(given: Json, type_id: str, portal_id: int) -> Kind:
    """An object type from a schema request. Raises HubspotError."""
    name, labels = str(given.get("name", "")), given.get("labels")
    for part in ("properties", "requiredProperties", "associatedObjects"):
        if not isinstance(given.get(part), list):
            raise invalid(f"Invalid input JSON: {part} is required")
    if not name or not isinstance(labels, dict):
        raise invalid("Invalid input JSON: name and labels are required")
    worded = cast("dict[str, str]", labels)
    listed = [read_property(one, f"{name}_information") for one in given["properties"]]
    properties = {prop.name: prop for prop in listed}
    if strange := set(given["requiredProperties"]) - properties.keys():
        raise HubspotError(400, "VALIDATION_ERROR", f"requiredProperties are not defined: {sorted(strange)}")
    system = {n: Property(n, t, label=n, is_read_only=True) for n, t in _CUSTOM_SYSTEM.items()}
    shown = (*_CUSTOM_SYSTEM, *given["requiredProperties"])
    return Kind(
        name,
        type_id,
        "object",
        tuple(dict.fromkeys(shown)),
        {**system, **properties},
        tuple(given["requiredProperties"]),
        f"p{portal_id}_{name}",
        dict(worded),
        str(given.get("primaryDisplayProperty", "")),
    )
