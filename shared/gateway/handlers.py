"""Makes the handlers of the policies, each once per distinct configuration; configurations and supplies enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from shared.gateway.document import GatewayDocuments, Operation
from shared.gateway.overrides import OwnWindows
from shared.gateway.policies.concurrency.handler import ConcurrencyHandler
from shared.gateway.policies.content.handler import ContentHandler
from shared.gateway.policies.correlation.handler import CorrelationHandler
from shared.gateway.policies.cors.handler import CorsHandler
from shared.gateway.policies.deadline.handler import DeadlineHandler
from shared.gateway.policies.idempotency.handler import IdempotencyHandler
from shared.gateway.policies.ip_filter.handler import IpFilterHandler
from shared.gateway.policies.json_limits.handler import JsonLimitsHandler
from shared.gateway.policies.jwt.handler import JwtHandler
from shared.gateway.policies.load_shedding.handler import LoadSheddingHandler
from shared.gateway.policies.masking.handler import MaskingHandler
from shared.gateway.policies.proxies.handler import ProxiesHandler
from shared.gateway.policies.rate_limit.handler import RateLimitHandler
from shared.gateway.policies.rate_limit.local import process_counters
from shared.gateway.policies.rate_limit.replicated import ReplicatedCounters
from shared.gateway.policies.scopes.handler import ScopesHandler
from shared.gateway.policies.size_limit.handler import SizeLimitHandler
from shared.gateway.supplies import Supplies

_H = TypeVar("_H")
_OF_CONFIG_ALONE: dict[str, Callable[[Any], Any]] = {
    "proxies": ProxiesHandler,
    "ip_filter": IpFilterHandler,
    "size_limit": SizeLimitHandler,
    "content": ContentHandler,
    "json_limits": JsonLimitsHandler,
    "deadline": DeadlineHandler,
    "masking": MaskingHandler,
    "cors": CorsHandler,
}


class Handlers:
    """All handlers of one state of the documents.

    Those of an earlier state whose configuration stayed the same are taken over with all they know (keys, verified
    tokens); counters are taken over in any case.
    """

    def __init__(self, documents: GatewayDocuments, supplies: Supplies, earlier: Handlers | None = None) -> None:
        self.supplies = replace(supplies, plans=documents.plans)
        self.made: dict[tuple[object, ...], object] = {}
        self._plans = repr(sorted(documents.plans.items()))
        self._earlier = earlier.made if earlier else {}
        is_local = supplies.counters_url.startswith("memory:")
        if earlier is not None:
            self.local, self.shared = earlier.local, earlier.shared
        else:
            self.local = process_counters()
            self.shared = (
                None
                if is_local
                else ReplicatedCounters(supplies.counters_url, tier=supplies.tier, warn=supplies.warn_line)
            )

    def of(self, operation: Operation, name: str, config: Any) -> Any:
        """The handler of the policy `name` at an operation."""
        if name in _OF_CONFIG_ALONE:
            return self.kept((name, config.model_dump_json()), lambda: _OF_CONFIG_ALONE[name](config))
        make: Callable[[Operation, Any], Any] = getattr(self, f"_{name}")
        return make(operation, config)

    async def aclose(self) -> None:
        """Close the connection to shared counters, where there is one."""
        if self.shared is not None:
            await self.shared.aclose()

    def kept(self, key: tuple[object, ...], make: Callable[[], _H]) -> _H:
        """What was made for that key, or is made now."""
        if key not in self.made:
            self.made[key] = self._earlier.get(key) or make()
        return self.made[key]  # type: ignore[return-value]

    def _correlation(self, _operation: Operation, config: Any) -> CorrelationHandler:
        is_traced = self.supplies.is_traced
        key = ("correlation", config.model_dump_json())
        return self.kept(key, lambda: CorrelationHandler(config, is_traced=is_traced))

    def _load_shedding(self, _operation: Operation, config: Any) -> LoadSheddingHandler:
        key = ("load_shedding", config.model_dump_json())
        return self.kept(key, lambda: LoadSheddingHandler(config, self.supplies.places))

    def _jwt(self, _operation: Operation, config: Any) -> JwtHandler:
        return self.kept(("jwt", config.model_dump_json()), lambda: JwtHandler(config, self.supplies))

    def _scopes(self, operation: Operation, config: Any) -> ScopesHandler:
        return ScopesHandler(config, operation.scopes, operation.one_of)

    def _rate_limit(self, operation: Operation, config: Any) -> RateLimitHandler:
        return self._counting(config, self.supplies, self._share(operation, config.share))

    def own_windows(self, operation: Operation, config: Any, plan: str, own: OwnWindows) -> RateLimitHandler:
        """The rate limit of one plan that has windows of its own at this operation, or in all of its API."""
        plans = {**self.supplies.plans, plan: self.supplies.plans[plan].model_copy(update={"windows": own.windows})}
        share = f"{self._share(operation, own.share)}:{plan}"
        return self._counting(config, replace(self.supplies, plans=plans), share)

    def _share(self, operation: Operation, share: str) -> str:
        tier = self.supplies.tier
        return {"tier": tier, "api": f"{tier}:{operation.api}", "operation": f"{tier}:{operation.name}"}[share]

    def _counting(self, config: Any, supplies: Supplies, share: str) -> RateLimitHandler:
        return self.kept(
            ("rate_limit", config.model_dump_json(), share, repr(sorted(supplies.plans.items()))),
            lambda: RateLimitHandler(config, supplies, share, local=self.local, shared=self.shared),
        )

    def _concurrency(self, operation: Operation, config: Any) -> ConcurrencyHandler:
        key = ("concurrency", config.model_dump_json(), operation.name, self._plans)
        return self.kept(key, lambda: ConcurrencyHandler(config, self.supplies, operation.name))

    def _idempotency(self, operation: Operation, config: Any) -> IdempotencyHandler:
        assert self.supplies.idempotency is not None  # noqa: S101 - asked for before
        return IdempotencyHandler(config, self.supplies.idempotency, operation.name)
