"""Webhook steps: the execution context of each change as the platform posts it, cut down when it is too long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from deploy.sandbox.dynamics_sales.records import Row, Value
from deploy.sandbox.dynamics_sales.schema import CHOICES, LOOKUPS, Column, Table
from deploy.sandbox.dynamics_sales.values import formatted, to_json

Payload = dict[str, Any]
Hear = Callable[[Payload], None]
LONGEST = 262_144
NOBODY = "00000000-0000-0000-0000-000000000000"
_CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"
# The tables a step is registered for, and the columns its images carry: a change tells changed columns only.
STEPS: dict[str, tuple[str, ...]] = {
    "account": (),
    "opportunity": (),
    "opportunityproduct": ("opportunityid",),
    "thl_contract": (),
    "thl_milestone": ("thl_contractid",),
}
_DROPPED = ("ParentContext", "InputParameters", "PreEntityImages", "PostEntityImages")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is served."""

    user_id: str


def _wrapped(column: Column, value: Value) -> Any:
    if value is None:
        return None
    if column.kind in CHOICES:
        return {"__type": f"OptionSetValue:{_CONTRACTS}", "Value": value}
    if column.kind == "money":
        return {"__type": f"Money:{_CONTRACTS}", "Value": float(value) if isinstance(value, Decimal) else value}
    if column.kind in LOOKUPS:
        return reference(column.targets[0], str(value)) | {"Name": None, "RowVersion": None}
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
        return f"/Date({int(moment.timestamp() * 1000)})/"
    return float(value) if isinstance(value, Decimal) else to_json(value)


def _pairs(table: Table, row: Row, names: Iterable[str]) -> list[Payload]:
    return [
        {"key": name, "value": _wrapped(table.columns[name], row.get(name))} for name in names if name in table.columns
    ]


def _labels(table: Table, row: Row, names: Iterable[str]) -> list[Payload]:
    found = {name: formatted(table.columns[name], row.get(name), None) for name in names if name in table.columns}
    return [{"key": name, "value": text} for name, text in found.items() if text is not None]


def entity(table: Table, row: Row, names: Iterable[str]) -> Payload:
    """A row as the context carries it: key/value pairs of these columns."""
    listed = list(names)
    return {
        "__type": f"Entity:{_CONTRACTS}",
        "Attributes": _pairs(table, row, listed),
        "EntityState": None,
        "FormattedValues": _labels(table, row, listed),
        "Id": row[table.id_column],
        "KeyAttributes": [],
        "LogicalName": table.name,
        "RelatedEntities": [],
        "RowVersion": None,
    }


def reference(table: str, row_id: str) -> Payload:
    """A row named by its id."""
    return {"__type": f"EntityReference:{_CONTRACTS}", "Id": row_id, "KeyAttributes": [], "LogicalName": table}


@dataclass(slots=True)
class Events:
    """Collects the contexts of a request and hands them on when it is committed."""

    hear: Hear
    organization_id: str = field(default_factory=lambda: str(uuid4()))
    steps: frozenset[str] = frozenset(STEPS)
    _open: list[Payload] = field(default_factory=list[Payload])

    def note(self, message: str, table: Table, row: Row, changed: list[str], caller: Caller) -> None:
        """A row was created, updated or deleted."""
        if table.name not in self.steps:
            return
        row_id = str(row[table.id_column])
        target = (
            reference(table.name, row_id) if message == "Delete" else entity(table, row, [table.id_column, *changed])
        )
        carried = STEPS.get(table.name, ())
        image = [{"key": "parent", "value": entity(table, row, carried)}] if carried else []
        context = self._context(message, table.name, row_id, caller, [{"key": "Target", "value": target}])
        context["PreEntityImages" if message == "Delete" else "PostEntityImages"] = image
        self._open.append(context)

    def note_close(self, message: str, deal_id: str, close: Payload, status: int, caller: Caller) -> None:
        """A deal was won or lost by the action."""
        if "opportunity" in self.steps:
            status_value = {"__type": f"OptionSetValue:{_CONTRACTS}", "Value": status}
            given = [{"key": "OpportunityClose", "value": close}, {"key": "Status", "value": status_value}]
            self._open.append(self._context(message, "opportunity", deal_id, caller, given))

    def mark(self) -> int:
        """How many contexts wait for the commit."""
        return len(self._open)

    def roll_back(self, mark: int) -> None:
        """Forget contexts since the mark."""
        del self._open[mark:]

    def commit(self, now: datetime) -> None:
        """Post what was collected; contexts of one request share their correlation."""
        correlation = str(uuid4())
        for context in self._open:
            stamp = f"/Date({int(now.timestamp() * 1000)}+0000)/"
            operation = {"CorrelationId": correlation, "OperationId": str(uuid4()), "OperationCreatedOn": stamp}
            self.hear(_cut({**context, **operation, "RequestId": correlation}))
        self._open.clear()

    def _context(self, message: str, table: str, row_id: str, caller: Caller, given: list[Payload]) -> Payload:
        return {
            "BusinessUnitId": NOBODY,
            "Depth": 1,
            "InitiatingUserId": caller.user_id,
            "InputParameters": given,
            "IsExecutingOffline": False,
            "IsInTransaction": False,
            "IsolationMode": 1,
            "MessageName": message,
            "Mode": 1,
            "OrganizationId": self.organization_id,
            "OrganizationName": "harbour",
            "OutputParameters": [],
            "OwningExtension": {"__type": f"EntityReference:{_CONTRACTS}", "LogicalName": "sdkmessageprocessingstep"},
            "ParentContext": None,
            "PostEntityImages": [],
            "PreEntityImages": [],
            "PrimaryEntityId": row_id,
            "PrimaryEntityName": table,
            "SecondaryEntityName": "none",
            "SharedVariables": [],
            "Stage": 40,
            "UserId": caller.user_id,
        }


def _cut(context: Payload) -> Payload:
    """The context, without its heavy parts when it is longer than a message may be."""
    if len(json.dumps(context).encode()) <= LONGEST:
        return context
    return {name: value for name, value in context.items() if name not in _DROPPED}


def headers_of(body: bytes) -> dict[str, str]:
    """What the platform says of a message outside its body."""
    context: Payload = json.loads(body)
    told = {
        "x-ms-dynamics-organization": "harbour.crm4.dynamics.com",
        "x-ms-dynamics-entity-name": str(context["PrimaryEntityName"]),
        "x-ms-dynamics-request-name": str(context["MessageName"]),
        "x-ms-correlation-request-id": str(context["CorrelationId"]),
    }
    return told if "InputParameters" in context else {**told, "x-ms-dynamics-msg-size-exceeded": "true"}
