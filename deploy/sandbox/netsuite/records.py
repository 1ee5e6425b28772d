"""The record/v1 service: what each verb on a record or a collection does; addresses and tokens stay outside."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.netsuite.bodies import SUBLIST_KEYS, Renderer, merged, read_body
from deploy.sandbox.netsuite.conditions import condition
from deploy.sandbox.netsuite.errors import invalid_content, invalid_query, no_such_record
from deploy.sandbox.netsuite.ledger import Ledger
from deploy.sandbox.netsuite.schema import RecordType
from deploy.sandbox.netsuite.state import Account, Row

LARGEST_PAGE = 1000
MOST_PAGES = 1000


@dataclass(slots=True)
class Outcome:
    """What an operation answers: status, body, the record's URL, and names that were dropped."""

    status: int
    body: dict[str, Any] | None = None
    location: str = ""
    dropped: list[str] = field(default_factory=list[str])


def paged(
    items: list[Any], query: Mapping[str, str], url: str, show: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """The collection envelope with its page of items."""
    limit, offset = _number(query, "limit", LARGEST_PAGE), _number(query, "offset", 0)
    if not 1 <= limit <= LARGEST_PAGE:
        raise invalid_query(f"limit must be 1 to {LARGEST_PAGE}.", "limit")
    if offset % limit or offset // limit >= MOST_PAGES:
        raise invalid_query("offset must be a multiple of limit.", "offset")
    page = items[offset : offset + limit]
    has_more = offset + limit < len(items)

    def link(rel: str, at: int) -> dict[str, str]:
        return {"rel": rel, "href": f"{url}?limit={limit}&offset={at}"}

    links = [link("self", offset)]
    if offset:
        links += [link("first", 0), link("prev", max(0, offset - limit))]
    if has_more:
        links += [link("next", offset + limit), link("last", (len(items) - 1) // limit * limit)]
    return {
        "links": links,
        "items": [show(item) for item in page],
        "count": len(page),
        "offset": offset,
        "hasMore": has_more,
        "totalResults": len(items),
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise invalid_query(f"{name} must be a number.", name)
    return int(text)


class RecordService:
    """Verbs on records of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._ledger = Ledger(account)

    def search(self, name: str, query: Mapping[str, str], root: str) -> Outcome:
        """GET on a collection: ids and links, or whole records for `ids=…&expandRecords=true`."""
        record, render = self._account.shape(name), Renderer(self._account, root)
        if ids := query.get("ids"):
            rows = [self._account.key(record, key) for key in ids.split(",")]
        else:
            rows = list(self._account.rows(record.name))
            if q := query.get("q"):
                test = condition(record, q)
                rows = [row for row in rows if test(row)]
        if query.get("expandRecords", "") == "true":
            if not self._account.behaviour.batch_expands:
                query = {name: value for name, value in query.items() if name != "expandSubResources"}
            return Outcome(200, paged(rows, query, render.href(record.name, ""), self._whole(render, record, query)))
        return Outcome(200, paged(rows, query, f"{root}/{record.name}", lambda row: render.stub(record, row)))

    def _whole(self, render: Renderer, record: RecordType, query: Mapping[str, str]) -> Callable[[Row], dict[str, Any]]:
        expands = query.get("expandSubResources", "") == "true"
        only = frozenset(filter(None, query.get("fields", "").split(",")))
        if strange := only - record.fields.keys() - record.sublists.keys():
            raise invalid_query(f"No field {', '.join(sorted(strange))}.", "fields")
        return lambda row: render.full(record, row, expands=expands, only=only)

    def read(self, name: str, key: str, query: Mapping[str, str], root: str) -> Outcome:
        """GET on a record."""
        record = self._account.shape(name)
        row = self._account.key(record, key)
        return Outcome(200, self._whole(Renderer(self._account, root), record, query)(row))

    def read_sublist(self, name: str, key: str, sublist: str, root: str) -> Outcome:
        """GET on a sublist of a record."""
        record = self._account.shape(name)
        row = self._account.key(record, key)
        if sublist not in record.sublists:
            raise no_such_record(f"{record.name}/{key}", sublist)
        whole = Renderer(self._account, root).full(record, row, expands=True, only=frozenset({sublist}))
        return Outcome(200, whole.get(sublist, {"items": [], "totalResults": 0}))

    def create(self, name: str, body: Any, root: str) -> Outcome:
        """POST on a collection."""
        record = self._account.shape(name)
        dropped: list[str] = []
        values = read_body(self._account, record, body, dropped)
        row = self._insert(record, values)
        return Outcome(204, location=f"{root}/{record.name}/{row['id']}", dropped=dropped)

    def _insert(self, record: RecordType, values: Row) -> Row:
        for sublist in record.sublists:
            if sublist in values:
                values[sublist] = merged(sublist, [], values[sublist], replaces=True)
        for name in record.required:
            if values.get(name) in (None, "", []):
                raise invalid_content(f"Please enter value(s) for: {name}.", name)
        values.pop("id", None)
        self._ledger.post(record, values)
        row = self._account.insert(record, values)
        self._ledger.settle(record, row)
        return row

    def amend(self, name: str, key: str, body: Any, query: Mapping[str, str], root: str) -> Outcome:
        """PATCH on a record: sublists are merged by key, or replaced where `replace` names them."""
        record = self._account.shape(name)
        row = self._account.key(record, key)
        dropped: list[str] = []
        self._change(record, row, read_body(self._account, record, body, dropped), query)
        return Outcome(204, location=f"{root}/{record.name}/{row['id']}", dropped=dropped)

    def _change(self, record: RecordType, row: Row, values: Row, query: Mapping[str, str]) -> None:
        replaced = set(filter(None, query.get("replace", "").split(",")))
        if strange := replaced - set(record.sublists):
            raise invalid_query(f"No sublist {', '.join(sorted(strange))}.", "replace")
        for sublist in set(SUBLIST_KEYS) & values.keys():
            values[sublist] = merged(sublist, row.get(sublist, []), values[sublist], replaces=sublist in replaced)
        changed = copy.deepcopy({**row, **values})
        for name in record.required:
            if changed.get(name) in (None, "", []):
                raise invalid_content(f"Please enter value(s) for: {name}.", name)
        self._ledger.post(record, changed)
        self._account.change(record, row, changed)
        self._ledger.settle(record, row)

    def upsert(self, name: str, key: str, body: Any, query: Mapping[str, str], root: str) -> Outcome:
        """PUT on `eid:…`: create the record, or bring it to the given values."""
        record = self._account.shape(name)
        external = key.removeprefix("eid:")
        if external == key or not external or not all(c.isalnum() or c in "_-" for c in external):
            raise invalid_query("PUT takes an external id: eid: and letters, digits, underscore or hyphen.", "id")
        if self._account.find(record, key) is not None:
            heeded: Mapping[str, str] = query if self._account.behaviour.put_replaces else {}
            return self.amend(name, key, body, heeded, root)
        return self.create(name, {**body, "externalId": external} if isinstance(body, dict) else body, root)

    def delete(self, name: str, key: str) -> Outcome:
        """DELETE on a record."""
        record = self._account.shape(name)
        row = self._account.key(record, key)
        self._ledger.forbid_removal(record, row)
        self._ledger.withdraw(record, row)
        self._account.remove(record, row)
        return Outcome(204)

    def transform(self, name: str, key: str, target: str, body: Any, root: str) -> Outcome:
        """POST `!transform`: a new record made from another, changed by the body."""
        record = self._account.shape(name)
        source = self._account.key(record, key)
        if target not in record.transforms:
            raise no_such_record(f"{record.name}/{key}/!transform", target)
        goal, dropped = self._account.shapes[target], list[str]()
        given = read_body(self._account, goal, body or {}, dropped)
        values = self._transformed(record, source, goal, given)
        row = self._insert(goal, values)
        row["createdFrom"] = source["id"]
        return Outcome(204, location=f"{root}/{goal.name}/{row['id']}", dropped=dropped)

    def _transformed(self, record: RecordType, source: Row, goal: RecordType, given: Row) -> Row:
        if goal.name == "customerPayment":
            line = {"doc": source["id"], "apply": True, "amount": given.get("payment")}
            return {"customer": source["entity"], "currency": source["currency"], "apply": [line], **given}
        carried = ("entity", "job", "subsidiary", "currency", "terms", "otherRefNum", "memo", "item", "taxTotal")
        custom = [name for name in goal.fields if name.startswith("custbody")]
        values = {name: copy.deepcopy(source[name]) for name in (*carried, *custom) if source.get(name) is not None}
        if record.name == "invoice":
            values["apply"] = [{"doc": source["id"], "apply": source["amountRemaining"] > 0}]
        return {**values, **given}
