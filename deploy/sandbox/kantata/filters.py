"""Which rows a GET answers: the vendor's filters, defaults that hide, order and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from deploy.sandbox.kantata.errors import bad_request
from deploy.sandbox.kantata.schema import COLLECTIONS
from deploy.sandbox.kantata.state import Row, Store, as_id

Query = Mapping[str, str]
Test = Callable[[Row], bool]
MAX_PAGE = 200
MAX_REFERENCES = 200
_PAGING = frozenset({"page", "per_page", "limit", "offset", "include", "optional_fields"})
_REFERENCE = "external_reference_"
_EVERYWHERE = frozenset(
    "only except order search created_after created_before updated_after updated_before has_external_references "
    "without_external_reference_service_name".split()
)


def truth(value: str) -> bool:
    """A boolean of the query string."""
    return value.lower() in {"true", "1", "t", "yes"}


def _instant(name: str, value: str) -> float:
    try:
        parsed = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise bad_request(f"{name} is not an ISO 8601 date") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _numbers(value: str) -> set[int]:
    return {as_id(part, "only") for part in value.split(",") if part}


def _in_key(key: str) -> Callable[[Store, str], Test]:
    def of(store: Store, value: str) -> Test:
        del store
        wanted = _numbers(value)
        return lambda row: row.get(key) in wanted

    return of


def _flag(key: str, *, wanted: bool = True) -> Callable[[Store, str], Test]:
    """A presence filter: it acts as true whatever value is sent."""

    def of(store: Store, value: str) -> Test:
        del store, value
        return lambda row: bool(row.get(key)) is wanted

    return of


def _text_in(key: str) -> Callable[[Store, str], Test]:
    def of(store: Store, value: str) -> Test:
        del store
        wanted = set(value.split(","))
        return lambda row: row.get(key) in wanted

    return of


def _between(key: str) -> Callable[[Store, str], Test]:
    def of(store: Store, value: str) -> Test:
        del store
        first, separator, last = value.partition(":")
        if not separator:
            raise bad_request(f"{key}: two dates separated by a colon are needed")
        return lambda row: first <= str(row.get(key)) <= last

    return of


def _approved(store: Store, value: str) -> Test:
    """Also answers entries of projects that need no approval."""
    del value
    workspaces = store.table("workspaces")
    return lambda row: row["approved"] or not workspaces[row["workspace_id"]].get("require_time_approvals")


def _boolean(key: str) -> Callable[[Store, str], Test]:
    def of(store: Store, value: str) -> Test:
        del store
        wanted = truth(value)
        return lambda row: bool(row.get(key)) is wanted

    return of


def _submitted_in(store: Store, value: str) -> Test:
    wanted = {number for n in _numbers(value) for number in store.table("timesheet_submissions")[n]["time_entry_ids"]}
    return lambda row: row["id"] in wanted


def _completed(store: Store, value: str) -> Test:
    del store
    wanted = truth(value)
    return lambda row: not wanted or row["state"] == "completed"


def _nothing(store: Store, value: str) -> Test:
    del store, value

    def anything(row: Row) -> bool:
        del row
        return True

    return anything


_ENTRY = {
    "workspace_id": _in_key("workspace_id"),
    "workspace_ids": _in_key("workspace_id"),
    "invoiced": _flag("is_invoiced"),
    "uninvoiced": _flag("is_invoiced", wanted=False),
    "in_active_invoice_id": _in_key("invoice_id"),
    "from_archived_workspaces": _nothing,
    "on_my_account": _nothing,
}
_SUBMISSION = {
    "statuses": _text_in("status"),
    "user_ids": _in_key("user_id"),
    "workspace_id": _in_key("workspace_id"),
    "workspace_ids": _in_key("workspace_id"),
}
FILTERS: dict[str, dict[str, Callable[[Store, str], Test]]] = {
    "time_entries": {
        **_ENTRY,
        "approved": _approved,
        "billable": _boolean("billable"),
        "date_performed_between": _between("date_performed"),
        "with_user_ids": _in_key("user_id"),
        "with_timesheet_id": _submitted_in,
    },
    "expenses": {**_ENTRY, "approved": _flag("approved"), "date_between": _between("date")},
    "timesheet_submissions": _SUBMISSION,
    "expense_report_submissions": _SUBMISSION,
    "stories": {
        "workspace_id": _in_key("workspace_id"),
        "with_projects": _in_key("workspace_id"),
        "with_parent_id": _in_key("parent_id"),
        "story_type": _text_in("story_type"),
        "story_types": _text_in("story_type"),
        "by_status": _text_in("status"),
        "completed": _completed,
        "parents_only": lambda store, value: lambda row: row.get("parent_id") is None,  # noqa: ARG005 - presence
        "all_on_account": _nothing,
        "show_from_archived_workspaces": _nothing,
        "show_archived": _nothing,
    },
    "workspaces": {"archived": _nothing, "include_archived": _nothing, "budgeted": _boolean("budgeted")},
    "billing_milestones": {
        "workspace_ids": _in_key("workspace_id"),
        "story_ids": _in_key("story_id"),
        "date_between": _between("date_to_invoice"),
    },
    "invoices": {
        "workspace_id": lambda store, value: lambda row: bool(_numbers(value) & set(row["workspace_ids"])),  # noqa: ARG005 - shape of a filter
        "status": _text_in("status"),
    },
    "users": {"on_my_account": _nothing, "by_email_address": _text_in("email_address")},
    "custom_field_values": {
        "subject_type": _text_in("subject_type"),
        "with_custom_field_id": _in_key("custom_field_id"),
        "with_subject_id": _in_key("subject_id"),
    },
    "custom_fields": {"subject_type": _text_in("subject_type"), "matching": _nothing},
    "participations": {"workspace_id": _in_key("workspace_id"), "workspace_ids": _in_key("workspace_id")},
    "workspace_resources": {"workspace_id": _in_key("workspace_id"), "workspace_ids": _in_key("workspace_id")},
}


def _hides(store: Store, name: str, query: Query) -> Iterable[Test]:
    """Defaults of the vendor that hide records unless a filter says otherwise."""
    workspaces = store.table("workspaces")
    if name == "workspaces":
        archived = query.get("archived", "include" if truth(query.get("include_archived", "")) else "exclude")
        if archived != "include":
            yield lambda row: bool(row.get("archived")) is (archived == "only")
    elif name in {"time_entries", "expenses"} and not truth(query.get("from_archived_workspaces", "false")):
        yield lambda row: not workspaces[row["workspace_id"]].get("archived")
    elif name == "stories":
        if not truth(query.get("show_from_archived_workspaces", "false")):
            yield lambda row: not workspaces[row["workspace_id"]].get("archived")
        if not truth(query.get("show_archived", "false")):
            yield lambda row: not row.get("archived")
    elif name == "users" and not truth(query.get("on_my_account", "false")):
        seen = {row["user_id"] for row in store.table("participations").values()} | {store.administrator["id"]}
        yield lambda row: row["id"] in seen


def _times(store: Store, query: Query) -> Iterable[Test]:
    for key in ("created_at", "updated_at"):
        word = key.removesuffix("_at")
        if value := query.get(f"{word}_after"):
            after = _instant(f"{word}_after", value)
            if store.switches.updated_after_is_inclusive:
                yield lambda row, key=key, after=after: row[key] >= after
            else:
                yield lambda row, key=key, after=after: row[key] > after
        if value := query.get(f"{word}_before"):
            before = _instant(f"{word}_before", value)
            yield lambda row, key=key, before=before: row[key] < before


def _reference_tests(store: Store, name: str, query: Query) -> Iterable[Test]:
    wanted = {k.removeprefix(_REFERENCE): v for k, v in query.items() if k.startswith(_REFERENCE)}
    exact = {k: v for k, v in wanted.items() if k != "service_model_refs"}
    refs = set(wanted["service_model_refs"].split(",")) if "service_model_refs" in wanted else None
    if refs is not None and len(refs) > MAX_REFERENCES:
        raise bad_request(f"external_reference_service_model_refs takes at most {MAX_REFERENCES} values")
    if exact or refs is not None:
        yield lambda row: any(
            all(str(held.get(k)) == v for k, v in exact.items()) and (refs is None or held["service_model_ref"] in refs)
            for held in store.references(name, row["id"])
        )
    if "has_external_references" in query:
        has = truth(query["has_external_references"])
        yield lambda row: bool(store.reference_ids.get((name, row["id"]))) is has
    if service := query.get("without_external_reference_service_name"):
        yield lambda row: service not in store.reference_ids.get((name, row["id"]), {})


def _candidates(store: Store, name: str, query: Query) -> Iterable[int]:
    """The narrowest index that holds every row asked for."""
    table = store.tables[name]
    if "only" in query:
        return [number for number in sorted(_numbers(query["only"])) if number in table.rows]
    service, refs = query.get(_REFERENCE + "service_name"), query.get(_REFERENCE + "service_model_refs")
    if service and refs:
        found = store.referring.get((name, service), {})
        return dict.fromkeys(number for ref in refs.split(",") for number in found.get(ref, ()))
    for key in table.index:
        if value := query.get(key) or query.get(key + "s"):
            return [number for wanted in _numbers(value) for number in table.index[key].get(wanted, ())]
    if query.get("order", "").startswith("updated_at"):
        return list(table.by_change)
    return list(table.rows)


def selected(store: Store, name: str, query: Query) -> list[int]:
    """Ids of the rows that pass, in the order asked for."""
    known = FILTERS.get(name, {})
    tests: list[Test] = [*_hides(store, name, query), *_times(store, query), *_reference_tests(store, name, query)]
    for key, value in query.items():
        if key in known:
            tests.append(known[key](store, value))
        elif store.switches.strict_filters and not (key in _PAGING or key in _EVERYWHERE or key.startswith(_REFERENCE)):
            raise bad_request(f"{key} is not a parameter of {name}")
    if "except" in query:
        excepted = _numbers(query["except"])
        tests.append(lambda row: row["id"] not in excepted)
    if search := query.get("search", "").lower():
        tests.append(lambda row: search in str(row.get("title") or row.get("full_name") or "").lower())
    rows = store.table(name)
    found = [rows[number] for number in _candidates(store, name, query)]
    for test in tests:
        found = [row for row in found if test(row)]
    return [row["id"] for row in _ordered(store, name, query, found)]


def _ordered(store: Store, name: str, query: Query, rows: list[Row]) -> list[Row]:
    collection = COLLECTIONS[name]
    field, _, direction = query.get("order", collection.default_order).partition(":")
    if field not in collection.orders:
        field, _, direction = collection.default_order.partition(":")
    if field == "updated_at":
        rank = {number: place for place, number in enumerate(store.tables[name].by_change)} if len(rows) > 1 else {}
        rows.sort(key=lambda row: rank.get(row["id"], 0))
    else:
        key = {"alphabetical": "full_name", "date": "date" if name == "expenses" else "start_date"}.get(field, field)
        rows.sort(key=lambda row: (str(row.get(key) or "") if key != "created_at" else row[key], row["id"]))
    if direction == "desc":
        rows.reverse()
    return rows


def window(query: Query) -> tuple[int, int, int]:
    """(first row, page size, page number); `limit` with `offset` win over pages."""

    def number(name: str, default: int, least: int) -> int:
        try:
            return max(least, int(query.get(name, default)))
        except ValueError:
            raise bad_request(f"{name} is not a number") from None

    if "limit" in query and "offset" in query:
        size, first = min(MAX_PAGE, number("limit", 20, 1)), number("offset", 0, 0)
        return first, size, first // size + 1
    size, page = min(MAX_PAGE, number("per_page", 20, 1)), number("page", 1, 1)
    return (page - 1) * size, size, page
