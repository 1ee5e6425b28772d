"""What is allowed in policy documents and yet deserves a second look; declared facts enter, sentences leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network

from shared.gateway.document import GatewayDocuments, Operation, Registry
from shared.gateway.order import ORDER
from shared.gateway.policies.lifecycle.config import Lifecycle, LifecycleState
from shared.gateway.policies.lifecycle.handler import is_retired

_WIDEST = (8, 16)
_LONG_LEEWAY = 60
_SOON = timedelta(days=30)
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(slots=True)
class Risk:
    """A rule, where it was met, and the operations it reaches (none: all of it)."""

    rule: str
    where: str
    text: str
    operations: list[str] = field(default_factory=list[str])


def risks(documents: GatewayDocuments) -> list[Risk]:
    """Everything in one tier's documents that deserves a second look, each once with all operations it reaches."""
    found: dict[tuple[str, str, str], Risk] = {}
    for operation in documents.operations():
        for rule, policy, text in _of_operation(operation):
            level = operation.origins.get(policy, "api")
            where = _where(documents.tier, operation, level)
            found.setdefault((rule, where, text), Risk(rule, where, text)).operations.append(operation.name)
    return list(found.values())


def _where(tier: str, operation: Operation, level: str) -> str:
    if level == "tier":
        return f"{tier}/tier.yaml"
    return f"{tier}/{operation.api}.yaml" + {"version": f" {operation.version}"}.get(level, "")


def _of_operation(operation: Operation) -> Iterator[tuple[str, str, str]]:
    """Rule, the policy it is about, and what to know."""
    policies = operation.policies
    for name in (name for names in ORDER.values() for name in names if name != "lifecycle"):
        config = getattr(policies, name)
        if config is not None and getattr(config, "dry_run", False):
            yield "dry-run", name, f"{name} runs dry: it refuses nothing"
    for rule, policy, holds, text in _RULES:
        if holds(operation):
            yield rule, policy, text


def _admits_uncounted(operation: Operation) -> bool:
    limit = operation.policies.rate_limit
    return limit is not None and limit.when_counters_are_down.value == "admit"


def _admits_unsure(operation: Operation) -> bool:
    jwt = operation.policies.jwt
    return not operation.is_public and jwt is not None and jwt.when_revocations_are_stale == "admit"


def _admits_replays(operation: Operation) -> bool:
    jwt = operation.policies.jwt
    dpop = jwt.dpop if jwt is not None and not operation.is_public else None
    return dpop is not None and dpop.when_proofs_cannot_be_remembered == "admit"


def _is_tolerant(operation: Operation) -> bool:
    jwt = operation.policies.jwt
    return not operation.is_public and jwt is not None and jwt.leeway_seconds > _LONG_LEEWAY


def _believes_all(operation: Operation) -> bool:
    proxies = operation.policies.proxies
    nets = proxies.trusted if proxies is not None else ()
    return any(net.prefixlen < _WIDEST[ip_network(net).version == 6] for net in nets)  # noqa: PLR2004 - IPv6


def _repeats(operation: Operation) -> bool:
    return operation.method == "POST" and not operation.is_public and operation.policies.idempotency is None


def _is_open_to_all_pages(operation: Operation) -> bool:
    return operation.policies.cors is not None and "*" in operation.policies.cors.origins


_RULES: tuple[tuple[str, str, Callable[[Operation], bool], str], ...] = (
    (
        "limits-open",
        "rate_limit",
        _admits_uncounted,
        "while shared counters are silent every request is admitted uncounted (when_counters_are_down: admit)",
    ),
    (
        "revocations-open",
        "jwt",
        _admits_unsure,
        "while the feed of revocations is stale withdrawn tokens still count (when_revocations_are_stale: admit)",
    ),
    ("proofs-open", "jwt", _admits_replays, "while used proofs cannot be remembered a replayed one counts"),
    ("leeway", "jwt", _is_tolerant, "expired tokens count for more than a minute"),
    ("proxies-wide", "proxies", _believes_all, "nearly anybody is believed about the caller's address"),
    ("cors-all", "cors", _is_open_to_all_pages, "scripts of every page on the web may read the answers"),
    ("unlimited", "rate_limit", lambda one: one.policies.rate_limit is None, "requests are not counted"),
    ("unsized", "size_limit", lambda one: one.policies.size_limit is None, "bodies may be of any size"),
    ("endless", "deadline", lambda one: one.policies.deadline is None, "a request may take for ever"),
    (
        "unaudited",
        "audit",
        lambda one: one.method in _WRITES and one.policies.audit is None,
        "changes leave no line in the audit log",
    ),
    (
        "bare",
        "security_headers",
        lambda one: one.policies.security_headers is None,
        "answers carry no security headers",
    ),
    ("repeats", "idempotency", _repeats, "a repeated POST is done again (no idempotency)"),
)


def lifecycle_risks(registry: Registry, documents: list[GatewayDocuments], now: datetime) -> list[Risk]:
    """What the registry promises that does not fit together, or falls due soon."""
    bases = {
        (one.tier, api.api, name): facts.base
        for one in documents
        for api in one.apis
        for name, facts in api.versions.items()
    }
    known = set(bases.values())
    found: list[Risk] = []
    for entry in registry.apis:
        for name, version in entry.versions.items():
            where = f"registry.yaml {entry.tier}/{entry.name} {name}"
            found += [Risk("lifecycle", where, text) for text in _of_version(version, known, now)]
            base = bases.get((entry.tier, entry.name, name))
            if base is not None and version.successor == base:
                found.append(Risk("lifecycle", where, "is its own successor"))
    return found


def _of_version(said: Lifecycle, known: set[str], now: datetime) -> Iterator[str]:
    if said.successor is not None and said.successor.startswith("/") and said.successor not in known:
        yield f"its successor {said.successor} is no version that is declared"
    if said.state is LifecycleState.DEPRECATED and said.sunset_at is None:
        yield "is deprecated without a date at which it ends (sunset_at)"
    if said.state in {LifecycleState.DEPRECATED, LifecycleState.RETIRED} and said.successor is None:
        yield f"is {said.state.value} and names no successor"
    if said.state is not LifecycleState.RETIRED and said.sunset_at is not None:
        if is_retired(said, now):
            yield f"its sunset has passed: it answers 410, though its state is {said.state.value}"
        elif said.sunset_at - now < _SOON:
            yield f"ends within {_SOON.days} days, at {said.sunset_at.isoformat()}"
