"""Creates that were never answered: the vendor may be at work on one still, so its repeat can be made to wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from shared.errors.taxonomy import VendorUnavailable
from system_apis.ports.binding import Binding

_MOST = 10_000


class Quiet:
    """Remembers, for this process, which of our references were sent without an answer, and when."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`seconds` 0: repeats need not wait."""
        self._seconds = seconds
        self._clock = clock
        self._sent: dict[str, float] = {}

    def keep(self, system: str, body: Any) -> None:
        """Raises VendorUnavailable while the vendor may still be at work on an earlier request for the same."""
        sent = max((self._sent[ref] for ref in _references(body) if ref in self._sent), default=None)
        left = 0.0 if sent is None else sent + self._seconds - self._clock()
        if left > 0:
            raise VendorUnavailable(f"{system} may still be at work on an earlier request for this.", retry_after=left)

    def start(self, body: Any) -> None:
        """This was sent, and no answer came."""
        if self._seconds <= 0:
            return
        if len(self._sent) >= _MOST:
            self._sent.clear()
        self._sent.update(dict.fromkeys(_references(body), self._clock()))


def quiet_of(binding: Binding) -> Quiet:
    """As the tenant wants it. Raises Misconfigured."""
    return Quiet(binding.whole("quiet_seconds", 0, at_least=0))


def _references(body: Any) -> Iterable[str]:
    bodies: list[Any] = cast("list[Any]", body) if isinstance(body, list) else [body]
    for one in bodies:
        if reference := one.get("external_reference"):
            yield f"{reference['service_model']}:{reference['service_model_ref']}"
