"""What changed in NetSuite since an instant, asked by SuiteQL; hints and ids only, no record is read here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.netsuite.client import LARGEST_PAGE, NetSuiteClient, literal
from system_apis.connectors.netsuite.mapping import MOMENT, from_moment, to_moment, to_version
from system_apis.connectors.netsuite.payloads import ChangedRow
from system_apis.ports.changes import ChangedEntity, ChangeHint

OVERLAP = timedelta(minutes=2)
_REPEATED = timedelta(minutes=61)
_STAMP = "TO_CHAR({column}, 'YYYY-MM-DD HH24:MI:SS') AS modified"
_TRANSACTIONS: dict[str, ChangedEntity] = {"CustPymt": "payment", "CustInvc": "invoice"}
_REFERENCE = {
    "legal_entity": ("subsidiary", "lastmodifieddate"),
    "service_item": ("item", "lastmodifieddate"),
    "rate_card": ("customrecord_tl_rate", "lastmodified"),
}
REFERENCE_KINDS = {
    "subsidiary": "legal_entity",
    "servicesaleitem": "service_item",
    "billingratecard": "rate_card",
    "customrecord_tl_rate": "rate_card",
}
"""Record type (lower case) of a change notice → the reference data it belongs to."""


def since_clause(column: str, since: datetime | None, zone: ZoneInfo) -> str:
    """The condition for changes at or after an instant.

    The account's clock shows one hour twice when daylight saving ends: from an instant in it, the whole hour is asked.
    """
    if since is None:
        return f"{column} IS NOT NULL"
    shown = since.astimezone(zone)
    if shown.replace(fold=0).utcoffset() != shown.replace(fold=1).utcoffset():
        shown -= _REPEATED  # by the clock on the wall, as the two hours have the same times
    return f"{column} >= TO_DATE({literal(from_moment(shown, zone))}, 'YYYY-MM-DD HH24:MI:SS')"


async def changes(client: NetSuiteClient, since: datetime | None, zone: ZoneInfo) -> Sequence[ChangeHint]:
    """All hints at or after the instant (less an overlap), oldest first.

    A payment or invoice is hinted by its internal id; reference data by its kind, once for all its records.
    """
    start = since - OVERLAP if since else None
    found = await asyncio.gather(
        _transactions(client, start, zone), *(_reference(client, kind, start, zone) for kind in _REFERENCE)
    )
    hints = [hint for group in found for hint in group]
    return sorted(hints, key=lambda hint: (hint.occurred_at is not None and hint.occurred_at.timestamp(), hint.key))


async def changed_page(
    client: NetSuiteClient,
    kind: str,
    since: datetime | None,
    cursor: str | None,
    limit: int,
    zone: ZoneInfo,
    *,
    needed: Iterable[str] = (),
) -> tuple[list[ChangedRow], str | None]:
    """A page of transaction ids by (last change, id), and the cursor of the next: the place of the last row.

    `needed` columns are asked for as well, for a query refuses one that is gone; a record only leaves it out, as it
    does an empty one.
    """
    after = since_clause("lastmodifieddate", since, zone)
    if cursor:
        stamp, number = _place(cursor)
        moment = f"TO_DATE({literal(stamp)}, 'YYYY-MM-DD HH24:MI:SS')"
        after = f"(lastmodifieddate > {moment} OR (lastmodifieddate = {moment} AND id > {number}))"
    columns = ", ".join(("id", _STAMP.format(column="lastmodifieddate"), *needed))
    query = f"SELECT {columns} FROM transaction WHERE type = {literal(kind)} AND {after} ORDER BY lastmodifieddate, id"
    rows, page = await client.page(query, ChangedRow, limit=min(limit, LARGEST_PAGE))
    return rows, pack_cursor({"at": rows[-1].modified, "id": rows[-1].id}) if page.has_more and rows else None


def _place(cursor: str) -> tuple[str, int]:
    state = unpack_cursor(cursor)
    try:
        stamp = datetime.strptime(str(state["at"]), MOMENT).strftime(MOMENT)  # noqa: DTZ007 - the account's wall time
        return stamp, int(str(state["id"]))
    except (KeyError, ValueError) as error:
        raise foreign_cursor() from error


async def _transactions(client: NetSuiteClient, since: datetime | None, zone: ZoneInfo) -> list[ChangeHint]:
    types = ", ".join(literal(name) for name in _TRANSACTIONS)
    rows = await client.rows(
        f"SELECT id, type, {_STAMP.format(column='lastmodifieddate')}, foreigntotal AS total, "
        f"foreignamountpaid AS paid, status FROM transaction WHERE type IN ({types}) "
        f"AND {since_clause('lastmodifieddate', since, zone)}",
        ChangedRow,
    )
    return [
        ChangeHint(
            entity=_TRANSACTIONS[row.type or ""],
            ref=row.id,
            key=f"{row.type}:{row.id}:{to_version(row.modified, row.total, row.paid, row.status)}",
            occurred_at=to_moment(row.modified, zone),
        )
        for row in rows
    ]


async def _reference(client: NetSuiteClient, kind: str, since: datetime | None, zone: ZoneInfo) -> list[ChangeHint]:
    table, column = _REFERENCE[kind]
    rows = await client.rows(
        f"SELECT id, {_STAMP.format(column=column)} FROM {table} WHERE {since_clause(column, since, zone)}",
        ChangedRow,
    )
    if not rows:
        return []
    latest = max(row.modified for row in rows)
    touched = [row.id for row in rows if row.modified == latest]
    return [
        ChangeHint(
            entity="reference_data",
            ref=kind,
            key=f"{kind}:{to_version(latest, *touched)}",
            occurred_at=to_moment(latest, zone),
        )
    ]
