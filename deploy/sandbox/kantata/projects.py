"""Acts on workspaces, stories, participants, templates and custom fields, with the vendor's validations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from deploy.sandbox.kantata.custom_fields import create_value
from deploy.sandbox.kantata.dates import day
from deploy.sandbox.kantata.errors import invalid, missing
from deploy.sandbox.kantata.state import Row, Store, as_id

BASE_UNITS = {"JPY": 1, "KRW": 1, "CLP": 1, "VND": 1, "ISK": 1, "BHD": 1000, "KWD": 1000, "TND": 1000}
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "BRL": "R$"}
STATES = ("not started", "started", "needs info", "completed")
STORY_TYPES = ("task", "deliverable", "milestone", "issue")
_PROJECT_FIELDS = (
    "title description budgeted start_date due_date access_level stage target_margin approver_id external_link "
    "require_time_approvals require_expense_approvals stories_are_fixed_fee_by_default tasks_default_non_billable "
    "change_orders_enabled consultant_role_name client_role_name archived"
).split()
_STORY_FIELDS = (
    "title description start_date due_date budget_estimate_in_cents time_estimate_in_minutes fixed_fee billable "
    "weight priority time_trackable archived"
).split()


def picked(given: Row, fields: Sequence[str]) -> Row:
    """The members of a body the vendor takes; others are passed over."""
    return {key: given[key] for key in fields if key in given}


def money_of(currency: str) -> Row:
    """How a currency shows on an object."""
    return {
        "currency": currency,
        "currency_symbol": SYMBOLS.get(currency, currency),
        "currency_base_unit": BASE_UNITS.get(currency, 100),
    }


def create_workspace(store: Store, given: Row) -> Row:
    """POST /workspaces."""
    if not str(given.get("title") or "").strip():
        raise missing("title")
    if given.get("creator_role") not in {"client", "consultant", "maven", "buyer"}:
        raise invalid("creator_role", "creator_role is not included in the list")
    if given.get("budgeted") and given.get("price") is None:
        raise missing("price")
    day(given, "start_date", "due_date", "project_template_start_date")
    currency = str(given.get("currency") or "USD")
    row = store.create(
        "workspaces",
        {
            "archived": False,
            "budgeted": False,
            "access_level": "invitation",
            "stage": "project",
            "require_time_approvals": False,
            "require_expense_approvals": False,
            "account_id": 1,
            "creator_id": store.administrator["id"],
            "can_create_line_items": True,
            "status": {"color": "grey", "key": 100, "message": "Not Started"},
            **picked(given, _PROJECT_FIELDS),
            **_price(given, currency),
            **money_of(currency),
        },
        given.get("external_reference"),
    )
    for participant in given.get("participations", ()):
        create_participation(store, {**participant, "workspace_id": row["id"]})
    for value in given.get("custom_fields", ()):
        create_value(store, {**value, "subject_type": "Workspace", "subject_id": row["id"]})
    if template := given.get("project_tracker_template_id"):
        _apply_template(store, row, store.get("project_templates", template, "project_tracker_template_id"), given)
    return row


def _price(given: Row, currency: str) -> Row:
    if given.get("price") is None:
        return {}
    if isinstance(given["price"], bool) or not isinstance(given["price"], int):
        raise invalid("price", "price must be an integer")
    unit = BASE_UNITS.get(currency, 100)
    return {"price": f"{SYMBOLS.get(currency, '')}{given['price']:,}", "price_in_cents": given["price"] * unit}


def _apply_template(store: Store, workspace: Row, template: Row, given: Row) -> None:
    start = date.fromisoformat(
        str(given.get("project_template_start_date") or workspace.get("start_date") or "1970-01-01")
    )
    for item in template["_items"]:
        due = start + timedelta(days=item["days"])
        fields = {"title": item["title"], "story_type": item["story_type"], "due_date": due.isoformat()}
        create_story(store, {**fields, "workspace_id": workspace["id"]})


def amend_workspace(store: Store, row: Row, given: Row) -> Row:
    """PUT /workspaces/{id}."""
    if "title" in given and not str(given["title"] or "").strip():
        raise missing("title")
    day(given, "start_date", "due_date")
    changes = {**picked(given, _PROJECT_FIELDS), **_price(given, row["currency"])}
    if "status_key" in given:
        changes["status"] = {"color": "grey", "key": as_id(given["status_key"], "status_key"), "message": ""}
    store.amend("workspaces", row, changes)
    _reference(store, "workspaces", row, given)
    return row


def _reference(store: Store, name: str, row: Row, given: Row) -> None:
    if given.get("external_reference") is not None:
        store.check_reference(given["external_reference"])
        store.refer(name, row, given["external_reference"])


def create_story(store: Store, given: Row) -> Row:
    """POST /stories."""
    lacking = [field for field in ("title", "workspace_id") if not given.get(field)]
    if lacking:
        raise missing(*lacking)
    workspace = store.get("workspaces", given["workspace_id"], "workspace_id")
    kind = given.get("story_type") or "task"
    if kind not in STORY_TYPES:
        raise invalid("story_type", "story_type is not included in the list")
    parent: Row | None = None
    if given.get("parent_id") is not None:
        parent = store.get("stories", given["parent_id"], "parent_id")
        if parent["workspace_id"] != workspace["id"]:
            raise invalid("parent_id", "parent must be in the same workspace")
    day(given, "start_date", "due_date")
    row = store.create(
        "stories",
        {
            "story_type": kind,
            "state": "not started",
            "status": "not started",
            "percentage_complete": 0,
            "archived": False,
            "billable": True,
            "fixed_fee": False,
            "time_trackable": True,
            "priority": "normal",
            "position": len(store.tables["stories"].index["workspace_id"].get(workspace["id"], ())) + 1,
            "sub_story_count": 0,
            "creator_id": store.administrator["id"],
            "workspace_id": workspace["id"],
            "parent_id": parent["id"] if parent else None,
            "root_id": (parent["root_id"] or parent["id"]) if parent else None,
            **picked(given, _STORY_FIELDS),
            **_state(given),
        },
        given.get("external_reference"),
    )
    if parent:
        parent["sub_story_count"] += 1
    return row


def _state(given: Row) -> Row:
    """`status` wins over `state`; 100 percent completes."""
    if given.get("status"):
        status = str(given["status"])
        state = status if status in STATES else "started"
        return {"state": state, "status": status, **({"percentage_complete": 100} if state == "completed" else {})}
    if given.get("state"):
        if given["state"] not in STATES:
            raise invalid("state", "state is not included in the list")
        done = {"percentage_complete": 100} if given["state"] == "completed" else {}
        return {"state": given["state"], "status": given["state"], **done}
    if given.get("percentage_complete") is not None:
        percent = as_id(given["percentage_complete"], "percentage_complete")
        state = "completed" if percent >= 100 else "started" if percent else "not started"  # noqa: PLR2004 - percent
        return {"percentage_complete": percent, "state": state, "status": state}
    return {}


def amend_story(store: Store, row: Row, given: Row) -> Row:
    """PUT /stories/{id}; a changed state is kept in story_state_changes."""
    day(given, "start_date", "due_date")
    state = _state(given)
    if state.get("state", row["state"]) != row["state"]:
        store.create(
            "story_state_changes",
            {
                "state": state["state"],
                "formatted_state": state["state"].title(),
                "story_id": row["id"],
                "user_id": store.administrator["id"],
            },
        )
    store.amend("stories", row, {**picked(given, _STORY_FIELDS), **state})
    _reference(store, "stories", row, given)
    return row


def create_participation(store: Store, given: Row) -> Row:
    """POST /participations; asking twice answers the same one."""
    workspace = store.get("workspaces", given.get("workspace_id"), "workspace_id")
    user = store.get("users", given.get("user_id"), "user_id")
    table = store.tables["participations"]
    for number in table.index["workspace_id"].get(workspace["id"], ()):
        if table.rows[number]["user_id"] == user["id"]:
            return table.rows[number]
    fields: Row = {
        "workspace_id": workspace["id"],
        "user_id": user["id"],
        "role": given.get("role", "maven"),
        "primary_role_id": user.get("role_id"),
        "access_level": given.get("access") or given.get("access_level") or "edit_time_and_expenses",
        "is_team_lead": False,
    }
    return store.create("participations", fields, given.get("external_reference"))


def create_resource(store: Store, given: Row) -> Row:
    """POST /workspace_resources: a named or unnamed seat."""
    workspace = store.get("workspaces", given.get("workspace_id"), "workspace_id")
    user = store.get("users", given["user_id"], "user_id") if given.get("user_id") else None
    role = store.get("roles", given["role_id"], "role_id") if given.get("role_id") else None
    name = user["full_name"] if user else None
    fields: Row = {
        "workspace_id": workspace["id"],
        "user_id": user["id"] if user else None,
        "role_id": role["id"] if role else None,
        "full_name": name,
        "role_name": role["name"] if role else None,
        "label": name or (role["name"] if role else "Unnamed"),
    }
    return store.create("workspace_resources", fields, given.get("external_reference"))


def create_role(store: Store, given: Row) -> Row:
    """POST /roles; names are unique."""
    name = str(given.get("name") or "").strip()
    if not name:
        raise missing("name")
    if any(row["name"] == name for row in store.table("roles").values()):
        raise invalid("name", "name has already been taken")
    return store.create("roles", {"name": name}, given.get("external_reference"))


def invite(store: Store, given: Row) -> Row:
    """POST /account_invitations: in the sandbox everybody accepts at once."""
    lacking = [field for field in ("full_name", "email_address") if not given.get(field)]
    if lacking:
        raise missing(*lacking)
    email = str(given["email_address"]).lower()
    if any(row["email_address"] == email for row in store.table("users").values()):
        raise invalid("email_address", "email_address has already been taken")
    role = store.get("roles", given["default_role_id"], "default_role_id") if given.get("default_role_id") else None
    user = store.create(
        "users",
        {
            "full_name": given["full_name"],
            "email_address": email,
            "headline": given.get("headline"),
            "account_permission": given.get("permission", "collaborator"),
            "disabled": False,
            "account_id": 1,
            "role_id": role["id"] if role else None,
        },
    )
    fields = {
        **picked(given, ["full_name", "headline", "permission"]),
        "email_address": email,
        "pending": False,
        "inviter_id": store.administrator["id"],
        "invitee_id": user["id"],
        "default_role_id": user["role_id"],
    }
    return store.create("account_invitations", fields, given.get("external_reference"))


def amend_user(store: Store, row: Row, given: Row) -> Row:
    """PUT /users/{id}."""
    store.amend("users", row, picked(given, ["full_name", "headline", "email_address"]))
    _reference(store, "users", row, given)
    return row
