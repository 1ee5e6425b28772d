"""The acts of the ports in a manifest's words, `<entity>.<verb>`; read off the ports themselves, listed nowhere."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from system_apis.ports.changes import ChangeFeed, ChangePoll
from system_apis.ports.crm import CrmPort
from system_apis.ports.erp import ErpPort
from system_apis.ports.psa import PsaPort
from system_apis.ports.schema import SchemaSource

Role = Literal["crm", "psa", "erp"]
PORTS: Final[Mapping[Role, type]] = {"crm": CrmPort, "psa": PsaPort, "erp": ErpPort}
READING: Final = frozenset({"find", "get", "list", "list_since", "list_changes", "describe", "read_feed"})
"""Verbs that leave everything as it is."""

_SPOKEN: Final[Mapping[str, str]] = {
    "mark_billed": "billing_marks.create",
    "list_changes": "changes.list_changes",
    "read_feed": "changes.read_feed",
    "describe": "schema.describe",
}


def acts_of(role: Role) -> dict[str, str]:
    """Act → the port's method: `contracts.list_since` → `list_contracts`, `billing_marks.create` → `mark_billed`."""
    return dict(_acts(PORTS[role]))


def acts_of_all() -> dict[str, str]:
    """Acts of every connector, whatever it plays: its changes and its schema."""
    return {act: method for port in (ChangePoll, ChangeFeed, SchemaSource) for act, method in _acts(port)}


def _acts(port: type) -> Iterator[tuple[str, str]]:
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if name.startswith("_"):
            continue
        if name in _SPOKEN:
            yield _SPOKEN[name], name
            continue
        verb, _, entity = name.partition("_")
        if verb != "list":
            yield f"{_plural(entity)}.{verb}", name
        else:
            is_paged = "modified_since" in inspect.signature(method).parameters
            yield f"{entity}.{'list_since' if is_paged else 'list'}", name


def _plural(entity: str) -> str:
    if entity.endswith("y"):
        return f"{entity[:-1]}ies"
    return f"{entity}{'es' if entity.endswith('s') else 's'}"
