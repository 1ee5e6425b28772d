"""Brings the embedded profile up and down: PostgreSQL, NATS, sandbox and the three tiers, each a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx

from deploy.local import bus, postgres
from deploy.local.choice import Choice
from deploy.local.installation import Installation
from deploy.local.places import Places
from deploy.local.ports import Ports, refuse_busy
from deploy.local.processes import Processes, Recipe, StartFailed
from deploy.sandbox.catalog import vendor

TIERS = ("experience", "system", "process")
SERVERS = ("sandbox", *TIERS)
ALL = ("postgres", "nats", *SERVERS)
_PATIENCE = 60.0
_ROOT = Path(__file__).resolve().parents[2]


class House:
    """One embedded installation and its processes; usable as a context manager that leaves nothing running."""

    def __init__(self, places: Places, ports: Ports, *, choice: Choice | None = None, die_with_us: bool = True) -> None:
        """`die_with_us` False: the processes go on when this program ends (`throughline up`)."""
        self.installation = Installation.of(places, ports, choice)
        self.processes = Processes(places.pids, places.logs, die_with_us=die_with_us)
        secrets = self.installation.secrets
        self._postgres = postgres.prepare(places, ports.postgres, secrets.postgres_password)
        self._nats = bus.prepare(places, ports.nats, secrets.nats_password)

    def __enter__(self) -> Self:
        """Everything up."""
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Everything down."""
        self.down()

    def url(self, name: str) -> str:
        """Base URL of `system`, `process`, `experience` or `sandbox`."""
        return self.installation.url(name)

    def database_url(self, tier: str) -> str:
        """Address of a tier's database."""
        return self._postgres.url(f"throughline_{tier}")

    def up(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Start everything and wait until it is ready. Raises PortProblem, StartFailed."""
        if running := self.processes.names():
            raise StartFailed(f"already running here: {', '.join(running)}; `throughline down` stops it")
        refuse_busy(self.installation.ports)
        self.installation.write()
        for name in self.installation.choice.vendors():
            vendor(name).prepare(tell)
        tell("PostgreSQL")
        postgres.start(self._postgres, self.processes)
        tell("NATS JetStream")
        bus.start(self._nats, self.processes)
        for name in SERVERS:
            self.start(name, wait=False)
        for name in SERVERS:
            tell("sandbox" if name == "sandbox" else f"{name} tier")
            self.wait_ready(name)

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start one of the servers (again)."""
        self.processes.start(self._recipe(name))
        if wait:
            self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Wait until a server is ready. Raises StartFailed with the tail of its log."""
        path = "/health" if name == "sandbox" else "/ready"
        address = f"{self.url(name)}{path}"
        self.processes.wait_until(name, lambda: _answers(address), seconds=_PATIENCE)

    def kill(self, name: str) -> None:
        """End a process at once (SIGKILL), as a power cut would."""
        self.processes.kill(name)

    def stop(self, name: str) -> None:
        """Stop one process politely."""
        self.processes.stop(name)

    def down(self) -> None:
        """Stop everything, inner parts last."""
        stop_all(self.processes)

    def _recipe(self, name: str) -> Recipe:
        path = {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}
        if name == "sandbox":
            options = str(self.installation.sandbox_options_file)
            port = str(self.installation.ports.sandbox)
            return Recipe(name, [sys.executable, "-m", "deploy.sandbox", "--port", port, "--options", options], path)
        env = self.installation.tier_env(name, self._postgres, self._nats)
        return Recipe(name, [sys.executable, "-m", f"{name}_apis"], path | env)


def stop_all(processes: Processes) -> list[str]:
    """Stop what runs in a state directory; the names of what was stopped."""
    running = [name for name in reversed(ALL) if processes.find(name)]
    for name in running:
        processes.stop(name)
    return running


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
