"""Exception items, what was done about them, and remedies; wakes are recorded before they are sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.exceptions.models import Item, ItemState, Parking, Remedy, Waiting
from shared.errors.taxonomy import Conflict, NotFound

_COLUMNS = """tenant, id, process, subject_id, run_id, title, findings, owner_role, region, state, assigned_to,
    opened_at, due_at, changed_at, closed_at, times_checked, position"""
_PARK = text("""
    INSERT INTO exception_items (tenant, id, process, subject_id, run_id, topic, title, findings, codes, owner_role,
                                 region, due_at)
    VALUES (:tenant, :id, :process, :subject_id, :run_id, :topic, :title, CAST(:findings AS jsonb), :codes,
            :owner_role, :region, now() + make_interval(hours => :due_in_hours))
    ON CONFLICT (tenant, run_id) WHERE state = 'open' DO UPDATE
    SET title = excluded.title, findings = excluded.findings, codes = excluded.codes, topic = excluded.topic,
        owner_role = excluded.owner_role, changed_at = now(), times_checked = exception_items.times_checked + 1
""")
_CHECKING = text(
    "UPDATE exception_items SET woken_at = now() WHERE tenant = :tenant AND run_id = :run_id AND state = 'open'"
)
_CLOSE = text("""
    UPDATE exception_items SET state = :state, closed_at = now(), changed_at = now(), woken_at = now()
    WHERE tenant = :tenant AND run_id = :run_id AND state = 'open'
    RETURNING id
""")
_ACT = text("""
    INSERT INTO exception_acts (tenant, item_id, act, who, note) VALUES (:tenant, :item_id, :act, :who, :note)
""")
_WAKE = """
    UPDATE exception_items SET wake_requested_at = now(), wake_because = :because
    WHERE tenant = :tenant AND state = 'open' AND (wake_requested_at IS NULL OR wake_requested_at <= woken_at)
      AND {which}
    RETURNING tenant, id AS item_id, run_id, topic, wake_because AS because
"""
_WAKE_ITEM = text(_WAKE.format(which="id = :id"))
_WAKE_SUBJECTS = text(_WAKE.format(which="subject_id = ANY(:subjects)"))
_WAKE_CODES = text(_WAKE.format(which="codes && CAST(:codes AS text[])"))
_UNSENT = text("""
    SELECT tenant, id AS item_id, run_id, topic, wake_because AS because FROM exception_items
    WHERE state = 'open' AND wake_requested_at > coalesce(woken_at, '-infinity')
      AND wake_requested_at < now() - make_interval(secs => :older_than)
    ORDER BY wake_requested_at LIMIT 500
""")
_ASSIGN = text("""
    UPDATE exception_items SET assigned_to = :assignee, changed_at = now()
    WHERE tenant = :tenant AND id = :id AND state = 'open'
""")
_GET = text(f"SELECT {_COLUMNS} FROM exception_items WHERE tenant = :tenant AND id = :id")
_OF_SUBJECT = text(
    f"SELECT {_COLUMNS} FROM exception_items WHERE tenant = :tenant AND subject_id = :subject ORDER BY position"
)
_LIST = text(f"""
    SELECT {_COLUMNS} FROM exception_items
    WHERE tenant = :tenant AND position > :after AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:code AS text) IS NULL OR :code = ANY(codes))
    ORDER BY position LIMIT :limit
""")
_REMEDY = text("""
    INSERT INTO remedies (tenant, kind, subject, value, supplied_by) VALUES (:tenant, :kind, :subject, :value, :who)
    ON CONFLICT (tenant, kind, subject) DO UPDATE
    SET value = excluded.value, supplied_by = excluded.supplied_by, supplied_at = now()
""")
_ALIASES = text("SELECT subject, value FROM remedies WHERE tenant = :tenant AND kind = 'product_alias'")


class Exceptions:
    """Parks, wakes and resolves, always within the caller's transaction."""

    async def park(self, conn: AsyncConnection, parking: Parking) -> str:
        """Open the run's item or bring it up to date; its id. Repeat: the same item, its findings replaced."""
        codes = sorted({finding.code for finding in parking.findings})
        item_id = _item_id(parking.tenant, parking.run_id, await self._closed_before(conn, parking))
        await conn.execute(
            _PARK,
            {
                **parking.model_dump(exclude={"findings"}),
                "id": item_id,
                "findings": json.dumps([finding.model_dump(mode="json") for finding in parking.findings]),
                "codes": codes,
                "owner_role": parking.findings[0].owner.value,
            },
        )
        return item_id

    async def checking(self, conn: AsyncConnection, tenant: str, run_id: str) -> None:
        """The run reads its sources afresh: wakes asked for up to now are answered by it."""
        await conn.execute(_CHECKING, {"tenant": tenant, "run_id": run_id})

    async def resolve(self, conn: AsyncConnection, tenant: str, run_id: str, *, how: str) -> None:
        """Nothing stands in the run's way any more. Repeat: nothing more."""
        await self._close(conn, tenant, run_id, ItemState.RESOLVED, how)

    async def drop(self, conn: AsyncConnection, tenant: str, run_id: str, *, why: str) -> None:
        """The run has ended without the findings being resolved. Repeat: nothing more."""
        await self._close(conn, tenant, run_id, ItemState.CANCELLED, why)

    async def wake_item(
        self, conn: AsyncConnection, tenant: str, item_id: str, *, who: str, because: str
    ) -> list[Waiting]:
        """Somebody asks for another try; whom to notify (none when that is under way). Raises NotFound, Conflict."""
        item = await self.get(conn, tenant, item_id)
        if item.state is not ItemState.OPEN:
            raise Conflict(f"This exception is {item.state}.")
        await conn.execute(_ACT, {"tenant": tenant, "item_id": item_id, "act": "retry", "who": who, "note": because})
        return await self._wake(conn, _WAKE_ITEM, tenant, because, id=item_id)

    async def wake_subjects(
        self, conn: AsyncConnection, tenant: str, subjects: Sequence[str], *, because: str
    ) -> list[Waiting]:
        """Something about these opportunities changed; whom to notify."""
        return await self._wake(conn, _WAKE_SUBJECTS, tenant, because, subjects=list(subjects))

    async def wake_codes(
        self, conn: AsyncConnection, tenant: str, codes: Sequence[str], *, because: str
    ) -> list[Waiting]:
        """Something that may clear findings of these codes changed; whom to notify."""
        return await self._wake(conn, _WAKE_CODES, tenant, because, codes=list(codes))

    async def unsent(self, conn: AsyncConnection, *, older_than: float) -> list[Waiting]:
        """Wakes asked for whose run has not looked since, because a process died in between; age in seconds."""
        rows = await conn.execute(_UNSENT, {"older_than": older_than})
        return [Waiting.model_validate(dict(row)) for row in rows.mappings()]

    async def sent(self, conn: AsyncConnection, waiting: Waiting) -> None:
        """The run has a message about the wake. Repeat: nothing more."""
        await self.checking(conn, waiting.tenant, waiting.run_id)

    async def assign(self, conn: AsyncConnection, tenant: str, item_id: str, *, assignee: str, who: str) -> Item:
        """Give the item to somebody. Raises NotFound, Conflict."""
        item = await self.get(conn, tenant, item_id)
        if item.state is not ItemState.OPEN:
            raise Conflict(f"This exception is {item.state}.")
        await conn.execute(_ASSIGN, {"tenant": tenant, "id": item_id, "assignee": assignee})
        await conn.execute(_ACT, {"tenant": tenant, "item_id": item_id, "act": "assign", "who": who, "note": assignee})
        return await self.get(conn, tenant, item_id)

    async def supply(self, conn: AsyncConnection, tenant: str, remedy: Remedy, *, who: str) -> list[Waiting]:
        """Keep a remedy; the parked runs it may help. Repeat: the latest value counts."""
        await conn.execute(_REMEDY, {"tenant": tenant, **remedy.model_dump(), "who": who})
        because = f"{remedy.subject} was mapped to {remedy.value} by {who}."
        return await self.wake_codes(conn, tenant, ["service_code_unmapped"], because=because)

    async def product_aliases(self, conn: AsyncConnection, tenant: str) -> dict[str, str]:
        """Product code as sold → product code it means."""
        rows = await conn.execute(_ALIASES, {"tenant": tenant})
        return {row.subject: row.value for row in rows}

    async def get(self, conn: AsyncConnection, tenant: str, item_id: str) -> Item:
        """One item. Raises NotFound."""
        row = (await conn.execute(_GET, {"tenant": tenant, "id": item_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no exception {item_id}.")
        return _item(dict(row))

    async def of_subject(self, conn: AsyncConnection, tenant: str, subject_id: str) -> list[Item]:
        """All items of one opportunity, oldest first."""
        rows = await conn.execute(_OF_SUBJECT, {"tenant": tenant, "subject": subject_id})
        return [_item(dict(row)) for row in rows.mappings()]

    async def list_page(
        self, conn: AsyncConnection, tenant: str, *, state: ItemState | None, code: str | None, after: int, limit: int
    ) -> tuple[list[Item], int | None]:
        """A page in the order of opening, and the position to read on after."""
        bound = {"tenant": tenant, "state": state.value if state else None, "code": code, "after": after}
        rows = await conn.execute(_LIST, {**bound, "limit": limit + 1})
        found = [dict(row) for row in rows.mappings()]
        following = found[limit - 1]["position"] if len(found) > limit else None
        return [_item(row) for row in found[:limit]], following

    async def _wake(self, conn: AsyncConnection, which: Any, tenant: str, because: str, **bound: Any) -> list[Waiting]:
        rows = await conn.execute(which, {"tenant": tenant, "because": because, **bound})
        return [Waiting.model_validate(dict(row)) for row in rows.mappings()]

    async def _close(self, conn: AsyncConnection, tenant: str, run_id: str, state: ItemState, note: str) -> None:
        rows = await conn.execute(_CLOSE, {"tenant": tenant, "run_id": run_id, "state": state.value})
        for row in rows:
            facts = {"tenant": tenant, "item_id": row.id, "act": state.value, "who": "throughline", "note": note}
            await conn.execute(_ACT, facts)

    async def _closed_before(self, conn: AsyncConnection, parking: Parking) -> int:
        counted = await conn.execute(
            text(
                "SELECT count(*) FROM exception_items WHERE tenant = :tenant AND run_id = :run_id AND state <> 'open'"
            ),
            {"tenant": parking.tenant, "run_id": parking.run_id},
        )
        return int(counted.scalar_one())


def _item_id(tenant: str, run_id: str, number: int) -> str:
    return f"exc_{hashlib.sha256(f'{tenant}|{run_id}|{number}'.encode()).hexdigest()[:20]}"


def _item(row: dict[str, Any]) -> Item:
    row.pop("position")
    return Item(**row, is_overdue=row["state"] == ItemState.OPEN and row["due_at"] < datetime.now(UTC))
