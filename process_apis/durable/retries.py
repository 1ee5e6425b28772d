"""When a step that failed is tried again, by the reaction its error asks for; no engine, no I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass

from shared.errors.taxonomy import PlatformError, Reaction


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a step waits for better times: growing, jittered pauses, bounded in total. Seconds.

    `waits_for` bounds errors that surely did nothing (a vendor down or throttling); `reconciles_for` bounds unknown
    outcomes, where running the step again is safe because every write is keyed by our own id and looked up first.
    """

    waits_for: float = 3600.0
    reconciles_for: float = 900.0
    first_pause: float = 0.25
    growth: float = 2.0
    longest_pause: float = 15.0

    def pause_after(self, error: PlatformError, attempt: int, spent: float) -> float | None:
        """Seconds to wait before attempt number `attempt + 1`; None: do not try again. `spent` since the first one."""
        bound = {Reaction.WAIT: self.waits_for, Reaction.RECONCILE: self.reconciles_for}.get(error.reaction)
        if bound is None or spent >= bound:
            return None
        grown = min(self.longest_pause, self.first_pause * self.growth ** min(attempt, 30))
        jittered = grown * random.uniform(0.7, 1.3)  # noqa: S311 - spreads load, guards nothing
        return min(max(jittered, error.retry_after or 0.0), max(bound - spent, 0.05))


PATIENT = Patience()
BRIEF = Patience(waits_for=20.0, reconciles_for=20.0, longest_pause=2.0)
