"""Resources of associations: of one record, in batches, and the types with their labels."""

from __future__ import annotations

from typing import Any, cast

from deploy.sandbox.hubspot.associations import LinkType
from deploy.sandbox.hubspot.calls import Call, Reply, batch, page
from deploy.sandbox.hubspot.errors import HubspotError, invalid, not_found
from deploy.sandbox.hubspot.portal import Portal
from deploy.sandbox.hubspot.records import Table
from deploy.sandbox.hubspot.writes import Writes

Json = dict[str, Any]
_LONGEST_PAGE = 500
_MOST_INPUTS = 1000
Linked = list[tuple[int, list[LinkType]]]


class Links:
    """Answers of `objects/{type}/{id}/associations…` and `associations/{from}/{to}…`."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def of_record(self, call: Call, table: Table) -> Reply:
        """`objects/{type}/{id}/associations/…`. Raises HubspotError."""
        record = self._portal.record(table, call.path[1])
        match call.method, call.path[3:]:
            case "GET", (to,):
                return self._list(call, table, record.id, self._portal.table(to))
            case "PUT", ("default", to, other):
                target = self._portal.table(to)
                return batch([self._plainly(call, table, record.id, target, other)], [], call.at)
            case "PUT", (to, other):
                return Reply(201, self._labelled(call, table, record.id, self._portal.table(to), other, call.body))
            case "DELETE", (to, other):
                target = self._portal.table(to)
                self._writes(call).unlink(table, record.id, target, int(other) if other.isdigit() else 0)
                return Reply(204)
            case _:
                raise not_found()

    def between(self, call: Call) -> Reply:
        """`associations/{from}/{to}/…`. Raises HubspotError."""
        if len(call.path) < 3:  # noqa: PLR2004 - from, to, and what of them
            raise not_found()
        source, target = self._portal.table(call.path[0]), self._portal.table(call.path[1])
        match call.method, call.path[2:]:
            case "GET", ("labels",):
                return Reply(200, {"results": self._types(source, target)})
            case "POST", ("labels",):
                return self._define(call, source, target)
            case "POST", ("batch", "read"):
                return self._read(call, source, target)
            case "POST", ("batch", "create"):
                return self._create(call, source, target)
            case "POST", ("batch", "associate", "default"):
                made = [
                    self._plainly(call, source, _id(one, "from"), target, str(_id(one, "to")))
                    for one in call.inputs(_MOST_INPUTS)
                ]
                return batch(made, [], call.at)
            case _:
                raise not_found()

    def _writes(self, call: Call) -> Writes:
        return Writes(self._portal, call.app, call.at)

    def _types(self, source: Table, target: Table) -> list[Json]:
        return [_spec(one) for one in self._portal.associations.types.get((source.kind.name, target.kind.name), [])]

    def _define(self, call: Call, source: Table, target: Table) -> Reply:
        given = call.document()
        if not given.get("label") or not given.get("name"):
            raise invalid("Invalid input JSON: label and name are required")
        made = self._portal.associations.define(
            source.kind.name, target.kind.name, str(given["label"]), given.get("inverseLabel")
        )
        back = LinkType(made.category, made.back, given.get("inverseLabel") or made.label)
        return Reply(200, {"results": [_spec(made), _spec(back)]})

    def _list(self, call: Call, table: Table, record_id: int, target: Table) -> Reply:
        limit = min(call.whole("limit", _LONGEST_PAGE, _LONGEST_PAGE), self._portal.ways.association_page)
        linked = self._portal.associations.linked(table.kind.name, record_id, target.kind.name)
        shown, after = _cut(linked, call.one("after"), limit)
        return Reply(200, page([self._other(call, one) for one in shown], after, call.link))

    def _other(self, call: Call, one: tuple[int, list[LinkType]]) -> Json:
        other: Any = str(one[0]) if call.is_dated else one[0]
        return {"toObjectId": other, "associationTypes": [_spec(kind) for kind in one[1]]}

    def _plainly(self, call: Call, source: Table, source_id: int, target: Table, other: str) -> Json:
        kind = self._portal.associations.plain(source.kind.name, target.kind.name)
        record = self._portal.record(target, other)
        self._writes(call).link(source, source_id, target, record.id, kind)
        spec = {"associationCategory": kind.category, "associationTypeId": kind.type_id}
        return {"from": {"id": str(source_id)}, "to": {"id": str(record.id)}, "associationSpec": spec}

    def _labelled(self, call: Call, source: Table, source_id: int, target: Table, other: str, types: Any) -> Json:
        if not isinstance(types, list) or not types:
            raise invalid("Invalid input JSON: a list of association types is required")
        record = self._portal.record(target, other)
        labels: list[str] = []
        for spec in cast("list[Json]", types):
            category, type_id = str(spec.get("associationCategory")), int(spec.get("associationTypeId") or 0)
            kind = self._portal.associations.type(source.kind.name, target.kind.name, category, type_id)
            self._writes(call).link(source, source_id, target, record.id, kind)
            labels += [kind.label] if kind.label else []
        return {
            "fromObjectTypeId": source.kind.type_id,
            "fromObjectId": source_id if not call.is_dated else str(source_id),
            "toObjectTypeId": target.kind.type_id,
            "toObjectId": record.id if not call.is_dated else str(record.id),
            "labels": labels,
        }

    def _create(self, call: Call, source: Table, target: Table) -> Reply:
        results: list[Json] = []
        errors: list[Json] = []
        for one in call.inputs(_MOST_INPUTS):
            try:
                other = str(_id(one, "to"))
                results.append(self._labelled(call, source, _id(one, "from"), target, other, one.get("types")))
            except HubspotError as error:
                errors.append(error.in_a_batch([str(_id(one, "from"))]))
        return batch(results, errors, call.at, 201)

    def _read(self, call: Call, source: Table, target: Table) -> Reply:
        results: list[Json] = []
        errors: list[Json] = []
        for one in call.inputs(_MOST_INPUTS):
            named = str(one.get("id", ""))
            record_id = int(named) if named.isdigit() else 0
            linked = self._portal.associations.linked(source.kind.name, record_id, target.kind.name)
            shown, after = _cut(linked, str(one.get("after") or ""), self._portal.ways.association_page)
            if not shown:
                text = f"No {target.kind.singular} is associated with {source.kind.singular} {named}."
                told = not_found(text).in_a_batch([named])
                errors.append(told | {"subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"})
                continue
            row: Json = {"from": {"id": named}, "to": [self._other(call, other) for other in shown]}
            if after is not None:
                row["paging"] = {"next": {"after": after}}
            results.append(row)
        return batch(results, errors, call.at)


def _spec(kind: LinkType) -> Json:
    return {"category": kind.category, "typeId": kind.type_id, "label": kind.label}


def _id(one: Json, end: str) -> int:
    held: Json = one.get(end) or {}
    named = str(held.get("id", ""))
    if not named.isdigit():
        raise invalid(f"Invalid input JSON: {end}.id is required")
    return int(named)


def _cut(linked: Linked, after: str, limit: int) -> tuple[Linked, str | None]:
    start = int(after) if after.isdigit() else 0
    end = start + limit
    return linked[start:end], str(end) if end < len(linked) else None
