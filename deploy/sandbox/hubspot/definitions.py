"""Resources of what a portal is made of: properties, schemas of custom objects, pipelines, owners."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.hubspot.calls import Call, Reply, batch, page
from deploy.sandbox.hubspot.errors import HubspotError, invalid, not_found
from deploy.sandbox.hubspot.kinds import Kind, custom_kind, read_property
from deploy.sandbox.hubspot.portal import PORTAL_ID, Portal
from deploy.sandbox.hubspot.records import Table
from deploy.sandbox.hubspot.values import Property, iso
from deploy.sandbox.hubspot.writes import Writes

Json = dict[str, Any]
_LONGEST_LIST = 500


class Definitions:
    """Answers of `properties`, `schemas`, `pipelines` and `owners`."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def properties(self, call: Call) -> Reply:
        """`properties/{type}…`. Raises HubspotError."""
        if not call.path:
            raise not_found()
        table = self._portal.table(call.path[0])
        act = "read" if call.method == "GET" else "write"
        family = "custom" if table.kind.is_custom else table.kind.name
        call.app.need(f"crm.schemas.{family}.{act}", f"crm.objects.{family}.{act}")
        match call.method, call.path[1:]:
            case "GET", ():
                return Reply(200, {"results": [self._shown(table, one) for one in table.kind.properties.values()]})
            case "GET", (name,) if name in table.kind.properties:
                return Reply(200, self._shown(table, table.kind.properties[name]))
            case "DELETE", (name,) if name in table.kind.properties:
                self._remove(table, name)
                return Reply(204)
            case "POST", ():
                return Reply(201, self._shown(table, self._add(table, call.document())))
            case "POST", ("batch", "create"):
                return self._add_all(call, table)
            case _:
                raise not_found()

    def schemas(self, call: Call) -> Reply:
        """`schemas…`: custom objects only. Raises HubspotError."""
        call.app.need(f"crm.schemas.custom.{'read' if call.method == 'GET' else 'write'}")
        match call.method, call.path:
            case "GET", ():
                custom = [t for t in self._portal.tables.values() if t.kind.is_custom]
                return Reply(200, {"results": [self._schema(table) for table in custom]})
            case "GET", (named,):
                table = self._portal.table(named)
                if not table.kind.is_custom:
                    raise not_found()
                return Reply(200, self._schema(table))
            case "POST", ():
                return Reply(201, self._new_kind(call))
            case _:
                raise not_found()

    def pipelines(self, call: Call) -> Reply:
        """`pipelines/deals…`. Raises HubspotError."""
        if not call.path or call.path[0] not in {"deals", "deal", "0-3"}:
            raise not_found()
        held = self._portal.pipelines
        match call.method, call.path[1:]:
            case "GET", ():
                return Reply(200, {"results": [one.shown() for one in held.all.values()]})
            case "GET", (pipeline,) if pipeline in held.all:
                return Reply(200, held.all[pipeline].shown())
            case "POST", ():
                return Reply(201, held.add(call.document(), call.at).shown())
            case "PATCH", (pipeline, "stages", stage):
                changed = held.amend_stage(pipeline, stage, call.document(), call.at)
                Writes(self._portal, call.app, call.at).touch_all(self._portal.tables["deals"], pipeline)
                return Reply(200, changed.shown())
            case _:
                raise not_found()

    def owners(self, call: Call) -> Reply:
        """`owners…`. Raises HubspotError."""
        call.app.need("crm.objects.owners.read")
        match call.method, call.path:
            case "GET", ():
                listed = list(self._portal.owners.values())
                if email := call.one("email"):
                    listed = [one for one in listed if one["email"] == email]
                limit = call.whole("limit", 100, _LONGEST_LIST)
                start = int(call.one("after", "0") or 0)
                after = str(start + limit) if start + limit < len(listed) else None
                return Reply(200, page([_owner(o) for o in listed[start : start + limit]], after, call.link))
            case "GET", (one,) if one in self._portal.owners:
                return Reply(200, _owner(self._portal.owners[one]))
            case _:
                raise not_found()

    def _add(self, table: Table, given: Json) -> Property:
        prop = read_property(given)
        if not prop.group:
            raise invalid("Invalid input JSON: groupName is required")
        if prop.name in table.kind.properties:
            message = f"A property named '{prop.name}' already exists."
            raise HubspotError(409, "OBJECT_ALREADY_EXISTS", message)
        table.kind.properties[prop.name] = prop
        if prop.is_unique:
            table.make_unique(prop.name)
        return prop

    @staticmethod
    def _remove(table: Table, name: str) -> None:
        if not table.kind.properties[name].is_custom:
            raise invalid(f"The property {name} is defined by HubSpot and cannot be archived")
        del table.kind.properties[name]
        table.unique.pop(name, None)

    def _add_all(self, call: Call, table: Table) -> Reply:
        results: list[Json] = []
        errors: list[Json] = []
        for one in call.inputs(100):
            try:
                results.append(self._shown(table, self._add(table, one)))
            except HubspotError as error:
                errors.append(error.in_a_batch([str(one.get("name", ""))]))
        return batch(results, errors, call.at, 201)

    def _shown(self, table: Table, prop: Property) -> Json:
        options = prop.options
        if table.kind.name == "deals" and prop.name == "pipeline":
            options = tuple(self._portal.pipelines.all)
        elif table.kind.name == "deals" and prop.name == "dealstage":
            options = tuple(stage for one in self._portal.pipelines.all.values() for stage in one.stages)
        elif prop.name == "hubspot_owner_id":
            options = tuple(self._portal.owners)
        elif prop.type == "bool":
            options = ("true", "false")
        return {
            "name": prop.name,
            "label": prop.label,
            "description": "",
            "groupName": prop.group or f"{table.kind.singular}information",
            "type": prop.type,
            "fieldType": prop.field_type,
            "options": [
                {"label": value, "value": value, "displayOrder": order, "hidden": False}
                for order, value in enumerate(options)
            ],
            "hasUniqueValue": prop.is_unique,
            "calculated": prop.is_calculated,
            "externalOptions": prop.name == "hubspot_owner_id",
            "hubspotDefined": not prop.is_custom,
            "hidden": False,
            "formField": False,
            "displayOrder": -1,
            "modificationMetadata": {
                "archivable": prop.is_custom,
                "readOnlyDefinition": not prop.is_custom,
                "readOnlyValue": prop.is_read_only,
            },
        }

    def _new_kind(self, call: Call) -> Json:
        if not self._portal.ways.custom_objects:
            message = "Your account does not have access to custom objects."
            raise HubspotError(403, "FORBIDDEN", message)
        given = call.document()
        kind = custom_kind(given, self._portal.new_type_id(), PORTAL_ID)
        targets = [self._portal.table(str(one)) for one in given["associatedObjects"]]
        table = self._portal.add_kind(kind)
        for target in targets:
            self._portal.associations.define(kind.name, target.kind.name)
        return self._schema(table)

    def _schema(self, table: Table) -> Json:
        kind = table.kind
        return {
            "id": kind.type_id.removeprefix("2-"),
            "objectTypeId": kind.type_id,
            "fullyQualifiedName": kind.fully_qualified,
            "name": kind.name,
            "labels": dict(kind.labels),
            "primaryDisplayProperty": kind.primary_display,
            "requiredProperties": list(kind.required),
            "searchableProperties": [],
            "secondaryDisplayProperties": [],
            "archived": False,
            "properties": [self._shown(table, one) for one in kind.properties.values()],
            "associations": self._association_types(kind),
        }

    def _association_types(self, kind: Kind) -> list[Json]:
        return [
            {
                "id": str(one.type_id),
                "fromObjectTypeId": self._portal.tables[source].kind.type_id,
                "toObjectTypeId": self._portal.tables[target].kind.type_id,
                "name": f"{source}_to_{target}",
            }
            for (source, target), types in self._portal.associations.types.items()
            if kind.name in {source, target}
            for one in types
        ]


def _owner(held: Json) -> Json:
    more: Json = {"type": "PERSON", "userId": int(held["id"]) + 1000, "archived": False, "teams": []}
    return {**held, **more, "createdAt": iso(0), "updatedAt": iso(0)}
