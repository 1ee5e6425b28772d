"""What a connector is given to work with: whose it is, its settings and its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import nan
from pathlib import Path
from typing import Final

from shared.canonical.references import SourceRef, canonical_id
from shared.errors.taxonomy import Misconfigured

MOST: Final = 1_000_000_000
"""What no number of a setting goes above."""
MOST_AT_ONCE: Final = 10_000
"""Requests in flight that a budget may allow."""
SHORTEST_PAUSE: Final = 0.001
"""Seconds between two looks or tries that are not to be none."""
_MOST_DIGITS: Final = 12


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

    def whole(self, name: str, default: int, *, at_least: int = 1, at_most: int = MOST) -> int:
        """A setting that is a whole number, in digits; what is left out is the default.

        Raises Misconfigured naming connector and key, what was given and what is allowed.
        """
        given = self.settings.get(name)
        if not given:
            return default
        is_written = given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS
        if not is_written or not at_least <= int(given) <= at_most:
            raise self._wrong(name, f"{given!r} is not a whole number from {at_least} to {at_most}")
        return int(given)

    def number(self, name: str, default: float, *, at_least: float = 0) -> float:
        """A setting that is a number, such as seconds; otherwise like `whole`."""
        given = self.settings.get(name)
        if not given:
            return default
        try:
            value = float(given)
        except ValueError:
            value = nan
        if not at_least <= value <= MOST:
            raise self._wrong(name, f"{given!r} is not a number from {at_least} to {MOST}")
        return value

    def choice(self, name: str, *allowed: str) -> str:
        """A setting that is one of these words; what is left out is the first. Raises Misconfigured like `whole`."""
        given = self.settings.get(name) or allowed[0]
        if given not in allowed:
            raise self._wrong(name, f"{given!r} is none of {', '.join(allowed)}")
        return given

    def _wrong(self, name: str, reason: str) -> Misconfigured:
        return Misconfigured(f"connector {self.system} of tenant {self.tenant}: setting {name}: {reason}")

    def identify(self, entity: str, ref: str) -> str:
        """Our id of a record that carries none of ours."""
        return canonical_id(entity, self.tenant, self.system, ref)

    def source(self, ref: str, version: str, modified_at: datetime | None = None) -> SourceRef:
        """The record's place in this system."""
        return SourceRef(system=self.system, ref=ref, version=version, modified_at=modified_at)
