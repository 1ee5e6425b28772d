"""Resources of records: single ones, lists, batches and searches."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from deploy.sandbox.hubspot.calls import Call, Reply, batch, page
from deploy.sandbox.hubspot.errors import HubspotError, invalid, not_found
from deploy.sandbox.hubspot.portal import Portal
from deploy.sandbox.hubspot.records import Record, Table
from deploy.sandbox.hubspot.searches import search
from deploy.sandbox.hubspot.writes import Writes

Json = dict[str, Any]
_LONGEST_LIST = 100


class Objects:
    """Answers of `objects/{type}…` but its associations."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def answer(self, call: Call, table: Table) -> Reply:
        """Raises HubspotError."""
        self._permit(call, table)
        match call.method, call.path[1:]:
            case "GET", ():
                return self._list(call, table)
            case "POST", ():
                return Reply(201, table.shown(self._writes(call).create(table, call.document()), []))
            case "POST", ("search",):
                return search(self._portal, table, call)
            case "POST", ("batch", act):
                return self._batch(call, table, act)
            case method, (named,):
                return self._one(call, table, method, named)
            case _:
                raise not_found()

    def _permit(self, call: Call, table: Table) -> None:
        kind = table.kind
        reads = call.method == "GET" or call.path[-1] in {"search", "read"}
        family = "custom" if kind.is_custom else kind.name
        call.app.need(f"crm.objects.{family}.{'read' if reads else 'write'}")

    def _writes(self, call: Call) -> Writes:
        return Writes(self._portal, call.app, call.at)

    def _known(self, table: Table, names: list[str]) -> list[str]:
        strange = [name for name in names if name not in table.kind.properties]
        if strange and self._portal.ways.unknown_properties == "refused":
            raise invalid(f"Property {strange[0]} does not exist")
        return names

    def _list(self, call: Call, table: Table) -> Reply:
        limit = min(call.whole("limit", 10, _LONGEST_LIST), self._portal.ways.page_size)
        wanted = self._known(table, call.asked("properties"))
        source = table.archived if call.one("archived").lower() == "true" else table.rows
        ids = sorted(source)
        after = call.one("after", "0")
        if not after.isdigit():
            raise invalid("Invalid after")
        start = bisect_left(ids, int(after) + 1) if int(after) else 0
        shown = ids[start : start + limit]
        rows = [self._shown(call, table, source[one], wanted) for one in shown]
        return Reply(200, page(rows, str(shown[-1]) if start + limit < len(ids) else None, call.link))

    def _one(self, call: Call, table: Table, method: str, named: str) -> Reply:
        if method == "DELETE":
            if not named.isdigit():
                raise not_found()
            self._writes(call).archive(table, int(named))
            return Reply(204)
        record = self._portal.record(table, named, call.one("idProperty"))
        if method == "GET":
            return Reply(200, self._shown(call, table, record, self._known(table, call.asked("properties"))))
        if method == "PATCH":
            changed = self._writes(call).update(table, record, call.document().get("properties"))
            return Reply(200, table.shown(changed, list(call.document()["properties"])))
        raise not_found()

    def _shown(self, call: Call, table: Table, record: Record, wanted: list[str]) -> Json:
        shown = table.shown(record, wanted)
        for named in call.asked("associations"):
            target = self._portal.table(named).kind
            linked = self._portal.associations.linked(table.kind.name, record.id, target.name)
            plain = f"{table.kind.singular}_to_{target.singular}"
            results = [
                {"id": str(other), "type": plain if one.label else f"{plain}_unlabeled" if len(types) > 1 else plain}
                for other, types in linked
                for one in types
            ]
            if results:
                shown.setdefault("associations", {})[target.name.replace("_", " ")] = {"results": results}
        return shown

    def _batch(self, call: Call, table: Table, act: str) -> Reply:
        inputs = call.inputs(self._portal.ways.batch_limit)
        if act == "read":
            return self._read(call, table, inputs)
        writes = self._writes(call)
        if act == "archive":
            for one in inputs:
                if str(one.get("id", "")).isdigit() and int(one["id"]) in table.rows:
                    writes.archive(table, int(one["id"]))
            return Reply(204)
        if act not in {"create", "update", "upsert"}:
            raise not_found()
        results: list[Json] = []
        errors: list[Json] = []
        for one in inputs:
            trace = one.get("objectWriteTraceId")
            try:
                results.append(self._written(writes, table, act, one))
            except HubspotError as error:
                if trace is None:  # without a trace id a batch is done whole or refused whole
                    writes.undo()
                    raise
                errors.append(error.in_a_batch([str(one["id"])] if "id" in one else [], str(trace)))
        return batch(results, errors, call.at, 201 if act == "create" else 200)

    def _written(self, writes: Writes, table: Table, act: str, one: Json) -> Json:
        traced = {"objectWriteTraceId": str(one["objectWriteTraceId"])} if "objectWriteTraceId" in one else {}
        if act == "create":
            return table.shown(writes.create(table, one), []) | traced
        if act == "update":
            record = self._portal.record(table, str(one.get("id", "")), str(one.get("idProperty") or ""))
            return table.shown(writes.update(table, record, one.get("properties")), []) | traced
        record, is_new = writes.upsert(table, one)
        return table.shown(record, list(one.get("properties") or ())) | {"new": is_new} | traced

    def _read(self, call: Call, table: Table, inputs: list[Json]) -> Reply:
        given = call.document()
        wanted = self._known(table, [str(name) for name in given.get("properties") or ()])
        id_property = str(given.get("idProperty") or "")
        results: list[Json] = []
        missing: list[str] = []
        for one in inputs:
            try:
                record = self._portal.record(table, str(one.get("id", "")), id_property)
            except HubspotError as error:
                if error.status != 404:  # noqa: PLR2004 - HTTP
                    raise
                missing.append(str(one.get("id", "")))
            else:
                results.append(table.shown(record, wanted))
        text = (
            f"Could not get some {table.kind.name} objects, they may be deleted or not exist. Check that ids are valid."
        )
        errors = [not_found(text).in_a_batch(missing)] if missing else []
        return batch(results, errors, call.at)
