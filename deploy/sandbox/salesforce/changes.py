"""Change events as change data capture words them, and who hears of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from deploy.sandbox.salesforce.records import Row
from deploy.sandbox.salesforce.schema import SObject
from deploy.sandbox.salesforce.values import to_json

Payload = dict[str, Any]
# The objects an administrator selected for change data capture; five is what an org may select without an add-on.
CAPTURED = frozenset({"Account", "Opportunity", "OpportunityLineItem", "Contract", "Billing_Milestone__c"})
_SYSTEM = {"Id", "IsDeleted", "SystemModstamp"}
# Fields the org adds to every event of an object ("enriched" events), so that a reader finds the parent.
_ENRICHED = {"OpportunityLineItem": ("OpportunityId",), "Billing_Milestone__c": ("Contract__c",)}


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is served: user, client name it gave, API version it asked for."""

    user_id: str
    client: str = ""
    version: str = "60.0"

    @property
    def origin(self) -> str:
        """`changeOrigin` of the events the request causes."""
        base = f"com/salesforce/api/rest/{self.version}"
        return f"{base};client={self.client}" if self.client else base


@dataclass(slots=True)
class ChangeFeed:
    """Collects the events of a request and hands them on when it is committed; drops them when it is rolled back."""

    hear: Callable[[Payload], None]
    gaps: bool = False
    captured: frozenset[str] = CAPTURED
    _replay: count[int] = field(default_factory=lambda: count(1))
    _numbers: count[int] = field(default_factory=lambda: count(10_000))
    _open: list[tuple[str, Payload]] = field(default_factory=list[tuple[str, Payload]])

    def note(self, sobject: SObject, change: str, caller: Caller, row: Row, changed: list[str]) -> None:
        """A row was created, updated or deleted."""
        if sobject.name not in self.captured:
            return
        stamped = row["SystemModstamp"]
        nulled = [name for name in changed if row[name] is None] if change == "UPDATE" else []
        header: Payload = {
            "entityName": sobject.name,
            "recordIds": [row["Id"]],
            "changeType": f"GAP_{change}" if self.gaps else change,
            "changeOrigin": caller.origin,
            "commitTimestamp": round(stamped.timestamp() * 1000) if isinstance(stamped, datetime) else 0,
            "commitNumber": next(self._numbers),
            "commitUser": caller.user_id,
            "nulledFields": [] if self.gaps else nulled,
            "diffFields": [],
            "changedFields": changed if change == "UPDATE" and not self.gaps else [],
        }
        enriched = _ENRICHED.get(sobject.name, ())
        names = [] if self.gaps or change == "DELETE" else changed if change == "UPDATE" else list(sobject.fields)
        names = [*names, *(name for name in enriched if not self.gaps and name not in names)]
        body = {name: to_json(row[name]) for name in names if name not in _SYSTEM}
        if change == "CREATE":
            body = {name: value for name, value in body.items() if value is not None}
        self._open.append((sobject.name, {"ChangeEventHeader": header, **body}))

    def mark(self) -> int:
        """How many events are waiting for the commit."""
        return len(self._open)

    def roll_back(self, mark: int) -> None:
        """Forget events since the mark."""
        del self._open[mark:]

    def commit(self) -> None:
        """Send what was collected; the events of one transaction share its key."""
        key = secrets.token_hex(16)
        for number, (sobject, payload) in enumerate(self._open, 1):
            payload["ChangeEventHeader"] |= {"transactionKey": key, "sequenceNumber": number}
            channel = sobject.removesuffix("__c") + ("__ChangeEvent" if sobject.endswith("__c") else "ChangeEvent")
            event = {"replayId": next(self._replay), "EventApiName": channel}
            data = {"schema": f"schema-{sobject}", "payload": payload, "event": event}
            self.hear({"channel": f"/data/{channel}", "data": data})
        self._open.clear()
