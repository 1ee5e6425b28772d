"""Schema of the idempotency policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Idempotency(PolicyFacts):
    """Answer a repeated request with the first answer instead of doing it again.

    A key means something only together with tenant, client and operation. The draft asks for at least a day.
    """

    required: bool = Field(default=True, description="Whether a request without Idempotency-Key is refused.")
    keep_hours: int = Field(default=24, ge=24, le=24 * 31, description="How long the first answer is given again.")
    claim_seconds: float = Field(
        default=15,
        gt=0,
        le=3600,
        description="A claim is void after this unless the process at work renews it.",
    )
