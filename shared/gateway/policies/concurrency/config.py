"""Schema of the concurrency policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Concurrency(PolicyFacts):
    """How many requests may be in progress at the same time; all numbers hold for one replica.

    The bound of a client comes from its plan (`at_once` in plans.yaml) unless `per_client` is set here; whoever comes
    without a token is counted by address under the plan `anonymous`. Places are counted in each replica: with N
    replicas a client may have N times as many in progress.
    """

    per_client: int | None = Field(
        default=None, gt=0, le=100_000, description="Requests of one client to this operation, instead of its plan's."
    )
    per_operation: int | None = Field(
        default=None, gt=0, le=100_000, description="Requests of all clients together to this operation."
    )
    retry_after_seconds: int = Field(default=1, ge=1, le=300)
