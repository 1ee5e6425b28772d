"""Schema of the load-shedding policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class LoadShedding(PolicyFacts):
    """Refuse early what could only be answered late. All numbers hold for one replica.

    Operations with the same numbers and the same `pool` share their places. An admitted request has waited at most
    `max_wait_ms`, however many are asking.
    """

    pool: str = Field(default="tier", pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="Whose places these are.")
    in_progress: int = Field(gt=0, le=100_000, description="Requests at work at the same time.")
    waiting: int = Field(ge=0, le=100_000, description="Requests that may stand in line for a place.")
    max_wait_ms: int = Field(gt=0, le=60_000, description="How long one may stand in line.")
    max_lag_ms: int | None = Field(
        default=None,
        gt=0,
        le=60_000,
        description="Refuse also while the event loop is later than this with what is due: then the queue stands "
        "before the gate, where no line can be seen.",
    )
    retry_after_seconds: int = Field(default=1, ge=1, le=300)
