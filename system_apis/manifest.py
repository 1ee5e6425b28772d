"""The passport of a connector: facts about a vendor, no behaviour; read from `manifest.yaml` and checked whole."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors.taxonomy import FieldFinding, Misconfigured

Role = Literal["crm", "psa", "erp"]
Means = Literal[
    "invalid_request",
    "not_found",
    "conflict",
    "stale_version",
    "rule_violated",
    "period_closed",
    "vendor_unavailable",
    "vendor_throttled",
    "vendor_rejected",
    "session_expired",
    "credentials_refused",
    "scope_missing",
]
Recognition = Literal[
    "upsert_by_external_id", "looked_up_by_external_reference", "same_values_again", "not_recognisable"
]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wire(_Facts):
    """Protocol family and the page it is documented on."""

    kind: str
    version: str
    docs: str
    checked_on: date


class Auth(_Facts):
    """How the connector gets in."""

    flow: str


class Budget(_Facts):
    """What we may ask of the vendor: `requests` per `per_seconds`, `at_once` in flight."""

    requests: int = Field(gt=0, le=1_000_000_000, description="Requests in one window.", examples=[12000])
    per_seconds: float = Field(gt=0, le=31_536_000, description="Length of the window in seconds.", examples=[60])
    at_once: int = Field(gt=0, le=10_000, description="Requests in flight at any moment.", examples=[5])


class Paging(_Facts):
    """How lists are read on, and rows per page."""

    style: str
    size: int = Field(gt=0)


class ErrorRule(_Facts):
    """One row of the error table: first match wins; None matches anything. `vouches`: surely nothing was written."""

    status: int
    body_code: str | None = None
    message_contains: str | None = None
    means: Means
    vouches: bool = True


class Manifest(_Facts):
    """Everything declared about a connector."""

    name: str
    plays: tuple[Role, ...] = Field(min_length=1)
    wire: Wire
    auth: Auth
    budget: Budget
    paging: Paging
    can: dict[str, tuple[str, ...]]
    cannot: dict[str, str] = {}
    repeat: dict[str, Recognition] = {}
    errors: tuple[ErrorRule, ...] = ()
    settings: dict[str, str] = Field(default={}, description="Configuration keys of the connector: name → meaning.")
    secrets: tuple[str, ...] = ()


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a connector folder. Raises Misconfigured naming file, field and reason."""
    path = folder / "manifest.yaml"
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(document)
    except (OSError, yaml.YAMLError) as error:
        message = f"{path.name} of connector {folder.name} cannot be read: {error}"
        raise Misconfigured(message) from error
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{f.field}: {f.reason}" for f in findings)
        message = f"{path.name} of connector {folder.name}: {listed}"
        raise Misconfigured(message, findings=findings) from error
    if manifest.name != folder.name:
        message = f"manifest.yaml of connector {folder.name}: name: must equal the folder's name"
        raise Misconfigured(message)
    return manifest
