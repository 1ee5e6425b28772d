"""Compiles the policies of an operation into one flat chain, in the order of `order.py`; nothing is answered here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.errors.taxonomy import PlatformError
from shared.gateway.document import DocumentRefused, GatewayDocuments, Operation
from shared.gateway.dry import DryRun, dry
from shared.gateway.facts import Facts, PolicyFacts
from shared.gateway.handlers import Handlers
from shared.gateway.kit import App, Headers, Kit
from shared.gateway.order import EVERYWHERE, ORDER, Phase
from shared.gateway.overrides import OwnWindows
from shared.gateway.policies.access_log.handler import AccessLogHandler
from shared.gateway.policies.audit.handler import AuditHandler
from shared.gateway.policies.cors.handler import CorsHandler
from shared.gateway.policies.jwt.challenge import metadata_address
from shared.gateway.policies.lifecycle.config import Lifecycle
from shared.gateway.policies.lifecycle.handler import catalog_link, is_retired, lifecycle_headers, retired
from shared.gateway.policies.proxies.config import Proxies
from shared.gateway.policies.security_headers.config import SecurityHeaders
from shared.gateway.policies.security_headers.handler import hsts, security_headers
from shared.gateway.policies.usage.handler import UsageHandler
from shared.gateway.supplies import Supplies

Step = Callable[[Kit], Awaitable[object] | None]
Dresser = Callable[[Kit, Headers], None]
After = Callable[[Kit], None]
_FALLBACK_PLAN = "standard"
_CALLERLESS_PLAN = "anonymous"
_ON_THE_WAY_IN = tuple(phase for phase in Phase if phase not in {Phase.DRESS, Phase.AFTER})


@dataclass(slots=True)
class Chain:
    """What happens to the requests of one operation, flat and in order."""

    name: str
    api: str
    steps: tuple[Step, ...] = ()
    headers: Headers = field(default_factory=list[tuple[bytes, bytes]])
    dressers: tuple[Dresser, ...] = ()
    afters: tuple[After, ...] = ()
    cors: CorsHandler | None = None
    operation: Operation | None = None
    target: App | None = None
    metadata: str = ""
    proof_algorithms: str = ""
    dry_deadline: Callable[[Kit, PlatformError], None] | None = None
    block: bytes = b""
    observers: dict[int, Callable[[float], None]] = field(default_factory=dict[int, Callable[[float], None]])


def header_lines(headers: Headers) -> bytes:
    """Headers as they stand in an answer.

    Raises: ValueError when one would end its line early.
    """
    if any(sign in part for header in headers for part in header for sign in (b"\r", b"\n", b"\0")):
        raise ValueError("a header holds the end of a line")
    return b"".join(b"%b: %b\r\n" % header for header in headers)


class Compiler:
    """Makes chains; handlers with the same configuration are made once and shared, also with an `earlier` compiler."""

    def __init__(self, documents: GatewayDocuments, supplies: Supplies, earlier: Compiler | None = None) -> None:
        """`earlier` hands on its counters and every handler whose configuration stayed the same, with what it knows."""
        self._documents = documents
        self.handlers = Handlers(documents, supplies, earlier.handlers if earlier else None)
        self._supplies = self.handlers.supplies

    def chain(self, operation: Operation) -> Chain:
        """The flat chain of an operation.

        Raises: DocumentRefused when the policies do not fit together.
        """
        self._refuse_misfits(operation)
        steps: list[Step] = []
        for phase in _ON_THE_WAY_IN:
            if phase is Phase.ADMIT:
                steps += self._of_plans(operation)
            for name in ORDER[phase]:
                step = self._lifecycle(operation) if name == "lifecycle" else self._step(operation, name)
                if step is not None:
                    steps.append(step)
        return self._dressed(Chain(operation.name, operation.api, tuple(steps), operation=operation), operation)

    def plain(self, name: str, step: Step, lifecycle: Lifecycle | None = None) -> Chain:
        """The chain of requests no operation is declared for: it refuses, dressed as the tier's answers are."""
        policies = self._documents.policies
        nowhere = Operation("none", "", "", name, (), (), is_public=True, policies=policies, lifecycle=Lifecycle())
        steps = [made for one in EVERYWHERE if (made := self._step(nowhere, one)) is not None]
        chain = Chain(name, "none", (*steps, step))
        if policies.security_headers is not None:
            self._secure(chain, policies.security_headers)
        chain.headers += lifecycle_headers(lifecycle) if lifecycle else catalog_link()
        if policies.access_log is not None:
            chain.afters = (AccessLogHandler(policies.access_log, self._supplies.access_form, name).after,)
        return chain

    def _refuse_misfits(self, operation: Operation) -> None:
        policies, plans = operation.policies, self._documents.plans
        lines: list[str] = []
        if not operation.is_public and (policies.jwt is None or policies.scopes is None):
            lines.append("an operation with scopes needs the policies jwt and scopes")
        if policies.rate_limit is not None:
            needed = (_FALLBACK_PLAN, _CALLERLESS_PLAN, policies.rate_limit.plan)
            lines += [
                f"there is no plan `{one}` in plans.yaml" for one in needed if one is not None and one not in plans
            ]
        lines += [f"plans.{one}: there is no such plan in plans.yaml" for one in operation.plans if one not in plans]
        if policies.idempotency is not None and self._supplies.idempotency is None:
            lines.append("idempotency needs a store, and this tier was given none")
        if lines:
            raise DocumentRefused([f"{operation.name}: {line}" for line in lines])

    def _step(self, operation: Operation, name: str) -> Step | None:
        """What a policy does on the way in, or None where it is off."""
        config = first_met(operation, name)
        if config is None or (operation.is_public and name in {"jwt", "scopes"}):
            return None
        if isinstance(config, Proxies) and not config.trusted:
            return None
        if name in ORDER[Phase.ADMIT] and (by_plan := planned(operation).get(name)):
            return self._by_plan(operation, name, by_plan)
        return self._tried(operation, name, config)

    def _of_plans(self, operation: Operation) -> list[Step]:
        """What was received is looked at once more, by the caller's plan, where a plan differs."""
        if operation.is_public:
            return []
        received = {name: said for name, said in planned(operation).items() if name in ORDER[Phase.RECEIVE]}
        return [self._by_plan(operation, name, by_plan) for name, by_plan in received.items()]

    def _by_plan(self, operation: Operation, name: str, by_plan: Mapping[str, Facts]) -> Step:
        """The policy as each plan has it, chosen by one look-up."""
        own = getattr(operation.policies, name)
        table = {plan: self._tried(operation, name, by_plan.get(plan, own), plan) for plan in self._documents.plans}
        fallback = table[_FALLBACK_PLAN]
        callerless = table[_CALLERLESS_PLAN]

        def enter(kit: Kit) -> Awaitable[object] | None:
            principal = kit.principal
            return (table.get(principal.plan, fallback) if principal else callerless)(kit)

        return enter

    def _tried(self, operation: Operation, name: str, config: Any, plan: str = "") -> Step:
        if isinstance(config, OwnWindows):
            windows, config = config, operation.policies.rate_limit
            step: Step = self.handlers.own_windows(operation, config, plan, windows).enter
        else:
            step = self.handlers.of(operation, name, config).enter
        return dry(step, name, operation.name, self._supplies) if config.dry_run else step

    def _lifecycle(self, operation: Operation) -> Step | None:
        config, supplies = operation.lifecycle, self._supplies
        if config.sunset_at is None and not is_retired(config, now(supplies)):
            return None

        def enter(_kit: Kit) -> None:
            if is_retired(config, now(supplies)):
                raise retired(config)

        return enter

    @staticmethod
    def _secure(chain: Chain, config: SecurityHeaders) -> None:
        chain.headers += security_headers(config)
        if (only_on_https := hsts(config)) is not None:
            chain.dressers = (*chain.dressers, only_on_https)

    def _dressed(self, chain: Chain, operation: Operation) -> Chain:
        policies = operation.policies
        if policies.deadline is not None and policies.deadline.dry_run:
            chain.dry_deadline = DryRun("deadline", operation.name, self._supplies).note
        chain.metadata = metadata_address(self._supplies.public_url, operation.path, operation.version)
        if policies.jwt is not None and policies.jwt.dpop is not None:
            chain.proof_algorithms = " ".join(policies.jwt.dpop.algorithms)
        if policies.security_headers is not None:
            self._secure(chain, policies.security_headers)
        chain.headers += lifecycle_headers(operation.lifecycle)
        if policies.cors is not None and policies.cors.origins:
            chain.cors = cors = self.handlers.of(operation, "cors", policies.cors)
            chain.dressers = (*chain.dressers, cors.dress)
        afters: list[After] = []
        if policies.access_log is not None:
            afters.append(AccessLogHandler(policies.access_log, self._supplies.access_form, operation.name).after)
        if policies.audit is not None:
            afters.append(AuditHandler(self._supplies.audit_line, operation.name, operation.api).after)
        if policies.usage is not None and self._supplies.usage is not None:
            counted = UsageHandler(self._supplies.usage, operation.api, operation.version, operation.name)
            afters.append(counted.after)
        chain.afters = tuple(afters)
        return chain


def planned(operation: Operation) -> Mapping[str, Mapping[str, Facts]]:
    """By policy: the plans that set it otherwise. A plan changes what an operation has, it switches nothing on."""
    found: dict[str, dict[str, Facts]] = {}
    for plan, said in operation.plans.items():
        for name in said.set_here():
            if getattr(operation.policies, name) is not None:
                found.setdefault(name, {})[plan] = getattr(said, name)
    return found


def first_met(operation: Operation, name: str) -> PolicyFacts | None:
    """The configuration a request meets on the way in, before its plan is known.

    A size that differs by plan is first limited to the largest of them; JSON limits that differ by plan wait for it.
    Whoever calls a public operation has the plan `anonymous`.
    """
    config: Any = getattr(operation.policies, name)
    by_plan: Mapping[str, Any] = planned(operation).get(name, {})
    if config is None or not by_plan:
        return config
    if operation.is_public and name in ORDER[Phase.RECEIVE]:
        return by_plan.get(_CALLERLESS_PLAN, config)
    if name == "size_limit":
        return max((config, *by_plan.values()), key=lambda one: one.max_bytes)
    return None if name == "json_limits" else config


def now(supplies: Supplies) -> datetime:
    """The present instant of the tier's clock."""
    return datetime.fromtimestamp(supplies.now(), UTC)
