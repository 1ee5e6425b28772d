"""Schema of the deadline policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Deadline(PolicyFacts):
    """How long a request may take altogether; what it asks of inner tiers gets what is left of it.

    Durable work that a request starts is not bound by it.
    """

    seconds: float = Field(gt=0, le=3600, description="From the gate to the end of the answer.", examples=[20])
    accept_from_caller: bool = Field(
        default=True,
        description="Whether X-Request-Deadline (milliseconds the caller still waits) may shorten it; "
        "nothing lengthens it.",
    )
