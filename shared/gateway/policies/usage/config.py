"""Schema of the usage policy; only declared facts may enter."""

from __future__ import annotations

from typing import ClassVar

from shared.gateway.facts import PolicyFacts


class Usage(PolicyFacts):
    """Count calls, errors and limit hits per client and operation, by the hour, for the developer site."""

    never_dry: ClassVar[str] = "it refuses nothing"
