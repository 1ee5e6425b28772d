"""Schema of the audit policy; only declared facts may enter."""

from __future__ import annotations

from shared.gateway.facts import Facts


class Audit(Facts):
    """One line per act that changes something or was refused: who, through which client, on whose behalf, what."""
