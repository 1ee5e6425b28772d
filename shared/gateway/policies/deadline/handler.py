"""Deadline: gives a request up when nobody waits for it any more; time only, no meaning."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable
from time import monotonic

from shared.errors.taxonomy import DeadlineExceeded, FieldFinding, MalformedRequest, TimeRanOut
from shared.gateway.kit import App, Kit, Send
from shared.gateway.policies.deadline.clock import clock
from shared.gateway.policies.deadline.config import Deadline
from shared.telemetry.context import deadline

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_DIGITS = 10


class DeadlineHandler:
    """Settles the moment; `within` enforces it."""

    def __init__(self, config: Deadline) -> None:
        self._seconds = config.seconds
        self._accept = config.accept_from_caller

    def enter(self, kit: Kit) -> None:
        """The smaller of the declared time and what the caller says is left of its own."""
        given = kit.header(b"x-request-deadline") if self._accept else None
        if given is None:
            kit.deadline = monotonic() + self._seconds
            return
        if not given.isdigit() or len(given) > _MOST_DIGITS:
            reason = "X-Request-Deadline is the number of milliseconds the caller still waits."
            raise MalformedRequest(reason, findings=[FieldFinding("header.x-request-deadline", reason)])
        if not int(given):
            raise TimeRanOut("The caller's time had run out when the request arrived; nothing was begun.")
        kit.deadline = monotonic() + min(self._seconds, int(given) / 1000)


async def within(kit: Kit, at: float, inner: App, send: Send) -> None:
    """Let the application work until the monotonic second `at`; outgoing calls see the same moment.

    Raises: TimeRanOut for a read, DeadlineExceeded for a write, whose effect is then not known.
    """
    watch = clock.begin(at)
    deadline.set(watch)  # for good: the context ends with the request's task, and the watch is over before
    try:
        await inner(kit.scope, kit.receive, send)
    except CancelledError as error:
        if clock.end(watch):
            raise TimeRanOut if kit.method in _READS else DeadlineExceeded from error
        raise
    finally:
        clock.end(watch)


async def before(kit: Kit, step: Awaitable[object]) -> None:
    """Wait for a step before the work (a slow body, a store) until `kit.deadline`.

    Raises: TimeRanOut: the work was not begun.
    """
    assert kit.deadline is not None  # noqa: S101 - asked for by the caller
    watch = clock.begin(kit.deadline)
    try:
        await step
    except CancelledError as error:
        if clock.end(watch):
            raise TimeRanOut("The time for this request ran out before it was begun.") from error
        raise
    finally:
        clock.end(watch)
