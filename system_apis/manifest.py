"""The passport of a connector: facts about a vendor, no behaviour; read from `manifest.yaml` and checked whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.documents import read_yaml
from shared.errors.taxonomy import FieldFinding, Misconfigured
from system_apis.ports.acts import Role, acts_of, acts_of_all

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
    "cursor_expired",
    "session_expired",
    "credentials_refused",
    "scope_missing",
]
Recognition = Literal[
    "upsert_by_external_id", "looked_up_by_external_reference", "same_values_again", "not_recognisable"
]
"""How a repeated write is known: by the vendor, which keeps one record per id of ours; by us, who look for that id
first (a unique key of the vendor's may stand behind it); it does no harm; or not at all, so that people must look."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wire(_Facts):
    """Protocol family and the page it is documented on. `kind` is a free word: a neighbour's where it fits."""

    kind: str
    version: str = Field(description="As the vendor calls it; stands in the README's table.")
    docs: str
    checked_on: date


class Auth(_Facts):
    """How the connector gets in; `flow` is a free word that stands in the README's table."""

    flow: str


class Budget(_Facts):
    """What we may ask of the vendor: `requests` per `per_seconds`, `at_once` in flight."""

    requests: int = Field(gt=0, le=1_000_000_000, description="Requests in one window.", examples=[12000])
    per_seconds: float = Field(gt=0, le=31_536_000, description="Length of the window in seconds.", examples=[60])
    at_once: int = Field(gt=0, le=10_000, description="Requests in flight at any moment.", examples=[5])


class Paging(_Facts):
    """How lists are read on (a free word), and rows per page."""

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
    can: dict[str, tuple[str, ...]] = Field(description="Entity → verbs, in the words of `ports/acts.py`.")
    cannot: dict[str, str] = {}
    repeat: dict[str, Recognition] = {}
    errors: tuple[ErrorRule, ...] = ()
    settings: dict[str, str] = Field(default={}, description="Configuration keys of the connector: name → meaning.")
    secrets: tuple[str, ...] = ()


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a connector folder. Raises Misconfigured naming file, field and reason."""
    called = f"manifest.yaml of connector {folder.name}"
    try:
        document: Any = read_yaml((folder / "manifest.yaml").read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(f"{called} cannot be read: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise _refused(called, ((".".join(map(str, e["loc"])), e["msg"]) for e in error.errors())) from None
    if manifest.name != folder.name:
        raise _refused(called, [("name", "must equal the folder's name")])
    if strange := list(_strange_acts(manifest)):
        raise _refused(called, strange)
    return manifest


def _refused(called: str, found: Iterable[tuple[str, str]]) -> Misconfigured:
    findings = [FieldFinding(field, reason) for field, reason in found]
    return Misconfigured(f"{called}: {'; '.join(f'{f.field}: {f.reason}' for f in findings)}", findings=findings)


def _strange_acts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What `can` says and no port of its roles has a method for, with the word that was probably meant."""
    acts = {act: method for role in manifest.plays for act, method in acts_of(role).items()} | acts_of_all()
    verbs: dict[str, list[str]] = {}
    for act in acts:
        entity, _, verb = act.partition(".")
        verbs.setdefault(entity, []).append(verb)
    for entity, said in manifest.can.items():
        if entity not in verbs:
            told = f"no such entity in the ports of {', '.join(manifest.plays)}"
            yield f"can.{entity}", f"{told}{_meant(entity, verbs) or f'; there are {_listed(verbs)}'}"
            continue
        for verb in said:
            if verb not in verbs[entity]:
                told = f"{verb} is no verb of the ports for it; there are {_listed(verbs[entity])}"
                yield f"can.{entity}", f"{told}{_meant(verb, verbs[entity])}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _meant(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
