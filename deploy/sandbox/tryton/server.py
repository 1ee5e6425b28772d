"""A Tryton server with a PostgreSQL of its own: started, put back to its first state, and ended with us."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from psycopg import sql

from deploy.local import postgres
from deploy.local.places import Places, write_private
from deploy.local.ports import HOST
from deploy.local.processes import StartFailed

DATABASE = "tryton"
_TEMPLATE = "pristine"
_WARDEN = Path(__file__).with_name("warden.py")
_FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
_ALL_OUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_SECONDS = 90.0
_WORKERS, _THREADS = 2, 8
_PREFIX, _OWNER = "throughline-tryton-", "owner"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where Tryton was installed, and the dump its databases are made from (not there while that is being made)."""

    python: Path
    dump: Path


class _Child:
    """A program under a warden."""

    def __init__(self, folder: Path, name: str, command: Sequence[str], env: Mapping[str, str], *flags: str) -> None:
        self._log = folder / f"{name}.log"
        self._name = name
        with self._log.open("ab") as log:
            self._warden = subprocess.Popen(  # noqa: S603 - our own command, no shell
                [sys.executable, str(_WARDEN), *flags, "--", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(env) or None,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """The program and below it its own children."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._warden.pid).children()
        return []

    def wait_until(self, is_ready: Callable[[], bool], seconds: float = _SECONDS) -> None:
        """Raises StartFailed with the end of its log."""
        until = time.monotonic() + seconds
        while not is_ready():
            if self._warden.poll() is not None or time.monotonic() > until:
                tail = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise StartFailed(f"{self._name} of the sandbox's Tryton did not come up; its log says:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and wait."""
        if self._warden.stdin:
            self._warden.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._warden.wait(20)


class Cluster:
    """A PostgreSQL that forgets everything when it ends."""

    def __init__(self, folder: Path) -> None:
        """`folder` is removed with it."""
        self._places = Places(folder)
        self._places.make()
        self._server = postgres.prepare(self._places, free_port(), secrets.token_urlsafe(24))
        recipe = self._server.recipe()
        flags = ["--signal", recipe.stop_with.name, "--remove", str(self._server.data), "--remove", str(folder)]
        if recipe.user is not None:
            flags += ["--user", str(recipe.user)]
        quick = [part for setting in _FORGETFUL for part in ("-c", setting)]
        self._child = _Child(self._places.logs, "postgres", [*recipe.command, *quick], {}, *flags)
        self._child.wait_until(self._server.is_ready)

    def url(self, database: str) -> str:
        """Address of a database."""
        return self._server.url(database)

    def run(self, statement: str, database: str = "postgres", **names: str) -> list[tuple[Any, ...]]:
        """One statement with names put in; its rows, if it has any."""
        composed = sql.SQL(statement).format(**{key: sql.Identifier(name) for key, name in names.items()})  # type: ignore[arg-type] # ours
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(composed)
            return cursor.fetchall() if cursor.description else []

    def copy(self, source: str, target: str) -> None:
        """Make `target` anew as a copy; nobody may be at work in `source`."""
        self.run("DROP DATABASE IF EXISTS {target} WITH (FORCE)", target=target)
        self.run("CREATE DATABASE {target} TEMPLATE {source} STRATEGY FILE_COPY", target=target, source=source)

    def dump(self, database: str, file: Path) -> None:
        """Write a database to a file."""
        self._tool("pg_dump", "-Fc", "-Z1", "-f", str(file), self.url(database))

    def restore(self, file: Path, database: str) -> None:
        """Make a database from such a file."""
        self.run("CREATE DATABASE {target}", target=database)
        self._tool("pg_restore", "-j2", "--no-owner", "-d", self.url(database), str(file))

    def _tool(self, name: str, *arguments: str) -> None:
        command = [str(self._server.programs / "bin" / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise StartFailed(f"{name} failed: {done.stderr.strip()[-1000:]}")

    def stop(self) -> None:
        """End it; its data goes."""
        self._child.stop()


class Workers:
    """The server's processes, forked from one that has loaded every model, so that fresh ones come at once."""

    def __init__(self, programs: Programs, cluster: Cluster, folder: Path) -> None:
        """The database must be there."""
        self.port = free_port()
        config = folder / "trytond.conf"
        base = cluster.url("").rstrip("/")
        lines = ["[database]", f"uri = {base}/", "[session]", "timeout = 3600", "[queue]", "worker = True"]
        write_private(config, "\n".join([*lines, "[cache]", "clean_timeout = 0", ""]))
        env = environment(config) | {"TRYTOND_DATABASE_NAMES": DATABASE, "TRYTOND_LOGGING_LEVEL": "40"}
        command = [str(programs.python), "-m", "gunicorn", "--preload", "--no-control-socket", "-k", "gthread"]
        command += ["-w", str(_WORKERS), "--threads", str(_THREADS), "--keep-alive", "60", "--timeout", "300"]
        command += ["-b", f"{HOST}:{self.port}", "--log-level", "error", "trytond.application:app"]
        self._child = _Child(folder, "tryton", command, env)
        self._child.wait_until(self.is_ready)

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://{HOST}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it answers."""
        body = json.dumps({"id": 0, "method": "common.server.version", "params": []}).encode()
        asked = urllib.request.Request(f"{self.url}/rpc/", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - loopback
                return bool(json.load(answer).get("result"))
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def renew(self) -> None:
        """End the processes that remember; fresh ones take their place."""
        for master in self._child.processes():
            for worker in master.children():
                with suppress(psutil.NoSuchProcess):
                    worker.send_signal(signal.SIGKILL)

    def wait(self) -> None:
        """Until one answers."""
        self._child.wait_until(self.is_ready)

    def stop(self) -> None:
        """End them."""
        self._child.stop()


class TrytonServer:
    """The whole: a cluster, the pristine database, and workers on a copy of it."""

    def __init__(self, cluster: Cluster, workers: Workers) -> None:
        """Use `start`."""
        self._cluster = cluster
        self._workers = workers

    @classmethod
    def start(cls, programs: Programs) -> Self:
        """A fresh server. Raises StartFailed."""
        folder = fresh_folder()
        cluster = Cluster(folder)
        try:
            cluster.restore(programs.dump, _TEMPLATE)
            cluster.copy(_TEMPLATE, DATABASE)
            return cls(cluster, Workers(programs, cluster, folder))
        except BaseException:
            cluster.stop()
            raise

    @property
    def url(self) -> str:
        """The server's root."""
        return self._workers.url

    def reset(self) -> None:
        """Everything as it was at the start."""
        self._workers.renew()
        self._cluster.copy(_TEMPLATE, DATABASE)
        self._workers.wait()

    def keep(self) -> None:
        """From now on a reset leads back to what is here now."""
        self._workers.renew()
        self._cluster.run(_ALL_OUT, DATABASE)
        self._cluster.copy(DATABASE, _TEMPLATE)
        self._workers.wait()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says; the way of an operator, not of a client."""
        return self._cluster.run(statement, DATABASE)

    def stop(self) -> None:
        """End everything; nothing stays."""
        self._workers.stop()
        self._cluster.stop()


def fresh_folder() -> Path:
    """A folder of our own; those of processes that were killed before they could tidy up are removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        if left.stat().st_uid == os.geteuid() and not psutil.pid_exists(int(left.read_text(encoding="utf-8") or 0)):
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / _OWNER).write_text(str(os.getpid()), encoding="utf-8")
    return folder


def environment(config: Path) -> dict[str, str]:
    """What Tryton's programs are given: no path of ours, their configuration."""
    return {"TRYTOND_CONFIG": str(config), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
