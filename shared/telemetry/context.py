"""What every log line and outgoing request of the present task carries: correlation id, trace context, deadline."""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import structlog

correlation_id: Final[ContextVar[str | None]] = ContextVar("correlation_id", default=None)
traceparent: Final[ContextVar[str | None]] = ContextVar("traceparent", default=None)


class TimeLimit:
    """The monotonic second until which somebody waits for the present work; over once the request has ended."""

    __slots__ = ("at", "is_over")

    def __init__(self, at: float) -> None:
        self.at = at
        self.is_over = False


deadline: Final[ContextVar[TimeLimit | None]] = ContextVar("deadline", default=None)

_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$")


def seconds_left() -> float | None:
    """How long somebody still waits for the present work, negative when nobody does any more; None: no limit."""
    limit = deadline.get()
    return None if limit is None or limit.is_over else limit.at - monotonic()


@contextmanager
def without_deadline() -> Generator[None]:
    """For work that outlives the request which starts it."""
    token = deadline.set(None)
    try:
        yield
    finally:
        deadline.reset(token)


def new_correlation_id() -> str:
    """A correlation id for work that arrived without one."""
    return secrets.token_hex(16)


def new_traceparent(parent: str | None = None) -> str:
    """A W3C trace context: child of `parent` when that is well formed, else the start of a trace."""
    known = _TRACEPARENT.match(parent) if parent else None
    trace = known.group(1) if known else secrets.token_hex(16)
    flags = known.group(3) if known else "01"
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def is_traceparent(value: str) -> bool:
    """Whether the value is a well-formed W3C `traceparent`."""
    return _TRACEPARENT.match(value) is not None


class Bound:
    """Fields bound to the present task; leaving the `with` block restores what was bound before."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._tokens = structlog.contextvars.bind_contextvars(**values)
        self._correlation: Token[str | None] | None = None
        if "correlation_id" in values:
            self._correlation = correlation_id.set(values["correlation_id"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        structlog.contextvars.reset_contextvars(**self._tokens)
        if self._correlation is not None:
            correlation_id.reset(self._correlation)


def bind(**values: Any) -> Bound:
    """Bind fields (tenant, workflow id, …) to every later log line of this task; usable as a `with` block.

    `correlation_id` is bound for outgoing requests too.
    """
    return Bound(values)
