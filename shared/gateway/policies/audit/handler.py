"""Audit: who did what, through which client, on whose behalf; of reads only those that lacked the right."""

from __future__ import annotations

from shared.gateway.kit import Kit
from shared.gateway.supplies import Line

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_RIGHT = frozenset({401, 403})


class AuditHandler:
    """Writes one line per act."""

    def __init__(self, line: Line, operation: str, api: str) -> None:
        self._line = line
        self._operation = operation
        self._api = api

    def after(self, kit: Kit) -> None:
        """Tell of the act once its outcome is known."""
        if kit.method in _READS and kit.status not in _NO_RIGHT:
            return
        principal = kit.principal
        self._line(
            {
                "event": "act",
                "api": self._api,
                "operation": self._operation,
                "path": kit.path,
                "status": kit.status,
                "refused_by": kit.refused_by or None,
                "subject": principal.subject if principal else None,
                "actor": principal.actor if principal else None,
                "client_id": principal.client_id if principal else None,
                "tenant": principal.tenant if principal else None,
                "session": principal.session if principal else None,
                "address": kit.address,
                "correlation_id": kit.correlation_id,
            }
        )
