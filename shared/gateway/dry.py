"""Runs a policy dry: what it would have refused is counted and told, and the request goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.errors.taxonomy import PlatformError
from shared.gateway.kit import Kit
from shared.gateway.supplies import Supplies
from shared.telemetry import counter

Step = Callable[[Kit], Awaitable[object] | None]


class DryRun:
    """Counts and tells the refusals of one policy at one operation."""

    def __init__(self, policy: str, operation: str, supplies: Supplies) -> None:
        self._policy = policy
        self._operation = operation
        self._line = supplies.warn_line
        self._count = counter(
            f"throughline_{supplies.tier}_would_refuse_total",
            ("policy", "operation", "code"),
            "Requests that policies in dry run would have refused.",
        )

    def note(self, kit: Kit, error: PlatformError) -> None:
        """One refusal that did not take place."""
        self._count.labels(self._policy, self._operation, error.code).inc()
        self._line(
            {
                "event": "would refuse",
                "policy": self._policy,
                "operation": self._operation,
                "path": kit.path,
                "code": error.code,
                "status": error.status,
                "reason": error.message,
                "correlation_id": kit.correlation_id,
                "tenant": kit.principal.tenant if kit.principal else None,
                "client_id": kit.principal.client_id if kit.principal else None,
            }
        )


def dry(step: Step, policy: str, operation: str, supplies: Supplies) -> Step:
    """The step without its refusals."""
    trial = DryRun(policy, operation, supplies)

    async def waited(kit: Kit, waiting: Awaitable[object]) -> None:
        try:
            await waiting
        except PlatformError as error:
            trial.note(kit, error)

    def enter(kit: Kit) -> Awaitable[object] | None:
        try:
            waiting = step(kit)
        except PlatformError as error:
            trial.note(kit, error)
            return None
        return None if waiting is None else waited(kit, waiting)

    return enter
