"""What a connector is given to work with: whose it is, its settings and its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.canonical.references import SourceRef, canonical_id
from shared.errors.taxonomy import Misconfigured


@dataclass(frozen=True, slots=True)
class Binding:
    """A tenant's connection to one vendor; `settings` are the keys the manifest declares.

    `overrides` is the tenant's own file over the connector's `fields.yaml`.
    """

    tenant: str
    system: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    overrides: Path | None = None

    def setting(self, name: str) -> str:
        """A declared setting. Raises Misconfigured naming connector and key."""
        value = self.settings.get(name)
        if not value:
            raise Misconfigured(f"connector {self.system} of tenant {self.tenant}: setting {name} is missing")
        return value

    def secret(self, name: str) -> str:
        """A declared secret. Raises Misconfigured naming connector and key."""
        value = self.secrets.get(name)
        if not value:
            raise Misconfigured(f"connector {self.system} of tenant {self.tenant}: secret {name} is missing")
        return value

    def identify(self, entity: str, ref: str) -> str:
        """Our id of a record that carries none of ours."""
        return canonical_id(entity, self.tenant, self.system, ref)

    def source(self, ref: str, version: str, modified_at: datetime | None = None) -> SourceRef:
        """The record's place in this system."""
        return SourceRef(system=self.system, ref=ref, version=version, modified_at=modified_at)
