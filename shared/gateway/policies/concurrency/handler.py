"""Concurrency: how many requests of one caller, and of one operation, are in progress; counts, nothing else."""

from __future__ import annotations

from collections.abc import Hashable

from shared.errors.taxonomy import Overloaded, TooManyAtOnce
from shared.gateway.kit import Kit
from shared.gateway.policies.concurrency.config import Concurrency
from shared.gateway.supplies import Supplies


class ConcurrencyHandler:
    """Takes the places; the gate gives them back when the request has ended, however it ended.

    A caller with too much in progress is told 429: it can help itself. An operation with too much in progress answers
    503: no single caller is to blame.
    """

    def __init__(self, config: Concurrency, supplies: Supplies, operation: str) -> None:
        self._places = supplies.places
        self._at_once = {name: plan.at_once for name, plan in supplies.plans.items()}
        self._per_client = config.per_client
        self._per_operation = config.per_operation
        self._operation = operation
        self._retry_after = config.retry_after_seconds

    def enter(self, kit: Kit) -> None:
        """Take a place of the caller's and one of the operation's; the gate gives back what was taken."""
        principal = kit.principal
        plan = "anonymous" if principal is None else principal.plan
        most = self._per_client or self._at_once.get(plan) or (self._at_once.get("standard") if principal else None)
        if most is not None:
            who: Hashable = (None, kit.address) if principal is None else (principal.tenant, principal.client_id)
            if self._per_client is not None:
                who = (self._operation, who)
            holder = self._places.holder(who)
            if not holder.take(most):
                told = f"Already {most} requests of this caller are in progress."
                raise TooManyAtOnce(
                    told,
                    retry_after=self._retry_after,
                    extra={"max_at_once": most, "violated-policies": ["concurrency"]},
                )
            kit.hold(holder.release)
        if self._per_operation is not None:
            holder = self._places.holder(self._operation)
            if not holder.take(self._per_operation):
                raise Overloaded(
                    "This operation is already at work for as many callers as it can serve.",
                    retry_after=self._retry_after,
                )
            kit.hold(holder.release)
