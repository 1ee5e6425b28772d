"""The schema of policy documents and their merging; files and facts may enter, nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from shared.gateway.facts import Facts
from shared.gateway.plans import Plan
from shared.gateway.policies.access_log.config import AccessLog
from shared.gateway.policies.audit.config import Audit
from shared.gateway.policies.content.config import Content
from shared.gateway.policies.correlation.config import Correlation
from shared.gateway.policies.cors.config import Cors
from shared.gateway.policies.idempotency.config import Idempotency
from shared.gateway.policies.jwt.config import Jwt
from shared.gateway.policies.lifecycle.config import Lifecycle
from shared.gateway.policies.rate_limit.config import RateLimit
from shared.gateway.policies.scopes.config import Scopes
from shared.gateway.policies.security_headers.config import SecurityHeaders
from shared.gateway.policies.size_limit.config import SizeLimit

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class DocumentRefused(Exception):
    """A policy document cannot be used; every line names file, place and reason."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Policies(Facts):
    """The policies of one level; a lower level replaces a policy as a whole."""

    correlation: Correlation | None = None
    size_limit: SizeLimit | None = None
    content: Content | None = None
    jwt: Jwt | None = None
    scopes: Scopes | None = None
    rate_limit: RateLimit | None = None
    idempotency: Idempotency | None = None
    security_headers: SecurityHeaders | None = None
    cors: Cors | None = None
    access_log: AccessLog | None = None
    audit: Audit | None = None

    def under(self, lower: Policies) -> Policies:
        """These policies with those of a lower level laid over them."""
        return self.model_copy(update={name: getattr(lower, name) for name in lower.model_fields_set})


class OperationFacts(Facts):
    """One operation: who may call it and what differs from its version."""

    scopes: tuple[str, ...] = Field(default=(), description="All of them are needed.")
    one_of: tuple[str, ...] = Field(default=(), description="Besides `scopes`, at least one of these is needed.")
    public: str | None = Field(default=None, min_length=10, description="Why this is reachable without a token.")
    policies: Policies = Policies()

    @model_validator(mode="after")
    def _open_or_guarded(self) -> Self:
        if bool(self.scopes or self.one_of) == bool(self.public):
            raise ValueError("an operation names either its scopes or the reason why it is public")
        return self


class VersionFacts(Facts):
    """One major version of an API under its base path."""

    base: str = Field(pattern=r"^(/[a-z0-9.-]+)*$", examples=["/crm/v1"])
    lifecycle: Lifecycle = Lifecycle()
    policies: Policies = Policies()
    operations: dict[str, OperationFacts] = Field(default_factory=dict, examples=[{"GET /opportunities": {}}])

    @model_validator(mode="after")
    def _operations_read_as_method_and_path(self) -> Self:
        for name in self.operations:
            method, _, path = name.partition(" ")
            if method not in METHODS or not path.startswith("/"):
                raise ValueError(f"`{name}` does not read as `METHOD /path`")
        return self


class ApiFacts(Facts):
    """One API: what it is, who keeps it, its versions."""

    api: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    owner: str
    audience: str
    published: bool = Field(default=True, description="Whether an OpenAPI document of it is exported.")
    versions: dict[str, VersionFacts] = Field(min_length=1)


class TierFacts(Facts):
    """What holds for every operation of a tier unless a lower level says otherwise."""

    policies: Policies


class PlanBook(Facts):
    """All client plans by name."""

    plans: dict[str, Plan]


@dataclass(frozen=True, slots=True)
class GatewayDocuments:
    """Everything declared for one tier."""

    tier: str
    policies: Policies
    plans: dict[str, Plan]
    apis: tuple[ApiFacts, ...]

    def operations(self) -> list[Operation]:
        """Every declared operation with its effective policies."""
        return [
            Operation(
                api=api.api,
                version=version,
                method=name.partition(" ")[0],
                path=facts.base + name.partition(" ")[2],
                scopes=operation.scopes,
                one_of=operation.one_of,
                is_public=operation.public is not None,
                policies=self.policies.under(facts.policies).under(operation.policies),
                lifecycle=facts.lifecycle,
            )
            for api in self.apis
            for version, facts in api.versions.items()
            for name, operation in facts.operations.items()
        ]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the chain compiles it."""

    api: str
    version: str
    method: str
    path: str
    scopes: tuple[str, ...]
    one_of: tuple[str, ...]
    is_public: bool
    policies: Policies
    lifecycle: Lifecycle

    @property
    def name(self) -> str:
        """How logs, metrics and refusals call it."""
        return f"{self.method} {self.path}"


_F = TypeVar("_F", bound=Facts)


def read_facts(path: Path, schema: type[_F]) -> _F:
    """One document, checked.

    Raises: DocumentRefused naming file, place and reason.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentRefused([f"{path}: {error.strerror or 'cannot be read'}"]) from error
    except yaml.YAMLError as error:
        raise DocumentRefused([f"{path}: {error}"]) from error
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise DocumentRefused(
            [
                f"{path}: {'.'.join(str(part) for part in one['loc']) or 'document'}: {one['msg']}"
                for one in error.errors()
            ]
        ) from error


def load_documents(folder: Path, tier: str) -> GatewayDocuments:
    """Everything declared for `tier` below `folder`: plans.yaml, <tier>/tier.yaml and one file per API.

    Raises: DocumentRefused with all findings of all files.
    """
    lines: list[str] = []
    found: dict[Path, Facts] = {}
    files: dict[Path, type[Facts]] = {folder / "plans.yaml": PlanBook, folder / tier / "tier.yaml": TierFacts}
    for path in sorted((folder / tier).glob("*.yaml")):
        files.setdefault(path, ApiFacts)
    for path, schema in files.items():
        try:
            found[path] = read_facts(path, schema)
        except DocumentRefused as refusal:
            lines += refusal.lines
    if lines:
        raise DocumentRefused(lines)
    plans = next(facts.plans for facts in found.values() if isinstance(facts, PlanBook))
    policies = next(facts.policies for facts in found.values() if isinstance(facts, TierFacts))
    apis = tuple(facts for facts in found.values() if isinstance(facts, ApiFacts))
    return GatewayDocuments(tier=tier, policies=policies, plans=plans, apis=apis)
