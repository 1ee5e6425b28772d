"""Where the embedded profile keeps its things below one state directory; paths only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "THROUGHLINE_STATE"


@dataclass(frozen=True, slots=True)
class Places:
    """The state directory of one installation (`.throughline` by default).

    `data` names a folder below it for databases of their own: the main job does not touch what `throughline up` kept.
    """

    root: Path
    data: str = ""

    @classmethod
    def default(cls) -> Places:
        """The directory named by THROUGHLINE_STATE, else `.throughline` in the working directory."""
        return cls(Path(os.environ.get(STATE_VARIABLE) or ".throughline").resolve())

    @property
    def postgres(self) -> Path:
        """Data directory of the embedded PostgreSQL."""
        return self.root / self.data / "pg"

    @property
    def nats(self) -> Path:
        """JetStream store and configuration of the embedded NATS."""
        return self.root / self.data / "nats"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        """One file per running process."""
        return self.root / "pids"

    @property
    def fields(self) -> Path:
        """The tenant's own files over connectors' mappings: `crm.yaml`, `psa.yaml`, `erp.yaml`, `erp-<entity>.yaml`."""
        return self.tenants / "fields"

    @property
    def tenants(self) -> Path:
        """Connector configuration, one file per tenant."""
        return self.root / "tenants"

    @property
    def keys(self) -> Path:
        """Generated secrets and key pairs; readable by the owner only."""
        return self.root / "keys"

    @property
    def clients_file(self) -> Path:
        """OAuth clients of this installation, with their secrets."""
        return self.root / "clients.yaml"

    @property
    def users_file(self) -> Path:
        """People of this installation, with their first passwords."""
        return self.root / "users.yaml"

    @property
    def run_file(self) -> Path:
        """Base URLs and demo clients, for programs and people."""
        return self.root / "run.json"

    @property
    def report_dir(self) -> Path:
        """The report tables of the main job, one folder per phase."""
        return self.root / "demo-report"

    @property
    def report_file(self) -> Path:
        """The whole report of the main job as one JSON document."""
        return self.root / "demo-report.json"

    def make(self) -> None:
        """Create the directories that are missing."""
        for folder in (self.root, self.nats, self.logs, self.pids, self.tenants, self.keys):
            folder.mkdir(parents=True, exist_ok=True)
        for private in (self.keys, self.tenants, self.nats):
            private.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    path.chmod(0o600)
