"""Schema of the size-limit policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class SizeLimit(PolicyFacts):
    """Refuse bodies that are larger than any honest request."""

    max_bytes: int = Field(gt=0, le=64 * 1024 * 1024, description="Largest request body in bytes.", examples=[1048576])
