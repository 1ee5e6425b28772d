"""Installs Tryton into an environment of its own and makes the database template; once per machine, for all who ask."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.processes import StartFailed
from deploy.sandbox.tryton.seed import prepare
from deploy.sandbox.tryton.server import DATABASE, Cluster, Programs, Workers, environment, fresh_folder
from deploy.sandbox.tryton.session import TrytonSession

CACHE_VARIABLE = "THROUGHLINE_TRYTON_CACHE"
ADMINISTRATOR, FIRST_PASSWORD = "admin", "first-password-of-the-template"
_LOCK = Path(__file__).with_name("requirements.lock")
_TEMPLATE_REVISION = "1"  # another one whenever `seed.prepare` changes
_MODULES = (
    "sale_opportunity",
    "project_invoice",
    "project_revenue",
    "account_payment",
    "sale_subscription",
    "product_price_list_dates",
    "party_relationship",
)
Progress = Callable[[str], None]


class TrytonMissing(StartFailed):
    """Tryton could not be installed; the message says why."""


def cache() -> Path:
    """Where it is kept: the named folder, else the user's cache."""
    named = os.environ.get(CACHE_VARIABLE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "throughline" / "tryton"


def find() -> Programs | None:
    """What is installed, or None."""
    programs = _programs(_home())
    return programs if programs.dump.exists() else None


def ensure(progress: Progress = lambda _: None) -> Programs:
    """Install what is missing; the first time it takes some minutes and the package registry.

    Repeat: nothing more. Two at once: the second waits for the first. Raises TrytonMissing.
    """
    if (found := find()) is not None:
        return found
    home = _home()
    with _alone(home):
        if (found := find()) is not None:
            return found
        if not (home / "installed").exists():
            progress("Tryton 8.2 is being installed into an environment of its own …")
            _install(home)
        progress("The database template of Tryton is being made (a minute or two) …")
        _make_template(home)
        progress("Tryton is ready.")
    return _programs(home)


def _home() -> Path:
    about = _LOCK.read_bytes() + "\n".join([*_MODULES, _TEMPLATE_REVISION, sys.version[:4]]).encode()
    return cache() / hashlib.sha256(about).hexdigest()[:16]


def _programs(home: Path) -> Programs:
    return Programs(home / "environment" / "bin" / "python", home / "pristine.dump")


@contextmanager
def _alone(home: Path) -> Generator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(home: Path) -> None:
    folder = home / "environment"
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r", str(_LOCK)])
    (home / "installed").touch()


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own command
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-800:]
        raise TrytonMissing(f"Tryton could not be installed: {' '.join(command[:5])} …: {said}")


def _make_template(home: Path) -> None:
    programs = _programs(home)
    folder = fresh_folder()
    cluster = Cluster(folder)
    try:
        cluster.run("CREATE DATABASE {name}", name=DATABASE)
        config, password = folder / "admin.conf", folder / "password"
        config.write_text(f"[database]\nuri = {cluster.url('').rstrip('/')}/\n", encoding="utf-8")
        password.write_text(f"{FIRST_PASSWORD}\n", encoding="utf-8")
        admin = str(programs.python.with_name("trytond-admin"))
        command = [str(programs.python), admin, "-c", str(config), "-d", DATABASE, "-u", *_MODULES]
        command += ["--activate-dependencies", "--email", "admin@example.test"]
        _run(command, environment(config) | {"TRYTONPASSFILE": str(password)})
        workers = Workers(programs, cluster, folder)
        try:
            with ThreadPoolExecutor(1) as thread:  # whoever asks may be in an event loop of their own
                thread.submit(asyncio.run, _furnish(workers.url)).result()
        finally:
            workers.stop()
        made = home / "pristine.dump.part"
        cluster.dump(DATABASE, made)
        made.rename(programs.dump)
    finally:
        cluster.stop()


async def _furnish(url: str) -> None:
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        session = TrytonSession(url, client, user=ADMINISTRATOR, password=FIRST_PASSWORD, database=DATABASE)
        await prepare(session)
