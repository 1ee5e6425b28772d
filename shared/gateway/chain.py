"""The order of the policies, written once, and its compilation into one flat chain per operation.

RECEIVE → VERSION → AUTHENTICATE → AUTHORISE → ADMIT → REMEMBER → ANSWER → DRESS
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from shared.gateway.document import DocumentRefused, GatewayDocuments, Operation
from shared.gateway.facts import Facts
from shared.gateway.kit import App, Headers, Kit
from shared.gateway.policies.access_log.handler import AccessLogHandler
from shared.gateway.policies.audit.handler import AuditHandler
from shared.gateway.policies.content.handler import ContentHandler
from shared.gateway.policies.correlation.config import Correlation
from shared.gateway.policies.correlation.handler import CorrelationHandler
from shared.gateway.policies.cors.handler import CorsHandler
from shared.gateway.policies.idempotency.handler import IdempotencyHandler
from shared.gateway.policies.jwt.handler import JwtHandler
from shared.gateway.policies.lifecycle.config import Lifecycle
from shared.gateway.policies.lifecycle.handler import is_retired, lifecycle_headers, retired
from shared.gateway.policies.rate_limit.handler import RateLimitHandler
from shared.gateway.policies.rate_limit.local import process_counters
from shared.gateway.policies.rate_limit.replicated import ReplicatedCounters
from shared.gateway.policies.scopes.handler import ScopesHandler
from shared.gateway.policies.security_headers.handler import security_headers
from shared.gateway.policies.size_limit.handler import SizeLimitHandler
from shared.gateway.supplies import Supplies

Step = Callable[[Kit], Awaitable[object] | None]
Dresser = Callable[[Kit, Headers], None]
After = Callable[[Kit], None]
_H = TypeVar("_H")
_F = TypeVar("_F", bound=Facts)


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
    observers: dict[int, Callable[[float], None]] = field(default_factory=dict[int, Callable[[float], None]])


class Compiler:
    """Makes chains; handlers with the same configuration are made once and shared."""

    def __init__(self, documents: GatewayDocuments, supplies: Supplies) -> None:
        self._documents = documents
        self._supplies = supplies
        self._made: dict[tuple[object, ...], object] = {}
        is_local = supplies.counters_url.startswith("memory:")
        self._local = process_counters() if is_local else None
        self._shared = None if is_local else ReplicatedCounters(supplies.counters_url)

    def chain(self, operation: Operation) -> Chain:
        """The flat chain of an operation.

        Raises: DocumentRefused when the policies do not fit together.
        """
        policies = operation.policies
        steps: list[Step] = []
        # RECEIVE
        if policies.correlation is not None:
            steps.append(self._correlation(policies.correlation).enter)
        if policies.size_limit is not None:
            steps.append(self._once(SizeLimitHandler, policies.size_limit).enter)
        if policies.content is not None:
            steps.append(self._once(ContentHandler, policies.content).enter)
        # VERSION
        if operation.lifecycle.sunset_at is not None or is_retired(operation.lifecycle, _now(self._supplies)):
            steps.append(_sunset(operation.lifecycle, self._supplies))
        if not operation.is_public:
            # AUTHENTICATE
            if policies.jwt is None or policies.scopes is None:
                raise DocumentRefused([f"{operation.name}: an operation with scopes needs the policies jwt and scopes"])
            steps.append(self._jwt(operation).enter)
            # AUTHORISE
            steps.append(ScopesHandler(policies.scopes, operation.scopes, operation.one_of).enter)
        # ADMIT
        if policies.rate_limit is not None:
            steps.append(self._rate_limit(operation).enter)
        # REMEMBER
        if policies.idempotency is not None:
            if self._supplies.idempotency is None:
                raise DocumentRefused([f"{operation.name}: idempotency needs a store, and this tier was given none"])
            steps.append(IdempotencyHandler(policies.idempotency, self._supplies.idempotency, operation.name).enter)
        return self._dressed(Chain(operation.name, operation.api, tuple(steps), operation=operation), operation)

    def plain(self, name: str, step: Step, lifecycle: Lifecycle | None = None) -> Chain:
        """The chain of requests no operation is declared for: it refuses, dressed as the tier's answers are."""
        policies = self._documents.policies
        steps: list[Step] = []
        if policies.correlation is not None:
            steps.append(self._correlation(policies.correlation).enter)
        chain = Chain(name, "none", (*steps, step))
        if policies.security_headers is not None:
            chain.headers += security_headers(policies.security_headers)
        if lifecycle is not None:
            chain.headers += lifecycle_headers(lifecycle)
        if policies.access_log is not None:
            chain.afters = (AccessLogHandler(policies.access_log, self._supplies.access_line, name).after,)
        return chain

    async def aclose(self) -> None:
        """Close the connection to shared counters, where there is one."""
        if self._shared is not None:
            await self._shared.aclose()

    def _dressed(self, chain: Chain, operation: Operation) -> Chain:
        policies = operation.policies
        if policies.security_headers is not None:
            chain.headers += security_headers(policies.security_headers)
        chain.headers += lifecycle_headers(operation.lifecycle)
        if policies.cors is not None and policies.cors.origins:
            chain.cors = self._once(CorsHandler, policies.cors)
            chain.dressers = (chain.cors.dress,)
        afters: list[After] = []
        if policies.access_log is not None:
            afters.append(AccessLogHandler(policies.access_log, self._supplies.access_line, operation.name).after)
        if policies.audit is not None:
            afters.append(AuditHandler(self._supplies.audit_line, operation.name, operation.api).after)
        chain.afters = tuple(afters)
        return chain

    def _once(self, kind: Callable[[_F], _H], config: _F) -> _H:
        return self._kept((kind, config.model_dump_json()), lambda: kind(config))

    def _kept(self, key: tuple[object, ...], make: Callable[[], _H]) -> _H:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def _correlation(self, config: Correlation) -> CorrelationHandler:
        is_traced = self._supplies.is_traced
        return self._kept((CorrelationHandler, config), lambda: CorrelationHandler(config, is_traced=is_traced))

    def _jwt(self, operation: Operation) -> JwtHandler:
        config = operation.policies.jwt
        assert config is not None  # noqa: S101 - asked for before
        return self._kept((JwtHandler, config.model_dump_json()), lambda: JwtHandler(config, self._supplies))

    def _rate_limit(self, operation: Operation) -> RateLimitHandler:
        config = operation.policies.rate_limit
        assert config is not None  # noqa: S101 - asked for before
        plans = self._supplies.plans
        for needed in ("standard", "anonymous", config.plan):
            if needed is not None and needed not in plans:
                raise DocumentRefused([f"{operation.name}: there is no plan `{needed}` in plans.yaml"])
        share = {
            "tier": self._supplies.tier,
            "api": f"{self._supplies.tier}:{operation.api}",
            "operation": f"{self._supplies.tier}:{operation.name}",
        }[config.share]
        return self._kept(
            (RateLimitHandler, config.model_dump_json(), share),
            lambda: RateLimitHandler(config, self._supplies, share, local=self._local, shared=self._shared),
        )


def _now(supplies: Supplies) -> datetime:
    return datetime.fromtimestamp(supplies.now(), UTC)


def _sunset(config: Lifecycle, supplies: Supplies) -> Step:
    def enter(_kit: Kit) -> None:
        if is_retired(config, _now(supplies)):
            raise retired(config)

    return enter
