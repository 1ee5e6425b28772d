"""Rate limit: counts a request against its caller's plan and says how the windows stand; decides nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass
from hashlib import sha256

from shared.errors.taxonomy import LimitExceeded
from shared.gateway.kit import Kit
from shared.gateway.plans import Plan, Window
from shared.gateway.policies.rate_limit.config import RateLimit, WhenDown
from shared.gateway.policies.rate_limit.counters import (
    Count,
    CountersUnreachable,
    LocalCounters,
    LocalPurse,
    Purse,
    SharedCounters,
    Standing,
    count_of,
)
from shared.gateway.refusals import CountersDown
from shared.gateway.supplies import Supplies

_REMEMBERED_CALLERS = 10_000
_FALLBACK_PLAN = "standard"
_RETRY_SECONDS = 2
_PARTITION_BYTES = 9


@dataclass(slots=True)
class _Account:
    """A caller with everything about it that does not change from request to request."""

    counts: tuple[Count, ...]
    purse: Purse
    alone: LocalPurse
    policy_header: bytes
    told: tuple[str, ...]
    partition: str


class RateLimitHandler:
    """Holds the prepared accounts of every caller seen lately."""

    def __init__(
        self, config: RateLimit, supplies: Supplies, share: str, *, local: LocalCounters, shared: SharedCounters | None
    ) -> None:
        """`share` names who counts together (tier, API or operation); `shared` counters come before `local` ones."""
        self._config = config
        self._plans = supplies.plans
        self._warn = supplies.warn_line
        self._share = share
        self._local = local
        self._shared = shared
        self._warned = 0
        self._accounts: dict[tuple[str, str], _Account] = {}

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Count the request; refuse it when a window of the plan is full."""
        who, plan = self._caller(kit)
        account = self._accounts.get((plan, who)) or self._prepared(plan, who)
        kit.policy_header = account.policy_header
        try:
            found = account.purse.take()
        except CountersUnreachable as error:
            self._without_counters(kit, account, error)
            return None
        if isinstance(found, list):
            self._judge(kit, account, found)
            return None
        return self._wait(kit, account, found)

    async def _wait(self, kit: Kit, account: _Account, found: Awaitable[list[Standing]]) -> None:
        try:
            standings = await found
        except CountersUnreachable as error:
            self._without_counters(kit, account, error)
        else:
            self._judge(kit, account, standings)

    def _without_counters(self, kit: Kit, account: _Account, error: CountersUnreachable) -> None:
        decision = self._config.when_counters_are_down
        if self._shared is not None and self._warned != self._shared.outages:
            self._warned = self._shared.outages
            self._warn({"event": "counters are down", "then": decision.value, "share": self._share})
        if decision is WhenDown.REFUSE:
            raise CountersDown(retry_after=_RETRY_SECONDS) from error
        if decision is WhenDown.LOCAL:
            self._judge(kit, account, account.alone.take())

    def _judge(self, kit: Kit, account: _Account, standings: list[Standing]) -> None:
        is_full = False
        told: list[str] = []
        for name, standing in zip(account.told, standings, strict=True):
            has_room, remaining, resets_in = standing
            told.append(f"{name}{remaining};t={resets_in}{account.partition}")
            if not has_room:
                is_full = True
        kit.limit_header = ", ".join(told).encode()
        if is_full:
            self._refuse(account, standings)

    def _refuse(self, account: _Account, standings: list[Standing]) -> None:
        full = [
            (count.window.name, standing.resets_in)
            for count, standing in zip(account.counts, standings, strict=True)
            if not standing.has_room
        ]
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

    def _prepared(self, plan: str, who: str) -> _Account:
        if len(self._accounts) >= _REMEMBERED_CALLERS:
            self._accounts.clear()
        declared = self._plans[plan]
        is_divided = self._shared is not None and self._config.when_counters_are_down is WhenDown.LOCAL
        windows = _part(declared.windows, self._config.replicas or 1) if is_divided else declared.windows
        partition = _partition(who) if self._config.tell_partition else ""
        counts = tuple(count_of(window, self._share, plan, who) for window in windows)
        alone = self._local.purse(counts)
        account = _Account(
            counts=counts,
            purse=self._purse(declared, plan, who) if self._shared else alone,
            alone=alone,
            policy_header=policy_header(declared, partition),
            told=tuple(f'"{window.name}";r=' for window in windows),
            partition=partition,
        )
        self._accounts[(plan, who)] = account
        return account

    def _purse(self, declared: Plan, plan: str, who: str) -> Purse:
        assert self._shared is not None  # noqa: S101 - asked for before
        # the windows are part of the name: a plan that changes begins anew instead of being misread
        shape = ",".join(f"{one.name}:{one.algorithm}:{one.requests}:{one.per_seconds}" for one in declared.windows)
        key = f"throughline:limits:{{{self._share}|{plan}|{who}}}:{sha256(shape.encode()).hexdigest()[:12]}"
        lease = self._config.lease
        share = 0.0 if self._config.exact else lease.share
        return self._shared.purse(key, declared.windows, share=share, seconds=lease.seconds)


def policy_header(plan: Plan, partition: str = "") -> bytes:
    """The RateLimit-Policy field of a plan (draft-ietf-httpapi-ratelimit-headers-11)."""
    return ", ".join(
        f'"{window.name}";q={window.requests};w={window.per_seconds}{partition}' for window in plan.windows
    ).encode()


def _part(windows: tuple[Window, ...], replicas: int) -> tuple[Window, ...]:
    """What one of so many replicas may admit by itself."""
    return tuple(window.model_copy(update={"requests": max(1, window.requests // replicas)}) for window in windows)


def _partition(who: str) -> str:
    """The partition key as a byte sequence: tells callers apart without naming them."""
    return f";pk=:{b64encode(sha256(who.encode()).digest()[:_PARTITION_BYTES]).decode()}:"
