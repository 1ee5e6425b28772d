"""Rate limit: counts a request against its caller's plan and says how the windows stand; decides nothing else."""

from __future__ import annotations

from collections.abc import Awaitable

from shared.errors.taxonomy import LimitExceeded
from shared.gateway.kit import Kit
from shared.gateway.plans import Plan
from shared.gateway.policies.rate_limit.config import RateLimit, WhenDown
from shared.gateway.policies.rate_limit.counters import (
    Count,
    CountersUnreachable,
    LocalCounters,
    SharedCounters,
    Standing,
    count_of,
)
from shared.gateway.problem import CountersDown
from shared.gateway.supplies import Supplies

_REMEMBERED_CALLERS = 10_000
_FALLBACK_PLAN = "standard"


class RateLimitHandler:
    """Holds the prepared counters of every caller seen lately."""

    def __init__(
        self,
        config: RateLimit,
        supplies: Supplies,
        share: str,
        *,
        local: LocalCounters | None = None,
        shared: SharedCounters | None = None,
    ) -> None:
        """`share` names who counts together (tier, API or operation); exactly one kind of counters is given."""
        self._config = config
        self._plans = supplies.plans
        self._warn = supplies.warn_line
        self._share = share
        self._local = local
        self._shared = shared
        self._headers = {name: policy_header(plan) for name, plan in supplies.plans.items()}
        self._counts: dict[tuple[str, str], tuple[Count, ...]] = {}

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Count the request; refuse it when a window of the plan is full."""
        who, plan = self._caller(kit)
        kit.policy_header = self._headers[plan]
        counts = self._counts.get((plan, who)) or self._prepared(plan, who)
        if self._local is not None:
            self._judge(kit, counts, self._local.take(counts))
            return None
        return self._take_shared(kit, counts)

    async def _take_shared(self, kit: Kit, counts: tuple[Count, ...]) -> None:
        assert self._shared is not None  # noqa: S101 - made with one of the two
        try:
            standings = await self._shared.take(counts)
        except CountersUnreachable as error:
            self._warn({"event": "counters are down", "then": self._config.when_counters_are_down.value})
            if self._config.when_counters_are_down is WhenDown.REFUSE:
                raise CountersDown(retry_after=2) from error
            return
        self._judge(kit, counts, standings)

    def _judge(self, kit: Kit, counts: tuple[Count, ...], standings: list[Standing]) -> None:
        told: list[str] = []
        full: list[tuple[str, int]] = []
        for count, standing in zip(counts, standings, strict=True):
            told.append(f'"{count.window.name}";r={standing.remaining};t={standing.resets_in}')
            if not standing.has_room:
                full.append((count.window.name, standing.resets_in))
        kit.limit_header = ", ".join(told).encode()
        if full:
            names = [name for name, _ in full]
            raise LimitExceeded(
                f"The limit {' and '.join(names)} of the caller's plan is used up.",
                retry_after=max(wait for _, wait in full),
                extra={"violated-policies": names},
            )

    def _caller(self, kit: Kit) -> tuple[str, str]:
        principal = kit.principal
        plan = self._config.plan or (principal.plan if principal else "anonymous")
        if plan not in self._plans:
            plan = _FALLBACK_PLAN
        if principal is None or self._config.count_per == "address":
            return f"address:{kit.address}", plan
        if self._config.count_per == "tenant":
            return f"tenant:{principal.tenant}", plan
        return f"client:{principal.tenant}:{principal.client_id}", plan

    def _prepared(self, plan: str, who: str) -> tuple[Count, ...]:
        if len(self._counts) >= _REMEMBERED_CALLERS:
            self._counts.clear()
        counts = tuple(count_of(window, self._share, plan, who) for window in self._plans[plan].windows)
        self._counts[(plan, who)] = counts
        return counts


def policy_header(plan: Plan) -> bytes:
    """The RateLimit-Policy field of a plan (draft-ietf-httpapi-ratelimit-headers-11)."""
    return ", ".join(f'"{window.name}";q={window.requests};w={window.per_seconds}' for window in plan.windows).encode()
