"""Access log: one line per request when its answer has gone out; numbers and names, no bodies, no secrets."""

from __future__ import annotations

from time import perf_counter

from shared.gateway.kit import Kit
from shared.gateway.policies.access_log.config import AccessLog
from shared.gateway.supplies import LineForm

_FIRST_BAD_STATUS = 400


class AccessLogHandler:
    """Writes the line."""

    def __init__(self, config: AccessLog, form: LineForm, operation: str) -> None:
        self._skip_success = config.skip_success
        self._line = form({"event": "request", "operation": operation})

    def after(self, kit: Kit) -> None:
        """Tell of the request."""
        if self._skip_success and kit.status < _FIRST_BAD_STATUS:
            return
        principal = kit.principal
        self._line(
            {
                "path": kit.path,
                "status": kit.status,
                "ms": round((perf_counter() - kit.started) * 1000, 2),
                "correlation_id": kit.correlation_id,
                "traceparent": kit.traceparent,
                "tenant": principal.tenant if principal else None,
                "client_id": principal.client_id if principal else None,
                "address": kit.address,
                "refused_by": kit.refused_by or None,
            }
        )
