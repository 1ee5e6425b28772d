"""People and their failed logins in PostgreSQL; rows stay in here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text

from experience_apis.identity.people.records import Person
from shared.persistence.database import Database

COLUMNS = """
p.name, p.subject, p.tenant, p.full_name, p.email, p.roles, p.customers, p.language, p.password_hash, p.seeded_hash,
p.must_change_password, p.is_enabled AND p.is_listed AS is_enabled
"""
_FIND = text(f"SELECT {COLUMNS} FROM people p WHERE p.name = :name")
_OF_SUBJECT = text(f"SELECT {COLUMNS} FROM people p WHERE p.tenant = :tenant AND p.subject = :subject")
_LIST = text(f"""
SELECT {COLUMNS} FROM people p WHERE CAST(:tenant AS text) IS NULL OR p.tenant = :tenant ORDER BY p.name
""")
_ADD = text("""
INSERT INTO people (name, subject, tenant, full_name, email, roles, customers, language, password_hash,
                    must_change_password)
VALUES (:name, :subject, :tenant, :full_name, :email, :roles, :customers, :language, :password_hash,
        :must_change_password)
ON CONFLICT DO NOTHING
""")
_UNLIST = text("""
UPDATE people SET is_listed = false, changed_at = now() WHERE is_from_file AND is_listed AND NOT name = ANY (:kept)
""")
_ENROL = text("""
INSERT INTO people AS p
       (name, subject, tenant, full_name, email, roles, customers, language, password_hash, seeded_hash,
        must_change_password, is_from_file)
VALUES (:name, :subject, :tenant, :full_name, :email, :roles, :customers, :language, :password_hash, :seeded_hash,
        :must_change_password, true)
ON CONFLICT (name) DO UPDATE
SET subject = excluded.subject, tenant = excluded.tenant, full_name = excluded.full_name, email = excluded.email,
    roles = excluded.roles, customers = excluded.customers, language = coalesce(p.language, excluded.language),
    password_hash = excluded.password_hash, seeded_hash = excluded.seeded_hash,
    must_change_password = excluded.must_change_password,
    is_from_file = true, is_listed = true, changed_at = now()
""")
_SET_PASSWORD = text("""
UPDATE people SET password_hash = :password_hash, must_change_password = :must_change, password_changed_at = now(),
                  changed_at = now()
WHERE name = :name
""")
_SET_ENABLED = text("UPDATE people SET is_enabled = :is_enabled, changed_at = now() WHERE name = :name")
# The wait doubles with every failure beyond the free ones. Rows older than a day count as new.
_TAKE = text("""
INSERT INTO login_failures AS f (kind, digest, failures, next_at, failed_at)
VALUES (:kind, :digest, 1, now(), now())
ON CONFLICT (kind, digest) DO UPDATE
SET failures = CASE WHEN f.failed_at < now() - interval '1 day' THEN 1 ELSE f.failures + 1 END,
    failed_at = now(),
    next_at = CASE WHEN f.failed_at < now() - interval '1 day' OR f.failures + 1 < :free THEN now()
                   ELSE now() + make_interval(secs => least(:longest, power(2, least(f.failures + 1 - :free, 30))))
              END
WHERE f.next_at <= now()
RETURNING failures
""")
_WAIT = text("""
SELECT extract(epoch FROM next_at - now()) FROM login_failures WHERE kind = :kind AND digest = :digest
""")
_FORGET = text("DELETE FROM login_failures WHERE kind = :kind AND digest = :digest")
_GIVE_BACK = text("""
UPDATE login_failures SET failures = greatest(failures - 1, 0), next_at = now()
WHERE kind = :kind AND digest = :digest
""")
_FORGET_OLD = text("DELETE FROM login_failures WHERE failed_at < now() - interval '2 days'")


class PeopleStore:
    """The people of all tenants."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def find(self, name: str) -> Person | None:
        """The person of that login name, enabled or not."""
        if "\x00" in name:
            return None
        async with self._database.transaction() as connection:
            row = (await connection.execute(_FIND, {"name": name.lower()})).mappings().first()
        return None if row is None else person_of(row)

    async def of_subject(self, tenant: str, subject: str) -> Person | None:
        """The person tokens of that tenant call so."""
        async with self._database.transaction() as connection:
            facts = {"tenant": tenant, "subject": subject}
            row = (await connection.execute(_OF_SUBJECT, facts)).mappings().first()
        return None if row is None else person_of(row)

    async def list_of(self, tenant: str | None) -> Sequence[Person]:
        """Everybody of a tenant (None: of all), by name."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_LIST, {"tenant": tenant})).mappings().all()
        return tuple(person_of(row) for row in rows)

    async def add(self, person: Person) -> bool:
        """Keep a new person; False when the name, or the subject within the tenant, is taken."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_ADD, _row(person))).rowcount == 1

    async def enrol(self, people: Sequence[Person]) -> None:
        """Make the file's people as they stand there; those no longer in the file are disabled. Repeat: no effect."""
        async with self._database.transaction() as connection:
            await connection.execute(_UNLIST, {"kept": [person.name for person in people]})
            for person in people:
                await connection.execute(_ENROL, _row(person))

    async def set_password(self, name: str, password_hash: str, *, must_change: bool) -> None:
        """Replace the password."""
        facts = {"name": name, "password_hash": password_hash, "must_change": must_change}
        async with self._database.transaction() as connection:
            await connection.execute(_SET_PASSWORD, facts)

    async def set_enabled(self, name: str, *, is_enabled: bool) -> None:
        """Open or close the account."""
        async with self._database.transaction() as connection:
            await connection.execute(_SET_ENABLED, {"name": name, "is_enabled": is_enabled})


class FailureStore:
    """Failed logins; what was typed as a name is kept as a digest only, for it may be a password typed amiss."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def take(self, kind: str, what: str, *, free: int, longest: float) -> float:
        """Count an attempt as failed before it is tried; seconds to wait when it may not be tried at all, else 0."""
        key = _key(kind, what)
        async with self._database.transaction() as connection:
            taken = (await connection.execute(_TAKE, {**key, "free": free, "longest": longest})).scalar()
            if taken is not None:
                if taken == 1:
                    await connection.execute(_FORGET_OLD)
                return 0.0
            wait = (await connection.execute(_WAIT, key)).scalar()
        return max(1.0, float(wait or 0))

    async def forget(self, kind: str, what: str) -> None:
        """Nothing is held against it any more."""
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET, _key(kind, what))

    async def give_back(self, kind: str, what: str) -> None:
        """One attempt that was counted turned out well; earlier ones stay counted."""
        async with self._database.transaction() as connection:
            await connection.execute(_GIVE_BACK, _key(kind, what))


def person_of(row: RowMapping) -> Person:
    """The person of a row that has the columns `COLUMNS`."""
    return Person(
        name=row["name"],
        subject=row["subject"],
        tenant=row["tenant"],
        full_name=row["full_name"],
        email=row["email"],
        roles=frozenset(row["roles"]),
        customers=None if row["customers"] is None else frozenset(row["customers"]),
        language=row["language"],
        is_enabled=row["is_enabled"],
        must_change_password=row["must_change_password"],
        password_hash=row["password_hash"],
        seeded_hash=row["seeded_hash"],
    )


def _row(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "subject": person.subject,
        "tenant": person.tenant,
        "full_name": person.full_name,
        "email": person.email,
        "roles": sorted(person.roles),
        "customers": None if person.customers is None else sorted(person.customers),
        "language": person.language,
        "password_hash": person.password_hash,
        "seeded_hash": person.seeded_hash,
        "must_change_password": person.must_change_password,
    }


def _key(kind: str, what: str) -> dict[str, Any]:
    return {"kind": kind, "digest": hashlib.sha256(what.encode("utf-8", "replace")).digest()}
