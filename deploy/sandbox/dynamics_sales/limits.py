"""Service protection: three limits per user in a sliding window, refusals that grow while nobody listens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.sandbox.dynamics_sales.errors import DataverseError

REQUESTS, EXECUTION, CONCURRENT = "0x80072322", "0x80072321", "0x80072326"
_TEXTS = {
    REQUESTS: "Number of requests exceeded the limit of {0} over time window of {1} seconds.",
    EXECUTION: "Combined execution time of incoming requests exceeded limit of {0} milliseconds over time window of {1}"
    " seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
    CONCURRENT: "Number of concurrent requests exceeded the limit of {0}.",
}


@dataclass(slots=True)
class _Usage:
    """What one user did in the window."""

    sent: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    spent: float = 0.0
    at_once: int = 0
    refused: int = 0


@dataclass(slots=True)
class Protection:
    """The limits, all of which can be set; `clock` counts seconds."""

    requests: int = 6000
    seconds: float = 1200
    at_once: int = 52
    window: float = 300
    least_wait: int = 1
    clock: Callable[[], float] = time.monotonic
    _users: dict[str, _Usage] = field(default_factory=dict[str, _Usage])

    def admit(self, user: str) -> None:
        """Count a request in. Raises DataverseError when one of the limits is met."""
        usage = self._usage(user)
        if usage.at_once >= self.at_once:
            raise self._refused(usage, CONCURRENT, self.at_once)
        if len(usage.sent) >= self.requests:
            raise self._refused(usage, REQUESTS, self.requests)
        if usage.spent >= self.seconds:
            raise self._refused(usage, EXECUTION, int(self.seconds * 1000))
        usage.at_once += 1
        usage.refused = 0

    def done(self, user: str, seconds: float) -> None:
        """The request took so long."""
        usage = self._users[user]
        usage.at_once -= 1
        usage.sent.append((self.clock(), seconds))
        usage.spent += seconds

    def headers(self, user: str) -> dict[str, str]:
        """What is left, as answers tell it."""
        usage = self._users[user]
        return {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, self.requests - len(usage.sent))),
            "x-ms-ratelimit-time-remaining-xrm-requests": f"{max(0.0, self.seconds - usage.spent):.2f}",
        }

    def forget(self) -> None:
        """Nobody has asked anything."""
        self._users.clear()

    def _usage(self, user: str) -> _Usage:
        usage = self._users.setdefault(user, _Usage())
        now = self.clock()
        while usage.sent and usage.sent[0][0] <= now - self.window:
            usage.spent -= usage.sent.popleft()[1]
        return usage

    def _refused(self, usage: _Usage, code: str, limit: int) -> DataverseError:
        """Whoever asks again while refused waits longer."""
        usage.refused += 1
        wait = self.least_wait * 2 ** min(usage.refused - 1, 8)
        return throttled(code, limit, self.window, wait)


def throttled(code: str, limit: int, window: float, wait: float) -> DataverseError:
    """The refusal of one of the limits."""
    return DataverseError(429, code, _TEXTS[code].format(limit, f"{window:g}"), {"retry-after": str(int(wait))})
