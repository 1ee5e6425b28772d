"""How rows become the vendor's JSON: text ids, ISO instants, hidden keys, side-loaded maps, the envelope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from deploy.sandbox.kantata.schema import COLLECTIONS, Collection
from deploy.sandbox.kantata.state import Row, Store

_ACCOUNT_ZONE = timezone(timedelta(hours=-8))
_INSTANTS = frozenset({"created_at", "updated_at", "deleted_at", "last_synced_at"})


@lru_cache(maxsize=4096)
def instant(seconds: int) -> str:
    """An instant as the account's time zone shows it."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(_ACCOUNT_ZONE).isoformat()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def linked(store: Store, name: str, row: Row, key: str) -> Any:
    """The foreign key of an association: stored, or found through the store's indexes."""
    if key == "external_reference_ids":
        return list(store.reference_ids.get((name, row["id"]), {}).values())
    if key == "custom_field_value_ids":
        return list(store.values_of.get((name, row["id"]), {}).values())
    if key in row:
        return row[key]
    return _children(store, name, row["id"], key)


def _children(store: Store, name: str, row_id: int, key: str) -> Any:
    target = {
        ("workspaces", "participation_ids"): ("participations", "workspace_id"),
        ("workspaces", "workspace_resource_ids"): ("workspace_resources", "workspace_id"),
        ("workspaces", "timesheet_submission_ids"): ("timesheet_submissions", "workspace_id"),
        ("stories", "sub_story_ids"): ("stories", "parent_id"),
        ("stories", "story_state_change_ids"): ("story_state_changes", "story_id"),
        ("project_templates", "project_template_assignment_ids"): (
            "project_template_assignments",
            "project_template_id",
        ),
    }.get((name, key))
    if target is not None:
        return list(store.tables[target[0]].index[target[1]].get(row_id, ()))
    if (name, key) == ("workspaces", "participant_ids"):
        table = store.tables["participations"]
        return [table.rows[number]["user_id"] for number in table.index["workspace_id"].get(row_id, ())]
    return [] if key.endswith("_ids") else None


def rendered(store: Store, collection: Collection, row: Row, includes: Sequence[str]) -> dict[str, Any]:
    """One object: shown members, and the foreign keys that were asked for."""
    shown: dict[str, Any] = {"id": str(row["id"])}
    for key in collection.shown:
        value = row.get(key)
        shown[key] = instant(value) if key in _INSTANTS and value is not None else value
    for key in collection.ids:
        shown[key] = _text(row.get(key))
    for include in includes:
        key = collection.associations[include].key
        value = linked(store, collection.name, row, key)
        shown[key] = list(map(str, value)) if key.endswith("_ids") else _text(value)
    return shown


def asked_includes(collection: Collection, include: str) -> list[str]:
    """The associations of `include=a,b` this collection knows; others are passed over, as the vendor does."""
    return [name for name in dict.fromkeys(include.split(",")) if name in collection.associations]


def envelope(
    store: Store, name: str, rows: Sequence[Row], includes: Sequence[str], paging: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """The answer of GET, POST and PUT: `paging` is (count, page number, page size)."""
    collection = COLLECTIONS[name]
    count, number, size = paging or (len(rows), 1, max(1, len(rows)))
    maps: dict[str, dict[str, Any]] = {name: {}}
    results: list[dict[str, str]] = []
    for row in rows:
        shown = rendered(store, collection, row, includes)
        maps[name][shown["id"]] = shown
        results.append({"key": name, "id": shown["id"]})
    for include in includes:
        association = collection.associations[include]
        target = COLLECTIONS[association.target]
        side = maps.setdefault(association.target, {})
        table = store.table(association.target)
        for row in rows:
            value = maps[name][str(row["id"])][association.key]
            for number_text in value if association.is_many else (value,):
                if number_text is not None and number_text not in side and (other := table.get(int(number_text))):
                    side[number_text] = rendered(store, target, other, ())
    meta = {"count": count, "page_count": -(-count // size), "page_number": number, "page_size": size}
    return {"count": count, "meta": meta, "results": results, **maps}
