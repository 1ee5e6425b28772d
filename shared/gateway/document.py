"""The schema of policy documents and their merging; files and facts may enter, nothing that acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts
from shared.gateway.overrides import DeclaredPlan, PlanPolicies
from shared.gateway.plans import Plan
from shared.gateway.policies.access_log.config import AccessLog
from shared.gateway.policies.audit.config import Audit
from shared.gateway.policies.concurrency.config import Concurrency
from shared.gateway.policies.content.config import Content
from shared.gateway.policies.correlation.config import Correlation
from shared.gateway.policies.cors.config import Cors
from shared.gateway.policies.deadline.config import Deadline
from shared.gateway.policies.idempotency.config import Idempotency
from shared.gateway.policies.ip_filter.config import IpFilter
from shared.gateway.policies.json_limits.config import JsonLimits
from shared.gateway.policies.jwt.config import Jwt
from shared.gateway.policies.lifecycle.config import Lifecycle
from shared.gateway.policies.load_shedding.config import LoadShedding
from shared.gateway.policies.masking.config import Masking
from shared.gateway.policies.proxies.config import Proxies
from shared.gateway.policies.rate_limit.config import RateLimit
from shared.gateway.policies.scopes.config import Scopes
from shared.gateway.policies.security_headers.config import SecurityHeaders
from shared.gateway.policies.size_limit.config import SizeLimit
from shared.gateway.policies.usage.config import Usage
from shared.gateway.reading import DocumentRefused as DocumentRefused  # noqa: PLC0414 - part of this room's face
from shared.gateway.reading import read_facts
from shared.gateway.registry import REGISTRY_FILE, ApiEntry, Registry
from shared.gateway.registry import load_registry as load_registry  # noqa: PLC0414 - part of this room's face

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLANS_FILE = "plans.yaml"
TIER_FILE = "tier.yaml"


class Policies(Facts):
    """The policies of one level; a lower level replaces a policy as a whole, `null` switches it off."""

    correlation: Correlation | None = None
    proxies: Proxies | None = None
    load_shedding: LoadShedding | None = None
    ip_filter: IpFilter | None = None
    size_limit: SizeLimit | None = None
    content: Content | None = None
    json_limits: JsonLimits | None = None
    deadline: Deadline | None = None
    jwt: Jwt | None = None
    scopes: Scopes | None = None
    rate_limit: RateLimit | None = None
    concurrency: Concurrency | None = None
    idempotency: Idempotency | None = None
    masking: Masking | None = None
    security_headers: SecurityHeaders | None = None
    cors: Cors | None = None
    access_log: AccessLog | None = None
    audit: Audit | None = None
    usage: Usage | None = None

    def under(self, lower: Policies) -> Policies:
        """These policies with those of a lower level laid over them."""
        return self.model_copy(update={name: getattr(lower, name) for name in lower.model_fields_set})


class Level(Facts):
    """What any level may say: policies for all its operations, and what a client plan changes in them."""

    policies: Policies = Policies()
    plans: dict[str, PlanPolicies] = Field(default_factory=dict, examples=[{"trial": {"size_limit": {"max_bytes": 1}}}])


class OperationFacts(Level):
    """One operation: who may call it and what differs from its version."""

    scopes: tuple[str, ...] = Field(default=(), description="All of them are needed.")
    one_of: tuple[str, ...] = Field(default=(), description="Besides `scopes`, at least one of these is needed.")
    public: str | None = Field(default=None, min_length=10, description="Why this is reachable without a token.")

    @model_validator(mode="after")
    def _open_or_guarded(self) -> Self:
        if bool(self.scopes or self.one_of) == bool(self.public):
            raise ValueError("an operation names either its scopes or the reason why it is public")
        return self


class VersionDocument(Level):
    """One major version of an API under its base path."""

    base: str = Field(pattern=r"^(/[a-z0-9.-]+)*$", examples=["/crm/v1"])
    operations: dict[str, OperationFacts] = Field(default_factory=dict, examples=[{"GET /opportunities": {}}])

    @model_validator(mode="after")
    def _operations_read_as_method_and_path(self) -> Self:
        for name in self.operations:
            method, _, path = name.partition(" ")
            if method not in METHODS or not path.startswith("/"):
                raise ValueError(f"`{name}` does not read as `METHOD /path`")
        return self


class ApiDocument(Level):
    """The policy document of one API; what the API is stands in the registry."""

    api: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    versions: dict[str, VersionDocument] = Field(min_length=1)


class VersionFacts(VersionDocument):
    """One major version with what the registry says of it."""

    lifecycle: Lifecycle = Lifecycle()
    release: str = "1.0.0"


class ApiFacts(Level):
    """One API: what it is, who keeps it, its versions."""

    api: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    owner: str
    audience: str
    published: bool = Field(default=True, description="Whether it gets a document of its own in openapi/.")
    versions: dict[str, VersionFacts] = Field(min_length=1)


class TierFacts(Facts):
    """What holds for every operation of a tier unless a lower level says otherwise."""

    policies: Policies


class PlanBook(Facts):
    """All client plans by name."""

    plans: dict[str, DeclaredPlan]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the chain compiles it.

    `plans` holds, by plan, the policies a plan sets otherwise; `origins` names the level each policy comes from, those
    of a plan under `<plan>:<policy>`.
    """

    api: str
    version: str
    method: str
    path: str
    scopes: tuple[str, ...]
    one_of: tuple[str, ...]
    is_public: bool
    policies: Policies
    lifecycle: Lifecycle
    plans: Mapping[str, PlanPolicies] = field(default_factory=dict[str, PlanPolicies])
    origins: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """How logs, metrics and refusals call it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class GatewayDocuments:
    """Everything declared for one tier; `folder` is where it was read from, if it was."""

    tier: str
    policies: Policies
    plans: dict[str, Plan]
    apis: tuple[ApiFacts, ...]
    folder: Path | None = None

    def operations(self) -> list[Operation]:
        """Every declared operation with its effective policies."""
        return [
            self._operation(api, version, facts, name)
            for api in self.apis
            for version, facts in api.versions.items()
            for name in facts.operations
        ]

    def _operation(self, api: ApiFacts, version: str, facts: VersionFacts, name: str) -> Operation:
        own = facts.operations[name]
        effective = self.policies
        origins = dict.fromkeys(effective.model_fields_set, "tier")
        levels = (("api", api), ("version", facts), ("operation", own))
        for level, said in levels:
            effective = effective.under(said.policies)
            origins |= dict.fromkeys(said.policies.model_fields_set, level)
        declared = {plan: book.policies for plan, book in self.plans.items() if isinstance(book, DeclaredPlan)}
        plans = {plan: said for plan, said in declared.items() if said.set_here()}
        origins |= {f"{plan}:{one}": f"plan {plan}" for plan, said in plans.items() for one in said.set_here()}
        for level, said in levels:
            for plan, lower in said.plans.items():
                plans[plan] = plans.get(plan, PlanPolicies()).under(lower)
                origins |= {f"{plan}:{one}": f"plan {plan} at {level}" for one in lower.set_here()}
        return Operation(
            api=api.api,
            version=version,
            method=name.partition(" ")[0],
            path=facts.base + name.partition(" ")[2],
            scopes=own.scopes,
            one_of=own.one_of,
            is_public=own.public is not None,
            policies=effective,
            lifecycle=facts.lifecycle,
            plans=plans,
            origins=origins,
        )


def load_documents(folder: Path, tier: str) -> GatewayDocuments:
    """Everything declared for `tier` below `folder`: registry.yaml, plans.yaml, <tier>/tier.yaml, one file per API.

    Raises: DocumentRefused with all findings of all files.
    """
    lines: list[str] = []
    found: dict[Path, Facts] = {}
    files: dict[Path, type[Facts]] = {
        folder / REGISTRY_FILE: Registry,
        folder / PLANS_FILE: PlanBook,
        folder / tier / TIER_FILE: TierFacts,
    }
    for path in sorted((folder / tier).glob("*.yaml")):
        files.setdefault(path, ApiDocument)
    for path, schema in files.items():
        try:
            found[path] = read_facts(path, schema)
        except DocumentRefused as refusal:
            lines += refusal.lines
    if lines:
        raise DocumentRefused(lines)
    registry = next(facts for facts in found.values() if isinstance(facts, Registry))
    plans: dict[str, Plan] = dict(next(facts.plans for facts in found.values() if isinstance(facts, PlanBook)))
    policies = next(facts.policies for facts in found.values() if isinstance(facts, TierFacts))
    documents = {path: facts for path, facts in found.items() if isinstance(facts, ApiDocument)}
    apis = _joined(documents, registry.of_tier(tier), folder / REGISTRY_FILE, tier)
    return GatewayDocuments(tier=tier, policies=policies, plans=plans, apis=apis, folder=folder)


def _joined(
    documents: Mapping[Path, ApiDocument], entries: Mapping[str, ApiEntry], registry: Path, tier: str
) -> tuple[ApiFacts, ...]:
    """Every document with its registry entry, which must name the same versions.

    Raises: DocumentRefused.
    """
    lines: list[str] = []
    apis: list[ApiFacts] = []
    for path, document in documents.items():
        entry = entries.get(document.api)
        if entry is None:
            lines.append(f"{path}: {tier}/{document.api} is not in {registry.name}")
        elif set(entry.versions) != set(document.versions):
            told = (
                f"{', '.join(sorted(document.versions))}, but {registry.name} names {', '.join(sorted(entry.versions))}"
            )
            lines.append(f"{path}: declares the versions {told}")
        else:
            apis.append(_api(document, entry))
    known = {document.api for document in documents.values()}
    lines += [f"{registry}: {tier}/{name} has no policy document" for name in entries if name not in known]
    if lines:
        raise DocumentRefused(lines)
    return tuple(apis)


def _api(document: ApiDocument, entry: ApiEntry) -> ApiFacts:
    versions = {
        name: VersionFacts(
            base=said.base,
            policies=said.policies,
            plans=said.plans,
            operations=said.operations,
            lifecycle=entry.versions[name].lifecycle,
            release=entry.versions[name].release,
        )
        for name, said in document.versions.items()
    }
    return ApiFacts(
        api=document.api,
        policies=document.policies,
        plans=document.plans,
        title=entry.title,
        description=entry.description,
        owner=entry.owner,
        audience=entry.audience,
        published=entry.published,
        versions=versions,
    )
