"""Writing entities as every service does: deep insert, merge, delete, versions; the rest is a set's behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from deploy.sandbox.s4hana.errors import (
    Detail,
    Refusal,
    invalid,
    not_allowed,
    not_found,
    precondition_failed,
    precondition_required,
    unknown_property,
)
from deploy.sandbox.s4hana.schema import Child, EntitySet, Property
from deploy.sandbox.s4hana.state import Row, Table, Tenant
from deploy.sandbox.s4hana.values import Unreadable, etag_of, initial, read

Body = Mapping[str, Any]
Act = Callable[[Tenant, Row], None]
Check = Callable[[Tenant, Row, Row], None]
ENQUEUED = "/IWBEP/CM_MGW_RT/102"


def _nothing(*_: Any) -> None:
    """The set does nothing of its own here."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a set does of its own; each act may refuse.

    `fill` before a row is stored, `made` with its children there, `check` before values change (it may add some),
    `removing` before it goes, `changed` and `removed` afterwards.
    """

    fill: Act = _nothing
    made: Act = _nothing
    check: Check = _nothing
    changed: Act = _nothing
    removing: Act = _nothing
    removed: Act = _nothing


class Records:
    """The one desk through which entities are written."""

    def __init__(self, tenant: Tenant, behaviours: Mapping[str, Behaviour]) -> None:
        self.tenant = tenant
        self._behaviours = behaviours

    def find(self, entity: EntitySet, key: Mapping[str, Any]) -> Row:
        """The row with that key. Raises Refusal: 404, or 400 for a key that names other fields."""
        named = {entity.key[0]: key[""]} if "" in key and len(entity.key) == 1 else dict(key)
        if set(named) != set(entity.key):
            raise invalid("005056A509B11EE1B9A8FEC11C21D78E", f"Invalid key predicate type for {entity.type_name}")
        try:
            wanted = [read(entity.properties[name], _spelled(named[name]), 2) for name in entity.key]
        except Unreadable as error:
            raise invalid("005056A509B11EE1B9A8FEC11C21578E", str(error)) from error
        row = self._table(entity).get(*wanted)
        if row is None:
            raise not_found(entity.name)
        return row

    def children(self, row: Row, way: Child) -> list[Row]:
        """The rows that a navigation leads to."""
        table = self.tenant.table(way.target)
        return table.where(**{theirs: row[ours] for ours, theirs in way.on.items()})

    def create(self, entity: EntitySet, body: Body, version: int, fixed: Row | None = None) -> Row:
        """A row with whatever is nested in the body, whole or not at all."""
        if "creatable" in entity.denied and fixed is None:
            raise not_allowed(entity.name)
        with self.tenant.unit():
            return self._created(entity, body, version, fixed or {})

    def _created(self, entity: EntitySet, body: Body, version: int, fixed: Row) -> Row:
        values, nested = self._read(entity, body, version, creating=True, fixed=fixed)
        behaviour = self._behaviours.get(entity.name, Behaviour())
        row: Row = {prop.name: initial(prop) for prop in entity.properties.values()} | values | fixed
        behaviour.fill(self.tenant, row)
        self._complete(entity, row)
        if self._table(entity).get(*(row[name] for name in entity.key)) is not None:
            shown = ", ".join(str(row[name]) for name in entity.key)
            raise invalid("/IWBEP/CM_MGW_RT/022", f"{entity.type_name} {shown} already exists")
        self._table(entity).insert(row)
        for way, bodies in nested:
            link = {theirs: row[ours] for ours, theirs in way.on.items()}
            for one in bodies:
                self._created(self.tenant.sets[way.target], one, version, link)
        behaviour.made(self.tenant, row)
        return row

    def change(self, entity: EntitySet, row: Row, body: Body, version: int, if_match: str | None) -> None:
        """Set the fields that are given, others stay."""
        if "updatable" in entity.denied:
            raise not_allowed(entity.name)
        self.guard(entity, row, if_match)
        values, nested = self._read(entity, body, version, creating=False, fixed=row)
        if nested:
            raise invalid("/IWBEP/CM_MGW_RT/021", "Deep update is not supported")
        behaviour = self._behaviours.get(entity.name, Behaviour())
        with self.tenant.unit():
            behaviour.check(self.tenant, row, values)
            self._table(entity).change(row, values)
            behaviour.changed(self.tenant, row)

    def delete(self, entity: EntitySet, row: Row, if_match: str | None) -> None:
        """Take the row away, with whatever hangs on it."""
        if "deletable" in entity.denied:
            raise not_allowed(entity.name)
        self.guard(entity, row, if_match)
        with self.tenant.unit():
            self._deleted(entity, row)

    def _deleted(self, entity: EntitySet, row: Row) -> None:
        behaviour = self._behaviours.get(entity.name, Behaviour())
        behaviour.removing(self.tenant, row)
        for way in entity.children.values():
            for child in self.children(row, way):
                self._deleted(self.tenant.sets[way.target], child)
        self._table(entity).remove(row)
        behaviour.removed(self.tenant, row)

    def guard(self, entity: EntitySet, row: Row, if_match: str | None) -> None:
        """Lost updates and locked rows are refused."""
        if str(row[entity.key[0]]) in self.tenant.customizing.locked:
            raise Refusal(409, ENQUEUED, f"{entity.type_name} {row[entity.key[0]]} is locked by another user")
        if entity.etag is None:
            return
        if if_match is None:
            if self.tenant.customizing.switches.if_match == "required":
                raise precondition_required()
            return
        if if_match != "*" and if_match != etag_of(row[entity.etag]):
            raise precondition_failed()

    def _table(self, entity: EntitySet) -> Table:
        return self.tenant.table(entity.name)

    def _complete(self, entity: EntitySet, row: Row) -> None:
        for name in entity.key:
            if row[name] in {None, ""}:
                raise invalid("/IWBEP/CM_MGW_RT/024", f"Property '{name}' is mandatory", name)

    def _read(
        self, entity: EntitySet, body: Body, version: int, *, creating: bool, fixed: Row
    ) -> tuple[Row, list[tuple[Child, list[Body]]]]:
        values: Row = {}
        nested: list[tuple[Child, list[Body]]] = []
        wrong: list[Detail] = []
        for name, raw in body.items():
            if name in {"__metadata", "__deferred"}:
                continue
            if way := entity.children.get(name):
                nested.append((way, list(_bodies(way, raw))))
                continue
            prop = entity.properties.get(name)
            if prop is None:
                raise unknown_property(name, entity.type_name)
            try:
                value = read(prop, raw, version)
            except Unreadable as error:
                wrong.append(Detail("005056A509B11EE1B9A8FEC11C21578E", str(error), name))
                continue
            if name in fixed and (name in entity.key or fixed[name] == value):
                if fixed[name] != value:
                    raise invalid("/IWBEP/CM_MGW_RT/023", f"Key property '{name}' cannot be changed", name)
            elif _may(prop, creating=creating):
                values[name] = value
            else:
                wrong.append(Detail("/IWBEP/CM_MGW_RT/025", f"Property '{name}' cannot be written", name))
        if wrong:
            raise Refusal(400, wrong[0].code, wrong[0].message, wrong[0].target, wrong)
        return values, nested


def _may(prop: Property, *, creating: bool) -> bool:
    return prop.creatable if creating else prop.updatable


def _bodies(way: Child, raw: Any) -> Iterator[Body]:
    """Nested rows as clients write them: a list, `results` around one, or a single row."""
    node: Any = cast("Body", raw).get("results", raw) if isinstance(raw, Mapping) else raw
    listed: list[Any] = cast("list[Any]", node) if isinstance(node, list) else [node]
    if not way.many and len(listed) > 1:
        raise invalid("/IWBEP/CM_MGW_RT/026", f"Navigation '{way.name}' leads to one entity only", way.name)
    for one in listed:
        if not isinstance(one, Mapping):
            raise invalid("/IWBEP/CM_MGW_RT/027", f"Navigation '{way.name}' is not an entity", way.name)
        yield cast("Body", one)


def _spelled(value: Any) -> Any:
    return str(value) if value is not None and not isinstance(value, bool) else value
