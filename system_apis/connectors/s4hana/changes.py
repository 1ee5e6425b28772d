"""What changed in S/4HANA since an instant; hints only, no record is read whole here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from shared.outbound import drift
from system_apis.connectors.s4hana.client import (
    BILLING,
    ENTITIES,
    LEDGER,
    PRODUCTS,
    RATES,
    Query,
    S4Client,
    moment_literal,
)
from system_apis.connectors.s4hana.directory import VENDOR, selected
from system_apis.connectors.s4hana.mapping import payment_ref, to_version
from system_apis.connectors.s4hana.payloads import InvoiceRow, LineRow, Moment, Payload
from system_apis.connectors.s4hana.payments import instant
from system_apis.connectors.s4hana.receivables import PAYMENTS
from system_apis.fields import FieldMap
from system_apis.ports.changes import ChangeHint

OVERLAP = timedelta(minutes=2)
REFERENCE = {
    "legal_entity": (ENTITIES, "SAP_LastChangedDateTime", "SAP_UUID"),
    "service_item": (PRODUCTS, "LastChangeDateTime", "Product"),
    "rate_card": (RATES, "SAP_LastChangedDateTime", "SAP_UUID"),
}
"""Kind of reference data → its service, the field that tells the change, the key."""


class _Row(Payload):
    """A row of reference data and when it last changed."""

    modified: Moment = Field(alias="SAP_LastChangedDateTime")
    ref: str = Field(alias="SAP_UUID")


async def changes(client: S4Client, fields: FieldMap, since: datetime | None) -> Sequence[ChangeHint]:
    """All hints at or after the instant (less an overlap), oldest first.

    A payment or invoice is hinted by its reference, reference data by its kind, once for all its records.
    """
    start = since - OVERLAP if since else None
    found = await asyncio.gather(
        _payments(client, fields, start),
        _invoices(client, fields, start),
        *(_reference(client, fields, kind, start) for kind in REFERENCE),
    )
    hints = [hint for group in found for hint in group]
    return sorted(hints, key=lambda hint: (hint.occurred_at is not None and hint.occurred_at.timestamp(), hint.key))


def _since(start: datetime | None, field: str = "LastChangeDateTime") -> str:
    return "" if start is None else f"{field} ge {moment_literal(instant(start))}"


async def _payments(client: S4Client, fields: FieldMap, start: datetime | None) -> list[ChangeHint]:
    where = " and ".join(part for part in (PAYMENTS, _since(start)) if part)
    query = Query(where=where, select=selected(LineRow, fields["payment"]), order="LastChangeDateTime")
    latest: dict[str, datetime] = {}
    for row in await client.rows(LEDGER, fields["payment"].object, query):
        line = drift(VENDOR, LineRow, fields["payment"].take(row))
        latest[payment_ref(line)] = max(line.modified, latest.get(payment_ref(line), line.modified))
    return [
        ChangeHint("payment", ref, f"payment:{ref}:{to_version(moment, ref)}", moment) for ref, moment in latest.items()
    ]


async def _invoices(client: S4Client, fields: FieldMap, start: datetime | None) -> list[ChangeHint]:
    where = " and ".join(part for part in ("CancelledBillingDocument eq ''", _since(start)) if part)
    query = Query(where=where, select=selected(InvoiceRow, fields["invoice"]), order="LastChangeDateTime")
    hints: list[ChangeHint] = []
    for found in await client.rows(BILLING, fields["invoice"].object, query):
        row = drift(VENDOR, InvoiceRow, fields["invoice"].take(found))
        version = to_version(row.modified, row.net, row.tax, row.gross, row.is_cancelled)
        hints.append(ChangeHint("invoice", row.document, f"invoice:{row.document}:{version}", row.modified))
    return hints


async def _reference(client: S4Client, fields: FieldMap, kind: str, start: datetime | None) -> list[ChangeHint]:
    service, stamp, key = REFERENCE[kind]
    query = Query(where=_since(start, stamp), select=(key, stamp), order=stamp)
    rows = [
        drift(VENDOR, _Row, {"SAP_LastChangedDateTime": row.get(stamp), "SAP_UUID": row.get(key)})
        for row in await client.rows(service, fields[kind].object, query)
    ]
    if not rows:
        return []
    latest = max(row.modified for row in rows)
    touched = sorted(row.ref for row in rows if row.modified == latest)
    return [ChangeHint("reference_data", kind, f"{kind}:{to_version(latest, *touched)}", latest)]
