"""Acts on custom fields of the account, their sets, choices and values, with the vendor's validations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from deploy.sandbox.kantata.dates import day
from deploy.sandbox.kantata.errors import invalid, missing
from deploy.sandbox.kantata.schema import BY_SUBJECT
from deploy.sandbox.kantata.state import Row, Store, as_id

_SUBJECTS = ("Workspace", "Story", "User")
_TYPES = ("string", "date", "number", "currency", "single", "multi")
_LISTS = frozenset({"single", "multi"})


def create_set(store: Store, given: Row) -> Row:
    """POST /custom_field_sets: what the fields of a set belong to."""
    if not given.get("name"):
        raise missing("name")
    if given.get("subject_type") not in _SUBJECTS:
        raise invalid("subject_type", "subject_type is not included in the list")
    fields = {"name": given["name"], "subject_type": given["subject_type"]}
    return store.create("custom_field_sets", fields, given.get("external_reference"))


def create_field(store: Store, given: Row) -> Row:
    """POST /custom_fields; a field without a set is one of projects."""
    if not given.get("name"):
        raise missing("name")
    kind = given.get("value_type") or "string"
    if kind not in _TYPES:
        raise invalid("value_type", "value_type is not included in the list")
    held = None
    if given.get("custom_field_set_id") is not None:
        held = store.get("custom_field_sets", given["custom_field_set_id"], "custom_field_set_id")
    subject = held["subject_type"] if held else "Workspace"
    if any(row["name"] == given["name"] and row["subject_type"] == subject for row in _rows(store)):
        raise invalid("name", "name has already been taken")
    row = store.create(
        "custom_fields",
        {
            "name": given["name"],
            "value_type": kind,
            "default_text": given.get("default_text"),
            "subject_type": subject,
            "custom_field_set_id": held["id"] if held else None,
            "choice_ids": [],
        },
        given.get("external_reference"),
    )
    for choice in given.get("choices") or ():
        fields = {"label": str(choice["label"]), "custom_field_id": row["id"]}
        row["choice_ids"].append(store.create("custom_field_choices", fields)["id"])
    return row


def delete_field(store: Store, row: Row) -> None:
    """DELETE /custom_fields/{id}: with every value of it."""
    values = store.table("custom_field_values").values()
    for value in [one for one in values if one["custom_field_id"] == row["id"]]:
        forget_value(store, value)
    store.delete("custom_fields", row)


def _rows(store: Store) -> Sequence[Row]:
    return list(store.table("custom_fields").values())


def create_value(store: Store, given: Row) -> Row:
    """POST /custom_field_values: a value replaces the one before under a new id."""
    lacking = [k for k in ("subject_type", "subject_id", "custom_field_id") if not given.get(k)]
    if lacking or "value" not in given:
        raise missing(*lacking, *(() if "value" in given else ("value",)))
    subject_type = str(given["subject_type"]).title()
    if subject_type not in _SUBJECTS:
        raise invalid("subject_type", "subject_type is not included in the list")
    field = store.get("custom_fields", given["custom_field_id"], "custom_field_id")
    if field["subject_type"] != subject_type:
        raise invalid("custom_field_id", f"custom_field_id is no field of a {subject_type}")
    name = BY_SUBJECT[subject_type]
    subject = store.get(name, given["subject_id"], "subject_id")
    value, shown = _checked(store, field, given)
    held = store.values_of.setdefault((name, subject["id"]), {})
    if old := store.table("custom_field_values").get(held.get(field["id"], 0)):
        store.delete("custom_field_values", old)
    row = store.create(
        "custom_field_values",
        {
            "subject_type": subject_type,
            "subject_id": subject["id"],
            "value": value,
            "display_value": shown,
            "can_edit": True,
            "type": field["value_type"],
            "custom_field_id": field["id"],
            "custom_field_name": field["name"],
            "setter_id": store.administrator["id"],
            "account_id": 1,
        },
    )
    held[field["id"]] = row["id"]
    if store.switches.value_touches_subject:
        store.tables[name].touch(subject, store.now())
        store.tell(name, subject, "updated")
    return row


def _checked(store: Store, field: Row, given: Row) -> tuple[Any, str]:
    """The value as it is kept and as it is shown."""
    value: Any = given["value"]
    if field["value_type"] == "date":
        day(given, "value")
    if field["value_type"] not in _LISTS:
        return value, str(value)
    listed = cast("list[Any]", value) if isinstance(value, list) else [value]
    chosen = [as_id(one, "value") for one in listed]
    if set(chosen) - set(field["choice_ids"]) or (field["value_type"] == "single" and len(chosen) > 1):
        raise invalid("value", "value is not one of the field's choices")
    choices = store.table("custom_field_choices")
    return chosen, ", ".join(choices[number]["label"] for number in chosen)


def forget_value(store: Store, row: Row) -> None:
    """DELETE /custom_field_values/{id}."""
    held = store.values_of.get((BY_SUBJECT[row["subject_type"]], row["subject_id"]), {})
    if held.get(row["custom_field_id"]) == row["id"]:
        del held[row["custom_field_id"]]
    store.delete("custom_field_values", row)
