"""Schema of the rate-limit policy; only declared facts may enter."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.gateway.facts import Facts


class WhenDown(StrEnum):
    """What to do with a request that cannot be counted."""

    ADMIT = "admit"
    REFUSE = "refuse"


class RateLimit(Facts):
    """Count requests against the caller's plan."""

    count_per: Literal["client", "tenant", "address"] = "client"
    share: Literal["tier", "api", "operation"] = Field(
        default="tier", description="Whether the windows are shared by the whole tier, one API, or stand per operation."
    )
    plan: str | None = Field(default=None, description="Plan that replaces the caller's own, for example `anonymous`.")
    when_counters_are_down: WhenDown = Field(description="No default: admitting and refusing are both decisions.")
