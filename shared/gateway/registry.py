"""The registry of all APIs of all tiers: what each is, who keeps it, how far its versions are; facts only."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts
from shared.gateway.policies.lifecycle.config import Lifecycle
from shared.gateway.reading import read_facts

REGISTRY_FILE = "registry.yaml"
TIERS = ("system", "process", "experience")


class VersionEntry(Lifecycle):
    """One major version: how far it is, and the release its document carries."""

    release: str = Field(pattern=r"^\d+\.\d+\.\d+$", examples=["1.1.0"], description="Of the OpenAPI document.")

    @property
    def lifecycle(self) -> Lifecycle:
        """State and dates alone, as the chain compiles them."""
        return Lifecycle.model_validate(self.model_dump(exclude={"release"}))


class ApiEntry(Facts):
    """One API of one tier; `name` is the name of its policy document."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    tier: str = Field(pattern=f"^({'|'.join(TIERS)})$")
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    owner: str = Field(min_length=1, description="Who answers for it.")
    audience: str = Field(min_length=1, description="Who it is made for.")
    published: bool = Field(
        default=True, description="Whether it stands in openapi/, the catalog and the documentation."
    )
    versions: dict[str, VersionEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _versions_are_named_by_their_major(self) -> Self:
        for name, version in self.versions.items():
            if name != f"v{version.release.partition('.')[0]}":
                raise ValueError(f"versions.{name}: its release {version.release} is of another major version")
        return self


class Registry(Facts):
    """Every API of every tier."""

    apis: tuple[ApiEntry, ...] = ()

    @model_validator(mode="after")
    def _each_stands_once(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for entry in self.apis:
            if (entry.tier, entry.name) in seen:
                raise ValueError(f"{entry.tier}/{entry.name} stands twice")
            seen.add((entry.tier, entry.name))
        return self

    def of_tier(self, tier: str) -> dict[str, ApiEntry]:
        """The entries of one tier by name."""
        return {entry.name: entry for entry in self.apis if entry.tier == tier}


def load_registry(folder: Path) -> Registry:
    """The registry below `folder` (deploy/gateway).

    Raises: DocumentRefused naming file, place and reason.
    """
    return read_facts(folder / REGISTRY_FILE, Registry)
