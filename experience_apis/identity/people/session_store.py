"""Sessions of people in PostgreSQL; rows stay in here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, text

from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.store import COLUMNS, person_of
from shared.persistence.database import Database

_SESSION = f"s.id, s.auth_time, s.seen_at, s.ends_at, s.address, s.browser, {COLUMNS}"
_LIVES = """
s.ended_at IS NULL AND s.ends_at > now() AND s.seen_at > now() - make_interval(secs => :idle)
AND p.is_enabled AND p.is_listed
"""
_BEGIN = text("""
INSERT INTO person_sessions (id, cookie_digest, person, auth_time, seen_at, ends_at, address, browser)
VALUES (:id, :cookie_digest, :person, :auth_time, :seen_at, :ends_at, :address, :browser)
""")
_FIND = text(f"""
SELECT {_SESSION} FROM person_sessions s JOIN people p ON p.name = s.person
WHERE s.cookie_digest = :cookie_digest AND {_LIVES}
""")
_SEEN = text("UPDATE person_sessions SET seen_at = now() WHERE id = :id")
_LIST = text(f"""
SELECT {_SESSION} FROM person_sessions s JOIN people p ON p.name = s.person
WHERE s.person = :person AND {_LIVES} ORDER BY s.seen_at DESC LIMIT 200
""")
_END = text("""
UPDATE person_sessions SET ended_at = now(), end_reason = :reason
WHERE id = ANY (:ids) AND ended_at IS NULL RETURNING id
""")
_OF_PERSON = text("SELECT id FROM person_sessions WHERE person = :person AND ended_at IS NULL AND ends_at > now()")
_FORGET_OLD = text("DELETE FROM person_sessions WHERE ends_at < now() - interval '7 days'")


class SessionStore:
    """All sessions."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def begin(self, session: PersonSession, cookie_digest: bytes) -> None:
        """Keep a new session; those that ended a week ago are forgotten."""
        facts = {
            "id": session.id,
            "cookie_digest": cookie_digest,
            "person": session.person.name,
            "auth_time": session.auth_time,
            "seen_at": session.seen_at,
            "ends_at": session.ends_at,
            "address": session.address,
            "browser": session.browser,
        }
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_OLD)
            await connection.execute(_BEGIN, facts)

    async def find(self, cookie_digest: bytes, *, idle: float) -> PersonSession | None:
        """The living session of that cookie whose person is enabled."""
        async with self._database.transaction() as connection:
            facts = {"cookie_digest": cookie_digest, "idle": idle}
            row = (await connection.execute(_FIND, facts)).mappings().first()
        return None if row is None else _session(row)

    async def seen(self, session_id: str) -> None:
        """The person has just used it."""
        async with self._database.transaction() as connection:
            await connection.execute(_SEEN, {"id": session_id})

    async def list_of(self, person: str, *, idle: float) -> Sequence[PersonSession]:
        """The person's living sessions, latest used first."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_LIST, {"person": person, "idle": idle})).mappings().all()
        return tuple(_session(row) for row in rows)

    async def end(self, session_ids: Sequence[str], reason: str) -> Sequence[str]:
        """End those that have not ended yet; answers which."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_END, {"ids": list(session_ids), "reason": reason})).scalars().all()

    async def of_person(self, person: str) -> Sequence[str]:
        """Ids of all sessions of the person that have not ended."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_OF_PERSON, {"person": person})).scalars().all()


def _session(row: RowMapping) -> PersonSession:
    return PersonSession(
        id=row["id"],
        person=person_of(row),
        auth_time=row["auth_time"],
        seen_at=row["seen_at"],
        ends_at=row["ends_at"],
        address=row["address"],
        browser=row["browser"],
    )
