"""How often and how patiently a request is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` sends within `total` seconds; pauses double from `first` up to `longest`, jittered."""

    attempts: int = 4
    first: float = 0.2
    longest: float = 5.0
    total: float = 30.0

    def pause(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the failed send number `attempt` (from 1); never less than the vendor asked for."""
        ceiling = min(self.longest, self.first * 2 ** (attempt - 1))
        jittered = ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
        return jittered if retry_after is None else max(retry_after, 0.0) + jittered * 0.1


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After field (a number or an HTTP date); None when absent or unreadable."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
