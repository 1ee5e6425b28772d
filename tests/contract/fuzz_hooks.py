"""Hooks for schemathesis: what a valid request needs besides its schema: own keys, real ids, given cursors."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import count
from typing import Any
from uuid import uuid4

import schemathesis
from fuzz_rules import obey
from schemathesis.generation.meta import TestPhase

KEY = "Idempotency-Key"
_given_cursors: dict[str, list[str]] = defaultdict(list)
_known_ids: dict[str, list[str]] = defaultdict(list)
_turn = count()
_MOST_KEPT = 50
# Where ids come from: the last word of a list's path, and the path parameters that take them.
_NAMED_BY = {
    "opportunities": ("opportunity_id",),
    "customers": ("customer_id",),
    "contracts": ("contract_id",),
    "deals": ("opportunity_id",),
    "board": ("opportunity_id",),
    "approvals": ("approval_id",),
    "invoices": ("invoice_id",),
    "items": ("item_id",),
    "exceptions": ("item_id",),
    "runs": ("run_id",),
    "billing-runs": ("run_id",),
    "projects": ("project_id",),
    "clients": ("client_id",),
    "connectors": ("name",),
}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - the library's signature
    """Give every case with a well-formed key a key of its own, and let valid data keep the rules of the house."""
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and 0 < len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key:
        case.headers[KEY] = str(uuid4())
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    (case.headers or {}).pop("If-Match", None)  # only an answer can tell the version that counts now
    path = case.operation.path
    _use_a_given_cursor(path, case.query)
    if case.meta.phase.name is not TestPhase.STATEFUL:  # stories bring the ids of their own records
        _use_a_known_id(path, case.path_parameters)
    if path.startswith("/oauth/") and isinstance(case.body, dict):
        case.body.pop("client_assertion", None)  # one kind of client authentication at a time (RFC 6749 §2.3)
        case.body.pop("client_assertion_type", None)
    if isinstance(case.body, dict):
        obey(path, case.body, case.path_parameters)


def _use_a_given_cursor(path: str, query: Any) -> None:
    """A cursor is one that the list gave out; until it gave one there is none."""
    if query and query.get("cursor") is not None:
        given = _given_cursors[path]
        if given:
            query["cursor"] = given[next(_turn) % len(given)]
        else:
            del query["cursor"]


def _use_a_known_id(path: str, parameters: Any) -> None:
    """Every other case asks for a record that is there."""
    for name in parameters or ():
        known = _known_ids[_place(path, name)] or _known_ids[f"{_api(path)}#{name}"]
        if known and next(_turn) % 2:
            parameters[name] = known[next(_turn) % len(known)]


def _api(path: str) -> str:
    """First part of the path: each API has ids of its own."""
    return path.split("/", 2)[1]


def _place(path: str, name: str) -> str:
    """Ids called `id` are told apart by the list they stand below."""
    return f"{path.partition('/{')[0]}#{name}"


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:  # noqa: ARG001 - the library's signature
    """Remember what lists tell: where they go on, and which records there are."""
    if response.status_code != 200 or case.method.upper() != "GET":
        return
    try:
        told = json.loads(response.content)
    except ValueError:
        return
    if not isinstance(told, dict) or not isinstance(told.get("items"), list):
        return
    path = case.operation.path
    if isinstance(told.get("next_cursor"), str):
        _keep(_given_cursors[path], told["next_cursor"])
    for row in told["items"]:
        for name in _NAMED_BY.get(path.rpartition("/")[2], ()):
            value = row.get(name) or row.get("id") or row.get("name")
            if isinstance(value, str):
                _keep(_known_ids[f"{_api(path)}#{name}"], value)
                _keep(_known_ids[f"{path}#id"], row.get("run_id") or value)


def _keep(kept: list[str], value: str) -> None:
    if value not in kept and len(kept) < _MOST_KEPT:
        kept.append(value)
