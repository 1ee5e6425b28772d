"""Writing: values checked, calculated properties kept, unique values guarded, links made, events noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from deploy.sandbox.hubspot.associations import LinkType
from deploy.sandbox.hubspot.errors import HubspotError, Problem, conflict, invalid, locked, not_found, not_valid
from deploy.sandbox.hubspot.kinds import Kind
from deploy.sandbox.hubspot.portal import PORTAL_ID, Portal
from deploy.sandbox.hubspot.records import Record, Table
from deploy.sandbox.hubspot.sessions import App
from deploy.sandbox.hubspot.values import stored

Json = dict[str, Any]
_CHILD_TO_PARENT = 14


class Writes:
    """The writes of one request: by whom and when."""

    def __init__(self, portal: Portal, app: App, at: int) -> None:
        self._portal = portal
        self._app = app
        self._at = at
        self._made: list[tuple[Table, int]] = []
        self._changed: list[tuple[Table, Record]] = []

    def undo(self) -> None:
        """Take back what these writes did; nothing of it was ever told."""
        for table, record in reversed(self._changed):
            table.put(record)
        for table, record_id in self._made:
            self._portal.associations.forget(table.kind.name, record_id)
            table.archive(record_id, self._at)
            del table.archived[record_id]

    def create(self, table: Table, given: Json) -> Record:
        """A new record with its links. Raises HubspotError."""
        values = self._values(table, given.get("properties"))
        if missing := [name for name in table.kind.required if not values.get(name)]:
            raise invalid(f"Error creating {table.kind.name}. Some required properties were not set: {missing}")
        properties = {name: value for name, value in values.items() if value is not None}
        links = [self._wanted(table.kind, one) for one in given.get("associations") or ()]
        record = Record(0, self._calculated(table.kind, properties), self._at, self._at)
        self._guard(table, record)
        record = replace(record, id=table.new_id())
        table.put(record)
        self._made.append((table, record.id))
        self._note(table, record, "creation", changeFlag="CREATED")
        for target, target_id, kind in links:
            self.link(table, record.id, target, target_id, kind)
        return table.rows[record.id]

    def update(self, table: Table, record: Record, given: Any) -> Record:
        """Other values of some properties; a change even where they are the same. Raises HubspotError."""
        if table.kind.name in self._portal.ways.locked:
            raise locked()
        values = self._values(table, given)
        properties = {name: value for name, value in {**record.properties, **values}.items() if value is not None}
        properties = self._calculated(table.kind, properties)
        changed = replace(record, properties=properties, modified=self._at)
        self._guard(table, changed)
        table.put(changed)
        self._changed.append((table, record))
        for name, value in values.items():
            if record.properties.get(name) != value:
                self._note(table, changed, "propertyChange", propertyName=name, propertyValue=value or "")
        return changed

    def upsert(self, table: Table, given: Json) -> tuple[Record, bool]:
        """The record with that unique value brought to these values, or made; whether it was made."""
        name, value = str(given.get("idProperty", "")), str(given.get("id", ""))
        if name not in table.unique or not value:
            raise invalid(f"Property {name!r} is not a unique property of {table.kind.name}")
        found = table.by_unique(name, value)
        properties: Json = {**(given.get("properties") or {}), name: value}
        if found is None:
            return self.create(table, {"properties": properties}), True
        return self.update(table, table.rows[found], properties), False

    def archive(self, table: Table, record_id: int) -> None:
        """Take a record away. Raises HubspotError."""
        record = table.archive(record_id, self._at)
        if record is None:
            if record_id not in table.archived or not self._portal.ways.archives_again:
                raise not_found()
            return
        self._portal.associations.forget(table.kind.name, record_id)
        self._note(table, record, "deletion", changeFlag="DELETED")

    def link(self, source: Table, source_id: int, target: Table, target_id: int, kind: LinkType) -> None:
        """Link two living records. Raises HubspotError."""
        for table, record_id in ((source, source_id), (target, target_id)):
            if record_id not in table.rows:
                raise not_found(f"{table.kind.name} {record_id} does not exist")
        made = self._portal.associations.link(source.kind.name, source_id, target.kind.name, target_id, kind)
        if not made:
            return
        for table, one, other, to in (
            (source, source_id, target_id, target.kind),
            (target, target_id, source_id, source.kind),
        ):
            named = f"{table.kind.singular}_TO_{to.singular}".upper()
            more = {"fromObjectId": one, "toObjectId": other, "associationType": named, "associationRemoved": False}
            self._note(table, table.rows[one], "associationChange", **more)
            if self._portal.ways.association_touches:
                self._touch(table, one)
        self._keep_parent(source, source_id, target_id, kind)

    def unlink(self, source: Table, source_id: int, target: Table, target_id: int) -> None:
        """Take the links between two records away."""
        self._portal.associations.unlink(source.kind.name, source_id, target.kind.name, target_id)

    def touch_all(self, table: Table, pipeline: str) -> None:
        """An edit of a pipeline counts as a change of all its deals."""
        for record in list(table.rows.values()):
            if record.properties.get("pipeline") == pipeline:
                properties = self._calculated(table.kind, record.properties)
                table.put(replace(record, properties=properties, modified=self._at))

    def _values(self, table: Table, given: Any) -> dict[str, str | None]:
        if not isinstance(given, dict):
            raise invalid("Invalid input JSON: properties is required")
        values: dict[str, str | None] = {}
        problems: list[Problem] = []
        for name, value in cast("Json", given).items():
            found = self._value(table, name, value)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                values[name] = found
        if problems:
            raise not_valid(problems, PORTAL_ID)
        return values

    def _value(self, table: Table, name: str, value: Any) -> str | Problem | None:
        wanted = table.kind.properties.get(name)
        if wanted is None:
            return Problem("PROPERTY_DOESNT_EXIST", name, f'Property "{name}" does not exist')
        if wanted.is_read_only:
            return Problem("READ_ONLY_VALUE", name, f'"{name}" is a read only property')
        if value is None or (value == "" and self._portal.ways.clears_with == "empty"):
            return None
        return stored(wanted, value)

    def _guard(self, table: Table, record: Record) -> None:
        for name in table.unique:
            value = record.properties.get(name)
            holder = table.by_unique(name, value) if value else None
            if holder is not None and holder != record.id:
                raise conflict(table.kind.singular.capitalize(), holder)

    def _calculated(self, kind: Kind, properties: Mapping[str, str]) -> dict[str, str]:
        kept = dict(properties)
        if kind.name == "deals":
            self._stage_of(kept)
        elif kind.name == "line_items" and "price" in kept:
            price, quantity = Decimal(kept["price"]), Decimal(kept.get("quantity", "1"))
            off = Decimal(kept.get("discount", "0")) * quantity
            off += price * quantity * Decimal(kept.get("hs_discount_percentage", "0")) / 100
            kept["amount"] = format(price * quantity - off, "f")
        return kept

    def _stage_of(self, deal: dict[str, str]) -> None:
        deal.setdefault("pipeline", "default")
        named = deal.get("dealstage", "")
        if not named:
            return
        stage = self._portal.pipelines.stage(deal["pipeline"], named)
        if stage is None:
            problem = Problem("INVALID_OPTION", "dealstage", f"{named} was not one of the allowed options")
            raise not_valid([problem], PORTAL_ID)
        for name, holds in (
            ("hs_is_closed", stage.is_closed),
            ("hs_is_closed_won", stage.is_won),
            ("hs_is_closed_lost", stage.is_closed and not stage.is_won),
        ):
            deal[name] = "true" if holds else "false"
        deal["hs_deal_stage_probability"] = stage.metadata["probability"]

    def _wanted(self, kind: Kind, given: Json) -> tuple[Table, int, LinkType]:
        for spec in given.get("types") or ():
            for (source, target), types in self._portal.associations.types.items():
                for one in types:
                    named = (spec.get("associationCategory"), spec.get("associationTypeId"))
                    if source == kind.name and (one.category, one.type_id) == named:
                        table = self._portal.tables[target]
                        record = self._portal.record(table, str(given["to"]["id"]))
                        return table, record.id, one
        raise HubspotError(400, "INVALID_ASSOCIATION_TYPE", f"No such association of {kind.name}")

    def _keep_parent(self, source: Table, source_id: int, target_id: int, kind: LinkType) -> None:
        if source.kind.name != "companies" or _CHILD_TO_PARENT not in {kind.type_id, kind.back}:
            return
        child, parent = (source_id, target_id) if kind.type_id == _CHILD_TO_PARENT else (target_id, source_id)
        record = source.rows[child]
        properties = {**record.properties, "hs_parent_company_id": str(parent)}
        source.put(replace(record, properties=properties, modified=self._at))

    def _touch(self, table: Table, record_id: int) -> None:
        table.put(replace(table.rows[record_id], modified=self._at))

    def _note(self, table: Table, record: Record, change: str, **more: Any) -> None:
        self._portal.events.note(table.kind, record.id, change, self._at, self._app, **more)
