"""Schema of the rate-limit policy; only declared facts may enter."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts, PolicyFacts


class WhenDown(StrEnum):
    """What to do with a request that cannot be counted with the others."""

    ADMIT = "admit"
    REFUSE = "refuse"
    LOCAL = "local"


class Lease(Facts):
    """How much a replica may take from the shared counters ahead of need; without shared counters it means nothing."""

    share: float = Field(
        default=0.02,
        gt=0,
        le=0.25,
        description="A replica holds at most this share of the smallest quota, for this share of the shortest window.",
    )
    seconds: float = Field(default=1.0, gt=0, le=60, description="No lease lasts longer.")


class RateLimit(PolicyFacts):
    """Count requests against the caller's plan."""

    count_per: Literal["client", "tenant", "address"] = "client"
    share: Literal["tier", "api", "operation"] = Field(
        default="tier", description="Whether the windows are shared by the whole tier, one API, or stand per operation."
    )
    plan: str | None = Field(default=None, description="Plan that replaces the caller's own, for example `anonymous`.")
    when_counters_are_down: WhenDown = Field(
        description="No default: admitting all, refusing all and counting in each replica are all decisions."
    )
    replicas: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many replicas divide a quota while counting is `local`.",
    )
    exact: bool = Field(default=False, description="Ask the shared counters for every request; no leases.")
    lease: Lease = Lease()
    tell_partition: bool = Field(
        default=False, description="Whether the RateLimit fields name the counted caller (`pk`, a digest)."
    )

    @model_validator(mode="after")
    def _local_counting_knows_how_many_replicas(self) -> Self:
        if self.when_counters_are_down is WhenDown.LOCAL and self.replicas is None:
            raise ValueError("when_counters_are_down: local needs `replicas`")
        return self
