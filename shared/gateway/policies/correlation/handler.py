"""Correlation: one id and one trace from the first door on; reads and writes headers only."""

from __future__ import annotations

import random
import re

from opentelemetry.trace import get_current_span

from shared.gateway.kit import Kit
from shared.gateway.policies.correlation.config import Correlation
from shared.telemetry.context import correlation_id, traceparent

_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,120}").fullmatch
_TRACE = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
_random = random.Random()  # noqa: S311 - ids for reading logs, not secrets


class CorrelationHandler:
    """Accepts or mints X-Correlation-Id and traceparent."""

    def __init__(self, config: Correlation, *, is_traced: bool = False) -> None:
        """`is_traced` says that the server opens spans of its own, whose name inner calls must carry."""
        self._accept = config.accept_from_caller
        self._is_traced = is_traced

    def enter(self, kit: Kit) -> None:
        """Settle both ids and hand them to logs and outgoing calls."""
        given = kit.header(b"x-correlation-id") if self._accept else None
        kit.correlation_id = given.decode() if given and _ID(given) else _random.randbytes(16).hex()
        correlation_id.set(kit.correlation_id)
        kit.traceparent = _of_server_span() if self._is_traced else _next(kit.header(b"traceparent"))
        traceparent.set(kit.traceparent)


def _next(given: bytes | None) -> str:
    known = _TRACE(given) if given else None
    if known and known[1].strip(b"0") and known[2].strip(b"0"):
        return f"00-{known[1].decode()}-{_random.randbytes(8).hex()[:15]}1-{known[3].decode()}"
    signs = _random.randbytes(24).hex()
    return f"00-{signs[:31]}1-{signs[32:47]}1-01"  # ends in 1: all zeros would be no id


def _of_server_span() -> str:
    span = get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
