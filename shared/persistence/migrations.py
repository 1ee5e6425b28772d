"""Forward-only migrations: plain SQL files of a tier and the shared set, each one Alembic revision, applied once.

A file `<package>/migrations/NNNN_name.sql` is the revision `<package>.NNNN_name`. Files are applied in the order of
their names; every one that this database has not seen is applied, so several authors may add files side by side.
A file that has been released is never changed: add another. There is no way down.
"""

from __future__ import annotations

import re
from importlib.resources import files
from types import ModuleType
from typing import Any, Final, cast

import psycopg
from alembic import op
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from shared.errors.taxonomy import Misconfigured, VendorUnavailable
from shared.persistence.database import sqlalchemy_url
from shared.telemetry.logging import get_logger

_NAME: Final = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")
_TABLE: Final = "schema_revisions"
_LOCK: Final = 0x7468726F  # any number, the same in every replica
_log = get_logger("throughline.migrations")


def upgrade(url: str, package: str) -> None:
    """Bring the database of the tier `package` up to date: first the shared set, then the tier's own files.

    Repeat: does nothing. Replicas that start together wait for each other. All files are applied, or none.
    """
    scripts = [*_scripts("shared.persistence"), *_scripts(package)]
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _apply(connection, scripts)
    except OperationalError as error:
        raise VendorUnavailable("The database is unavailable.", detail=type(error).__name__) from error
    finally:
        engine.dispose()


def _apply(connection: Connection, scripts: list[Script]) -> None:
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {_TABLE} (version_num text PRIMARY KEY)"))
    known = RevisionMap(lambda: scripts)
    assert len(known.heads) == len(scripts)  # noqa: S101 - asking for the heads is what links the scripts to the map

    def steps(applied: Any, _context: MigrationContext) -> list[RevisionStep]:
        missing = [script for script in scripts if script.revision not in set(applied)]
        for script in missing:
            _log.info("migration_applied", revision=script.revision)
        return [RevisionStep(known, script, is_upgrade=True) for script in missing]

    context = MigrationContext.configure(connection, opts={"version_table": _TABLE, "fn": steps})
    with Operations.context(context):
        context.run_migrations()


def _scripts(package: str) -> list[Script]:
    folder = files(package).joinpath("migrations")
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    wrong = [name for name in names if not _NAME.match(name)]
    if wrong:
        raise Misconfigured(f"Migrations of {package} must be named NNNN_name.sql: {', '.join(wrong)}")
    return [_script(package, name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


def _script(package: str, name: str, sql: str) -> Script:
    revision = f"{package}.{name.removesuffix('.sql')}"

    def run() -> None:
        with cast("Any", op.get_bind()).connection.cursor() as cursor:
            try:
                cursor.execute(sql)  # by the driver itself: no colon or percent sign of the file means anything
            except psycopg.Error as error:
                raise Misconfigured(f"The migration {revision} does not work: {error}") from error

    module = ModuleType(revision)
    module.__dict__.update(revision=revision, down_revision=None, upgrade=run, __doc__=name)
    return Script(module, revision, name)
