"""The experience tier in a thread of its own, for browsers, over a process tier of fixed answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI

from experience_apis.app import create_app
from experience_apis.settings import ExperienceSettings
from shared.serving.settings import load_settings
from tests.serving import listener, serving
from tests.unit.experience.tier import FixedProcessTier

ROOT = Path(__file__).parents[2]
SECRET = "a-secret-of-the-browser-tests"
PASSWORD = "correct horse battery staple 7"
PEOPLE = {
    "dora": ["developer", "partner"],
    "adam": ["administrator"],
}
PROJECT = {
    "tenant": "harbour",
    "opportunity_id": "opp_a",
    "revision": 1,
    "run_id": "quote-to-project:harbour:opp_a:1",
    "state": "activated",
    "requested_by": "sales",
    "won_at": "2026-10-01T08:00:00Z",
    "started_at": "2026-10-01T08:00:01Z",
    "changed_at": "2026-10-01T08:00:02Z",
    "activated_at": "2026-10-02T08:00:00Z",
    "project_id": "prj_a",
    "reference": "OPP-1",
    "name": "Harbour one",
    "customer_name": "Acme",
    "amount": {"amount": "1200.00", "currency": "EUR"},
    "findings": [],
    "approval_kinds": [],
}


@dataclass
class House:
    """Where it stands, and what it is made of."""

    address: str
    app: FastAPI
    process: FixedProcessTier
    sessions: dict[str, list[Any]] = field(default_factory=dict)


@contextmanager
def running_house(database_url: str, folder: Path, set_variable: Callable[[str, str], None]) -> Iterator[House]:
    """The tier, answering; `set_variable` sets what its settings are read from."""
    inner, inner_address = listener()
    outer, address = listener()
    users = [
        {"name": name, "full_name": name.capitalize(), "tenant": "harbour", "roles": roles, "password": PASSWORD}
        for name, roles in PEOPLE.items()
    ]
    portal = {
        "client_id": "developer-portal",
        "name": "Developer site",
        "tenant": "harbour",
        "grant_types": ["authorization_code"],
        "redirect_uris": [f"{address}/developer/callback"],
        "roles": list({role for roles in PEOPLE.values() for role in roles}),
        "is_first_party": True,
        "is_public": True,
    }
    tier = {
        "client_id": "tier-experience",
        "tenant": "harbour",
        "roles": ["experience_tier"],
        "plan": "internal",
        "audiences": ["throughline-process"],
        "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "acts_at": "throughline-experience",
        "secret": SECRET,
    }
    partner = {"client_id": "own-client", "name": "Own", "tenant": "harbour", "roles": ["partner"], "secret": SECRET}
    (folder / "users.yaml").write_text(yaml.safe_dump({"users": users}), "utf-8")
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": [portal, tier, partner]}), "utf-8")
    settings = {
        "DATABASE_URL": database_url,
        "ISSUER_URL": address,
        "PROCESS_URL": inner_address,
        "CLIENT_ID": "tier-experience",
        "CLIENT_SECRET": SECRET,
        "CLIENTS_FILE": str(folder / "clients.yaml"),
        "USERS_FILE": str(folder / "users.yaml"),
        "SEALING_KEY": "a sealing key of tests",
        "GATEWAY_DIR": str(ROOT / "deploy" / "gateway"),
        "OPENAPI_DIR": str(ROOT / "openapi"),
        "LOG_LEVEL": "error",
    }
    for name, value in settings.items():
        set_variable(f"THROUGHLINE_EXPERIENCE_{name}", value)
    process = FixedProcessTier()
    app = create_app(load_settings(ExperienceSettings))
    loop, up, down = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def life() -> None:
        async with serving(process, inner, lifespan="off"), serving(app, outer, lifespan="on"):
            up.set()
            await down.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(life()), daemon=True)
    thread.start()
    while not up.wait(0.05):
        assert thread.is_alive(), "the tier did not start"
    try:
        yield House(address, app, process)
    finally:
        loop.call_soon_threadsafe(down.set)
        thread.join(20)
        loop.close()
