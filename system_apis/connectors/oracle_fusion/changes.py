"""What changed in the pod since an instant, and pages of it that are read on from their last row."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from shared.errors.taxonomy import FieldFinding, VendorDrift
from shared.outbound import drift, foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.oracle_fusion.client import LARGEST_PAGE, VENDOR, FusionClient, Item, literal
from system_apis.connectors.oracle_fusion.directory import ENTITIES, PRODUCTS
from system_apis.connectors.oracle_fusion.mapping import to_version
from system_apis.connectors.oracle_fusion.payloads import ChangedRow
from system_apis.ports.changes import ChangedEntity, ChangeHint

OVERLAP = timedelta(minutes=2)
"""Oracle stamps a row before the transaction that holds it is over."""
_STAMP = "LastUpdateDate"
_TRANSACTIONS: dict[str, tuple[ChangedEntity, str, tuple[str, ...]]] = {
    "receivablesInvoices": (
        "invoice", "CustomerTransactionId", ("InvoiceStatus", "EnteredAmount", "InvoiceBalanceAmount"),
    ),
    "standardReceipts": ("payment", "StandardReceiptId", ("State", "Status", "Amount")),
}  # fmt: skip


def moment_of(row: dict[str, object]) -> datetime:
    """When a row last changed. Raises VendorDrift."""
    return drift(VENDOR, ChangedRow, row).last_update_date.astimezone(UTC)


async def changed_page(
    client: FusionClient,
    resource: str,
    key: str,
    since: datetime | None,
    cursor: str | None,
    limit: int,
    *,
    expand: str = "",
) -> tuple[list[Item], str | None]:
    """A page by (last change, key), and the cursor of the next: the place of the last row."""
    q = f"{_STAMP} >= {literal(since.astimezone(UTC))}" if since else None
    if cursor:
        at, number = _place(cursor)
        q = f"{_STAMP} > {literal(at)} or ({_STAMP} = {literal(at)} and {key} > {number})"
    items, has_more = await client.page(
        resource, q=q, expand=expand, order=f"{_STAMP}:asc,{key}:asc", limit=min(limit, LARGEST_PAGE)
    )
    if not (has_more and items):
        return items, None
    last = items[-1].row
    if key not in last:
        finding = FieldFinding(key, "is not in the answer")
        raise VendorDrift(f"{VENDOR} answers {resource} without {key}.", findings=[finding])
    return items, pack_cursor({"at": moment_of(last).isoformat(timespec="milliseconds"), "id": last[key]})


def _place(cursor: str) -> tuple[datetime, int]:
    state = unpack_cursor(cursor)
    try:
        return datetime.fromisoformat(str(state["at"])).astimezone(UTC), int(str(state["id"]))
    except (KeyError, ValueError) as error:
        raise foreign_cursor() from error


async def changes(client: FusionClient, since: datetime | None) -> Sequence[ChangeHint]:
    """All hints at or after the instant (less an overlap), oldest first.

    A receipt or invoice is hinted by its id; reference data by its kind, once for all its records.
    """
    start = since - OVERLAP if since else None
    found = await asyncio.gather(
        *(_transactions(client, resource, start) for resource in _TRANSACTIONS),
        _reference(client, "legal_entity", {ENTITIES: "LookupCode"}, start),
        _reference(client, "service_item", {PRODUCTS: "LookupCode", "memoLinesLOV": "MemoLineId"}, start),
        _rates(client, start),
    )
    hints = [hint for group in found for hint in group]
    return sorted(hints, key=lambda hint: (hint.occurred_at is not None and hint.occurred_at.timestamp(), hint.key))


def _since(start: datetime | None) -> str | None:
    return f"{_STAMP} >= {literal(start.astimezone(UTC))}" if start else None


async def _transactions(client: FusionClient, resource: str, start: datetime | None) -> list[ChangeHint]:
    entity, key, content = _TRANSACTIONS[resource]
    rows = await client.rows(resource, q=_since(start), order=f"{_STAMP}:asc,{key}:asc")
    hints: list[ChangeHint] = []
    for row in rows:
        moment = moment_of(row)
        version = to_version(moment.isoformat(), *(row.get(name) for name in content))
        hints.append(
            ChangeHint(
                entity=entity, ref=str(row.get(key)), key=f"{entity}:{row.get(key)}:{version}", occurred_at=moment
            )
        )
    return hints


async def _reference(
    client: FusionClient, kind: str, paths: Mapping[str, str], start: datetime | None
) -> list[ChangeHint]:
    """`paths`: collection → its key, so that no two rows tie in the order they are read in."""
    pages = await asyncio.gather(
        *(client.rows(path, q=_since(start), order=f"{_STAMP}:asc,{key}:asc") for path, key in paths.items())
    )
    return _hinted(kind, [row for rows in pages for row in rows])


async def _rates(client: FusionClient, start: datetime | None) -> list[ChangeHint]:
    """Schedules are few; whether a price's change touches its schedule is not told, so each is asked for its prices."""
    schedules = await client.rows("rateSchedules", order="RateScheduleId")
    pages = await asyncio.gather(
        *(
            client.rows(f"rateSchedules/{row['RateScheduleId']}/child/Rates", q=_since(start), order="RateId")
            for row in schedules
        )
    )
    changed = [row for row in schedules if start is None or moment_of(row) >= start]
    return _hinted("rate_card", [*changed, *(row for rows in pages for row in rows)])


def _hinted(kind: str, rows: Sequence[dict[str, object]]) -> list[ChangeHint]:
    if not rows:
        return []
    latest = max(moment_of(row) for row in rows)
    touched = sorted(str(sorted(map(str, row.values()))) for row in rows if moment_of(row) == latest)
    version = to_version(latest.isoformat(), *touched)
    return [ChangeHint(entity="reference_data", ref=kind, key=f"{kind}:{version}", occurred_at=latest)]
