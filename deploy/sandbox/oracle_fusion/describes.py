"""What the pod tells of its own resources: the catalog of versions and `/describe`."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.oracle_fusion.schema import Attribute, Resource

VERSION = "11.13.18.05"
FRAMEWORKS = tuple(str(number) for number in range(1, 10))
_TYPES = {"int": "integer", "number": "number", "boolean": "boolean"}


def catalog(default: int) -> dict[str, Any]:
    """The answer of the context root."""
    extension = {"defaultFrameworkVersion": str(default), "allowedFrameworkVersions": list(FRAMEWORKS)}
    return {"items": [{"version": VERSION, "isLatest": True, "adf:extension": extension}]}


def described(resource: Resource, href: str) -> dict[str, Any]:
    """The answer of `{resource}/describe`."""
    return {"Resources": {resource.name: _shape(resource, href)}}


def _shape(resource: Resource, href: str) -> dict[str, Any]:
    actions = [
        {"name": "get", "method": "GET"},
        *([] if resource.is_list_of_values else [{"name": "create", "method": "POST"}]),
    ]
    return {
        "discrColumnType": resource.is_flex,
        "title": resource.name,
        "attributes": [_attribute(attribute) for attribute in resource.attributes.values()],
        "collection": {"rangeSize": 25, "actions": actions},
        "children": {name: _shape(child, f"{href}/{{id}}/child/{name}") for name, child in resource.children.items()},
        "links": [{"rel": "self", "href": href, "name": "self"}],
    }


def _attribute(attribute: Attribute) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": attribute.name,
        "type": _TYPES.get(attribute.kind, "string"),
        "updatable": not attribute.is_read_only,
        "mandatory": attribute.is_required,
        "queryable": attribute.is_queryable,
        "title": attribute.name,
    }
    if attribute.length is not None:
        shown["precision"] = attribute.length
    return shown
