"""A system that is down is left alone for a while: opens after repeated failures, then lets one probe through."""

from __future__ import annotations

import time

from shared.errors.taxonomy import VendorUnavailable
from shared.telemetry.metrics import gauge

_open = gauge("throughline_outbound_breaker_open", ["system"], "1 while a system is left alone.")


class Breaker:
    """Counts consecutive failures; `admit` before each send, `succeeded` or `failed` after it."""

    def __init__(self, system: str, *, failures: int = 8, rest: float = 5.0) -> None:
        self._system = system
        self._allowed = failures
        self._rest = rest
        self._failures = 0
        self._opened_at: float | None = None
        self._probe_sent_at: float | None = None
        _open.labels(system).set(0)

    @property
    def is_open(self) -> bool:
        """Whether the system is being left alone."""
        return self._opened_at is not None

    def admit(self) -> None:
        """Let a send pass, or raise VendorUnavailable at once. After `rest` seconds one probe passes at a time."""
        if self._opened_at is None:
            return
        now = time.monotonic()
        since = self._opened_at if self._probe_sent_at is None else self._probe_sent_at
        if now - since < self._rest:
            raise VendorUnavailable(
                f"{self._system} has been failing and is left alone for a moment; nothing was sent.",
                retry_after=round(self._rest - (now - since), 3),
            )
        self._probe_sent_at = now

    def succeeded(self) -> None:
        """The system answered like a healthy one."""
        self._failures = 0
        if self._opened_at is not None:
            self._opened_at = self._probe_sent_at = None
            _open.labels(self._system).set(0)

    def failed(self) -> None:
        """The system could not be reached or said that it is unavailable."""
        self._failures += 1
        if self._opened_at is not None or self._failures >= self._allowed:
            self._opened_at = time.monotonic()
            self._probe_sent_at = None
            _open.labels(self._system).set(1)
