"""One timer for the deadlines of all requests in progress; it knows tasks and times, nothing of requests."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task, TimerHandle, current_task, get_running_loop
from time import monotonic
from typing import Any

from shared.telemetry.context import TimeLimit


class Watch(TimeLimit):
    """A task that is cancelled when its time has come; `is_up` says that this is why."""

    __slots__ = ("cancelling", "is_up", "task")

    def __init__(self, task: Task[Any], at: float) -> None:  # pyright: ignore[reportMissingSuperCall] # on every request
        self.at = at
        self.is_over = False
        self.task: Task[Any] | None = task
        self.cancelling = task.cancelling()
        self.is_up = False


class Clock:
    """Watches tasks. A timer for each of them would cost more than the rest of the policy; most never ring."""

    def __init__(self) -> None:
        self._loop: AbstractEventLoop | None = None
        self._open: set[Watch] = set()
        self._timer: TimerHandle | None = None
        self._rings_at = float("inf")

    def begin(self, at: float) -> Watch:
        """Watch the present task until the monotonic second `at`."""
        task = current_task()
        assert task is not None  # noqa: S101 - requests are served by tasks
        watch = Watch(task, at)
        loop = get_running_loop()
        if loop is not self._loop:
            self._loop, self._open, self._timer, self._rings_at = loop, set(), None, float("inf")
        self._open.add(watch)
        if at < self._rings_at:
            self._set(at)
        return watch

    def end(self, watch: Watch) -> bool:
        """Watch it no longer; True, once, when its cancellation was ours and nobody else's."""
        self._open.discard(watch)
        task, watch.task = watch.task, None  # the task's context may hold the watch: they must not hold each other
        watch.is_over = True  # for background work that took the context along: it is nobody's time limit any more
        return watch.is_up and task is not None and task.uncancel() <= watch.cancelling

    def _set(self, at: float) -> None:
        assert self._loop is not None  # noqa: S101 - set by `begin`
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = self._loop.call_later(max(0.0, at - monotonic()), self._ring)

    def _ring(self) -> None:
        now = monotonic()
        self._timer, self._rings_at = None, float("inf")
        for watch in [one for one in self._open if one.at <= now]:
            self._open.discard(watch)
            watch.is_up = True
            if watch.task is not None:
                watch.task.cancel()
        if self._open:
            self._set(min(one.at for one in self._open))


clock = Clock()
"""That of this process, whose event loop it follows."""
