"""Schema of the audit policy; only declared facts may enter."""

from __future__ import annotations

from typing import ClassVar

from shared.gateway.facts import REFUSES_NOTHING, PolicyFacts


class Audit(PolicyFacts):
    """One line per act that changes something or was refused: who, through which client, on whose behalf, what."""

    never_dry: ClassVar[str] = REFUSES_NOTHING
