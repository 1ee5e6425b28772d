"""What happens to the requests of one operation, in order, and where each setting comes from; nothing is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.gateway.chain import planned
from shared.gateway.document import ApiFacts, GatewayDocuments, Operation, VersionFacts
from shared.gateway.facts import Facts
from shared.gateway.order import ORDER, Phase
from shared.gateway.paths import PathTree

_FALLBACK_PLAN = "standard"
_CALLERLESS_PLAN = "anonymous"


@dataclass(frozen=True, slots=True)
class Explained:
    """One policy of the chain: `origin` is the level that decides it, `settings` None when it is off."""

    phase: Phase
    policy: str
    settings: dict[str, Any] | None
    origin: str
    is_dry: bool = False
    note: str = ""
    declared: frozenset[str] = frozenset()
    """The settings somebody wrote down; the others are defaults."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain of one operation as a caller with `plan` meets it; without a plan, as the documents declare it."""

    operation: Operation
    tier: str
    api: ApiFacts
    facts: VersionFacts
    plan: str | None
    public: str | None
    chain: tuple[Explained, ...]

    def document(self) -> dict[str, Any]:
        """For programs."""
        operation = self.operation
        return {
            "operation": operation.name,
            "tier": self.tier,
            "api": operation.api,
            "version": operation.version,
            "release": self.facts.release,
            "plan": self.plan,
            "scopes": list(operation.scopes),
            "one_of": list(operation.one_of),
            "public": self.public,
            "chain": [
                {
                    "phase": one.phase.value,
                    "policy": one.policy,
                    "settings": one.settings,
                    "from": one.origin,
                    "dry_run": one.is_dry,
                    "note": one.note,
                }
                for one in self.chain
            ],
        }


def find_operation(documents: GatewayDocuments, method: str, path: str) -> Operation | None:
    """The operation of a method and a path, which may be the template or a real path."""
    declared = {(one.method, one.path): one for one in documents.operations()}
    if (exact := declared.get((method, path))) is not None:
        return exact
    tree: PathTree[Operation] = PathTree()
    for (verb, template), operation in declared.items():
        tree.add(verb, template, operation)
    return tree.find("GET" if method == "HEAD" else method, path)


def explain(documents: GatewayDocuments, operation: Operation, plan: str | None = None) -> Explanation:
    """The effective chain of an operation, in order."""
    api = next(one for one in documents.apis if one.api == operation.api)
    facts = api.versions[operation.version]
    name = next(one for one in facts.operations if _reads(facts, one) == (operation.method, operation.path))
    chain: list[Explained] = []
    for phase, policies in ORDER.items():
        for policy in policies:
            if policy == "lifecycle":
                chain.append(_lifecycle(phase, facts))
            else:
                chain.append(_explained(documents, operation, phase, policy, plan))
    return Explanation(operation, documents.tier, api, facts, plan, facts.operations[name].public, tuple(chain))


def _reads(facts: VersionFacts, name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    return method, facts.base + path


def _lifecycle(phase: Phase, facts: VersionFacts) -> Explained:
    said = facts.lifecycle.model_dump(mode="json", exclude_none=True)
    settings = said | {"release": facts.release}
    return Explained(phase, "lifecycle", settings, "registry", declared=frozenset(settings))


def _explained(
    documents: GatewayDocuments, operation: Operation, phase: Phase, policy: str, plan: str | None
) -> Explained:
    own: Facts | None = getattr(operation.policies, policy)
    origin = operation.origins.get(policy, "")
    by_plan = planned(operation).get(policy, {})
    if own is None:
        return Explained(phase, policy, None, origin, note="switched off" if origin else "not declared")
    if operation.is_public and policy in {"jwt", "scopes"}:
        return Explained(phase, policy, None, "operation", note="public")
    met, note = own, ""
    if plan is not None and plan in by_plan:
        met, origin = by_plan[plan], operation.origins.get(f"{plan}:{policy}", f"plan {plan}")
    elif by_plan and plan is None:
        note = f"otherwise for plan {', '.join(sorted(by_plan))}"
    if (idle := _idle(policy, own)) is not None:
        return Explained(phase, policy, None, origin, note=idle)
    settings, declared = (
        _settings(met),
        met.model_fields_set | {"needed", "one_of", "windows", "at_once", "plan", "bound_callers"},
    )
    if policy == "scopes":
        needed = {"needed": list(operation.scopes), "one_of": list(operation.one_of)}
        settings = {name: value for name, value in needed.items() if value} | settings
    elif policy == "rate_limit":
        settings = _settings(own) | _windows(documents, operation, plan, met)
        declared |= own.model_fields_set
    elif policy == "concurrency" and "per_client" not in settings:
        counted = documents.plans.get(_CALLERLESS_PLAN if operation.is_public else plan or "")
        settings = {"at_once": counted.at_once if counted else None} | settings
    is_dry = bool(getattr(own, "dry_run", False))
    return Explained(phase, policy, settings, origin, is_dry=is_dry, note=note, declared=frozenset(declared))


def _idle(policy: str, config: Any) -> str | None:
    """Why a policy that is declared has nothing to do."""
    if policy == "proxies" and not config.trusted:
        return "nobody is trusted"
    if policy == "cors" and not config.origins:
        return "no origin is let in"
    return None


def _settings(facts: Facts) -> dict[str, Any]:
    return facts.model_dump(mode="json", exclude_none=True, exclude={"dry_run"})


def _windows(documents: GatewayDocuments, operation: Operation, plan: str | None, met: Facts) -> dict[str, Any]:
    """What is counted for that plan: its own windows, or those it has just here."""
    config = operation.policies.rate_limit
    assert config is not None  # noqa: S101 - asked for before
    counted = config.plan or plan
    if counted is None:
        return {}
    own: Mapping[str, Any] = _settings(met)
    book = documents.plans.get(counted) or documents.plans[_FALLBACK_PLAN]
    windows = own.get("windows") or [window.model_dump(mode="json") for window in book.windows]
    shared = own["share"] if "windows" in own else config.share
    return {"windows": windows, "plan": counted, "share": shared}


def plans_of_callers(documents: GatewayDocuments, operation: Operation) -> list[str]:
    """The plans that callers of an operation may have."""
    return [_CALLERLESS_PLAN] if operation.is_public else sorted(documents.plans)
