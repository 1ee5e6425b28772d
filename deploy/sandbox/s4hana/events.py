"""Business events as the tenant's integration flow forwards them: CloudEvents that carry keys only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from deploy.sandbox.kit.deliveries import Deliveries

FORWARDED = frozenset({"billingdocument", "journalentry", "product"})
"""Topics bound to the outbound channel of the tenant."""
SOURCE = "/default/sap.s4.beh/S4H100"


def emitter(deliveries: Deliveries) -> Callable[[str, str, Mapping[str, str]], None]:
    """Tells subscribers of an event: object (lower case), `Object.Verb`, keys."""

    def emit(kind: str, event: str, keys: Mapping[str, str]) -> None:
        if deliveries.subscription is None or kind not in FORWARDED:
            return
        deliveries.emit(
            {
                "specversion": "1.0",
                "id": str(uuid4()),
                "source": SOURCE,
                "type": f"sap.s4.beh.{kind}.v1.{event}.v1",
                "datacontenttype": "application/json",
                "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "data": dict(keys),
            }
        )

    return emit
