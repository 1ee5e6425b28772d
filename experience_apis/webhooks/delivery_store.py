"""Rows of messages, deliveries and attempts: told once to each endpoint that may hear, taken in hand by one replica."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import RowMapping, text

from experience_apis.desk.sealing import TextSeal
from experience_apis.webhooks.records import Attempt, Delivery, DeliveryState, Due, Message, Outcome, Owner
from shared.errors.taxonomy import Conflict, NotFound
from shared.persistence import Database, Inbox

CONSUMER: Final = "experience-webhooks"
_PER_ENDPOINT: Final = 2
_ADD_MESSAGE = text("""
    INSERT INTO webhook_messages (message_id, tenant, event_type, customer_id, body, occurred_at)
    VALUES (:message_id, :tenant, :event_type, :customer_id, :body, :occurred_at) ON CONFLICT DO NOTHING
""")
_FAN_OUT = text("""
    INSERT INTO webhook_deliveries (delivery_id, endpoint_id, message_id)
    SELECT 'wdl_' || replace(gen_random_uuid()::text, '-', ''), e.endpoint_id, :message_id
    FROM webhook_endpoints e
    LEFT JOIN oauth_clients c USING (client_id) LEFT JOIN people p ON p.tenant = e.tenant AND p.subject = e.owner
    -- what a client or a person was given to hear ends with them
    WHERE c.is_enabled IS NOT FALSE AND p.is_enabled IS NOT FALSE
      AND e.tenant = :tenant AND e.state = 'active' AND :event_type = ANY(e.event_types)
      AND (e.customers IS NULL OR :customer_id = ANY(e.customers))
    ON CONFLICT DO NOTHING
""")
_ADD_ONE = text("""
    INSERT INTO webhook_deliveries (delivery_id, endpoint_id, message_id, round)
    SELECT :delivery_id, :endpoint_id, :message_id, coalesce(max(round), 0) + 1
    FROM webhook_deliveries WHERE endpoint_id = :endpoint_id AND message_id = :message_id
    RETURNING delivery_id
""")
# A few deliveries of each endpoint at a time: a slow receiver holds up nobody else's.
_TAKE = text(f"""
    UPDATE webhook_deliveries d SET leased_until = now() + make_interval(secs => :lease), attempts = d.attempts + 1
    FROM webhook_endpoints e, webhook_messages m
    WHERE d.delivery_id IN (
        SELECT w.delivery_id FROM webhook_deliveries w JOIN (
            SELECT x.delivery_id, row_number() OVER (PARTITION BY x.endpoint_id ORDER BY x.next_at, x.position) place,
                   (SELECT count(*) FROM webhook_deliveries h WHERE h.endpoint_id = x.endpoint_id
                    AND h.state = 'pending' AND h.leased_until > now()) AS in_hand
            FROM webhook_deliveries x JOIN webhook_endpoints y USING (endpoint_id)
            WHERE x.state = 'pending' AND x.next_at <= now() AND y.state = 'active'
              AND (x.leased_until IS NULL OR x.leased_until <= now())
        ) ranked USING (delivery_id)
        WHERE ranked.place <= {_PER_ENDPOINT} - ranked.in_hand
        ORDER BY w.next_at LIMIT :limit FOR UPDATE OF w SKIP LOCKED)
      AND e.endpoint_id = d.endpoint_id AND m.message_id = d.message_id
    RETURNING d.delivery_id, d.endpoint_id, e.url, m.message_id, m.body, d.attempts,
        (SELECT array_agg(s.sealed ORDER BY s.created_at DESC) FROM webhook_secrets s
         WHERE s.endpoint_id = d.endpoint_id AND (s.expires_at IS NULL OR s.expires_at > now())) AS sealed
""")
_SETTLE = text("""
    UPDATE webhook_deliveries SET state = :state, next_at = :next_at, leased_until = NULL, last_status = :status,
        last_error = :error, last_attempt_at = now(),
        delivered_at = CASE WHEN :state = 'delivered' THEN now() END
    WHERE delivery_id = :delivery_id AND state = 'pending' AND attempts = :number
""")
_NOTE = text("""
    INSERT INTO webhook_attempts (delivery_id, number, status, ms, error, answer)
    SELECT :delivery_id, :number, :status, :ms, :error, :answer
    WHERE EXISTS (SELECT 1 FROM webhook_deliveries WHERE delivery_id = :delivery_id) ON CONFLICT DO NOTHING
""")
_WELL = text("UPDATE webhook_endpoints SET failing_since = NULL WHERE endpoint_id = :id AND failing_since IS NOT NULL")
_ILL = text("""
    UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, now()) WHERE endpoint_id = :id
    RETURNING failing_since
""")
_HOLD = text("SELECT FROM webhook_endpoints WHERE endpoint_id = :id FOR NO KEY UPDATE")
_DISABLE = text("""
    UPDATE webhook_endpoints SET state = 'disabled', disabled_because = :because, version = version + 1,
        changed_at = now()
    WHERE endpoint_id = :id AND state <> 'disabled'
""")
_DROP = text("""
    UPDATE webhook_deliveries SET state = 'dropped', next_at = NULL, leased_until = NULL
    WHERE endpoint_id = :id AND state = 'pending'
""")
_COLUMNS = """d.delivery_id, d.position, d.message_id, m.event_type, d.round, d.state, d.attempts, d.next_at,
    d.last_status, d.last_error, d.last_attempt_at, d.delivered_at, d.created_at"""
_OF_OWNER = """FROM webhook_deliveries d JOIN webhook_messages m USING (message_id)
    JOIN webhook_endpoints e USING (endpoint_id)
    WHERE e.tenant = :tenant AND e.owner = :owner AND e.endpoint_id = :endpoint_id"""
_LIST = text(f"""
    SELECT {_COLUMNS} {_OF_OWNER} AND (CAST(:state AS text) IS NULL OR d.state = :state)
      AND (CAST(:before AS bigint) IS NULL OR d.position < :before)
    ORDER BY d.position DESC LIMIT :limit
""")
_GET = text(f"SELECT {_COLUMNS} {_OF_OWNER} AND d.delivery_id = :delivery_id")
_ATTEMPTS = text("""
    SELECT number, attempted_at, status, ms, error, answer FROM webhook_attempts
    WHERE delivery_id = :id ORDER BY number
""")
# What an endpoint missed: facts it would have heard of, none of whose rounds was taken or is still under way.
_RECOVER = text("""
    INSERT INTO webhook_deliveries (delivery_id, endpoint_id, message_id, round)
    SELECT 'wdl_' || replace(gen_random_uuid()::text, '-', ''), e.endpoint_id, m.message_id,
           coalesce((SELECT max(round) FROM webhook_deliveries r
                     WHERE r.endpoint_id = e.endpoint_id AND r.message_id = m.message_id), 0) + 1
    FROM webhook_endpoints e JOIN webhook_messages m ON m.tenant = e.tenant
    WHERE e.tenant = :tenant AND e.owner = :owner AND e.endpoint_id = :endpoint_id
      AND m.occurred_at >= :since AND m.occurred_at < :until AND m.event_type = ANY(e.event_types)
      AND (e.customers IS NULL OR m.customer_id = ANY(e.customers))
      AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o WHERE o.endpoint_id = e.endpoint_id
                      AND o.message_id = m.message_id AND o.state IN ('pending', 'delivered'))
    ORDER BY m.occurred_at LIMIT :most
    ON CONFLICT DO NOTHING
""")
_FORGET = text("""
    DELETE FROM webhook_messages m WHERE m.created_at < :before
      AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.message_id = m.message_id AND d.state = 'pending')
""")
_FORGET_DELIVERIES = text("DELETE FROM webhook_deliveries WHERE created_at < :before AND state <> 'pending'")


class DeliveryStore:
    """Deliveries of the tier's database."""

    def __init__(self, database: Database, seal: TextSeal) -> None:
        """`seal` opens the secrets of whatever is taken in hand."""
        self._database = database
        self._seal = seal
        self._inbox = Inbox()

    async def spread(self, event_key: str, message: Message) -> int:
        """Owe the message to every endpoint that may hear it; how many. Repeat: none."""
        facts: dict[str, Any] = {
            "message_id": message.message_id,
            "tenant": message.tenant,
            "event_type": message.event_type,
            "customer_id": message.customer_id,
        }
        async with self._database.transaction() as conn:
            if not await self._inbox.accept(conn, CONSUMER, event_key):
                return 0
            await conn.execute(_ADD_MESSAGE, {**facts, "body": message.body, "occurred_at": message.occurred_at})
            return (await conn.execute(_FAN_OUT, facts)).rowcount

    async def owe(self, endpoint_id: str, message: Message) -> str:
        """Owe one endpoint a message of its own; the delivery's id."""
        facts = {
            "message_id": message.message_id,
            "tenant": message.tenant,
            "event_type": message.event_type,
            "customer_id": message.customer_id,
            "body": message.body,
            "occurred_at": message.occurred_at,
        }
        async with self._database.transaction() as conn:
            await conn.execute(_ADD_MESSAGE, facts)
            added = {"delivery_id": _new_id(), "endpoint_id": endpoint_id, "message_id": message.message_id}
            return str((await conn.execute(_ADD_ONE, added)).scalar_one())

    async def take(self, limit: int, lease: timedelta) -> Sequence[Due]:
        """Take what is due in hand; nobody else does before the lease ends."""
        async with self._database.transaction() as conn:
            rows = (await conn.execute(_TAKE, {"limit": limit, "lease": lease.total_seconds()})).mappings().all()
        return [
            Due(
                delivery_id=row["delivery_id"],
                endpoint_id=row["endpoint_id"],
                url=row["url"],
                message_id=row["message_id"],
                body=row["body"],
                attempts=row["attempts"],
                keys=tuple(self._seal.opened(sealed) for sealed in row["sealed"] or ()),
            )
            for row in rows
        ]

    async def settle(self, due: Due, outcome: Outcome) -> None:
        """Record an attempt and what follows. Repeat, or another attempt having begun: nothing more."""
        facts = {
            "delivery_id": due.delivery_id,
            "number": due.attempts,
            "status": outcome.status,
            "error": outcome.error,
        }
        async with self._database.transaction() as conn:
            # The endpoint before its deliveries: attempts that end together never wait for each other in a circle.
            if outcome.state is DeliveryState.DELIVERED:
                await conn.execute(_WELL, {"id": due.endpoint_id})
            if outcome.disable_because is not None:
                await conn.execute(_HOLD, {"id": due.endpoint_id})
            await conn.execute(_NOTE, {**facts, "ms": outcome.ms, "answer": outcome.answer})
            moved = await conn.execute(_SETTLE, {**facts, "state": outcome.state.value, "next_at": outcome.next_at})
            if outcome.disable_because is not None and moved.rowcount:
                await conn.execute(_DISABLE, {"id": due.endpoint_id, "because": outcome.disable_because})
                await conn.execute(_DROP, {"id": due.endpoint_id})

    async def failing_since(self, endpoint_id: str) -> datetime:
        """Note that the endpoint took nothing; since when that is so."""
        async with self._database.transaction() as conn:
            found = (await conn.execute(_ILL, {"id": endpoint_id})).scalar_one_or_none()
        return found or datetime.now(UTC)

    async def list_page(
        self, owner: Owner, endpoint_id: str, *, state: DeliveryState | None, before: int | None, limit: int
    ) -> tuple[Sequence[Delivery], str | None]:
        """Deliveries of an endpoint, newest first, and where to read on."""
        bound = {
            **_scope(owner, endpoint_id),
            "state": state.value if state else None,
            "before": before,
            "limit": limit + 1,
        }
        async with self._database.transaction() as conn:
            rows = (await conn.execute(_LIST, bound)).mappings().all()
        found = [_delivery(row) for row in rows[:limit]]
        return found, str(found[-1].position) if len(rows) > limit else None

    async def get(self, owner: Owner, endpoint_id: str, delivery_id: str) -> tuple[Delivery, Sequence[Attempt]]:
        """One delivery and its attempts. Raises NotFound."""
        bound = {**_scope(owner, endpoint_id), "delivery_id": delivery_id}
        async with self._database.transaction() as conn:
            row = (await conn.execute(_GET, bound)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no delivery {delivery_id}.")
            tried = (await conn.execute(_ATTEMPTS, {"id": delivery_id})).mappings().all()
        return _delivery(row), [Attempt(**dict(one)) for one in tried]

    async def again(self, owner: Owner, endpoint_id: str, delivery_id: str) -> str:
        """Owe the same message once more; the new delivery's id. Raises NotFound, Conflict while one is under way."""
        bound = {**_scope(owner, endpoint_id), "delivery_id": delivery_id}
        async with self._database.transaction() as conn:
            row = (await conn.execute(_GET, bound)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"There is no delivery {delivery_id}.")
            if row["state"] == DeliveryState.PENDING:
                raise Conflict("This delivery is still under way.")
            added = {"delivery_id": _new_id(), "endpoint_id": endpoint_id, "message_id": row["message_id"]}
            return str((await conn.execute(_ADD_ONE, added)).scalar_one())

    async def recover(self, owner: Owner, endpoint_id: str, since: datetime, until: datetime, most: int) -> int:
        """Owe everything of that time the endpoint has not taken; how many. Repeat: those are under way, so none."""
        bound = {**_scope(owner, endpoint_id), "since": since, "until": until, "most": most}
        async with self._database.transaction() as conn:
            return (await conn.execute(_RECOVER, bound)).rowcount

    async def forget_before(self, moment: datetime) -> int:
        """Forget messages and settled deliveries older than that; how many messages."""
        async with self._database.transaction() as conn:
            await conn.execute(_FORGET_DELIVERIES, {"before": moment})
            return (await conn.execute(_FORGET, {"before": moment})).rowcount


def _scope(owner: Owner, endpoint_id: str) -> dict[str, Any]:
    return {"tenant": owner.tenant, "owner": owner.subject, "endpoint_id": endpoint_id}


def _new_id() -> str:
    return f"wdl_{uuid.uuid4().hex}"


def _delivery(row: RowMapping) -> Delivery:
    facts: dict[str, Any] = dict(row)
    facts["state"] = DeliveryState(facts["state"])
    return Delivery(**facts)
