"""Schema of client plans, what a client may ask for; only declared facts may enter."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts
from shared.gateway.policies.concurrency.config import Concurrency
from shared.gateway.policies.deadline.config import Deadline
from shared.gateway.policies.json_limits.config import JsonLimits
from shared.gateway.policies.size_limit.config import SizeLimit


class Window(Facts):
    """So many requests in so many seconds."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$", examples=["burst"])
    requests: int = Field(gt=0, le=1_000_000_000)
    per_seconds: int = Field(gt=0, le=31 * 24 * 3600)
    algorithm: Literal["moving", "fixed", "aligned"] = Field(
        default="fixed",
        description="moving: the last seconds at any moment; fixed: from the first request in it; aligned: on full "
        "multiples of the length since 1970 UTC, so a day begins at midnight UTC.",
    )


class OwnWindows(Facts):
    """Windows that a plan has at one operation or API instead of its own."""

    windows: tuple[Window, ...] = Field(min_length=1)
    share: Literal["api", "operation"] = Field(
        default="operation", description="Whether the windows are shared by the whole API or stand per operation."
    )


class PlanPolicies(Facts):
    """Policies that a plan sets otherwise, on operations that have them at all."""

    size_limit: SizeLimit | None = None
    json_limits: JsonLimits | None = None
    deadline: Deadline | None = None
    concurrency: Concurrency | None = None
    rate_limit: OwnWindows | None = None

    def under(self, lower: PlanPolicies) -> PlanPolicies:
        """These with those of a lower level laid over them."""
        return self.model_copy(update={name: getattr(lower, name) for name in lower.model_fields_set})

    def set_here(self) -> list[str]:
        """The names of the policies this says something about."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


class Plan(Facts):
    """What one client may ask for; every window must have room."""

    windows: tuple[Window, ...] = Field(min_length=1)
    at_once: int | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Requests of one client in progress at the same time, in each replica.",
    )
    policies: PlanPolicies = PlanPolicies()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [window.name for window in self.windows]
        if len(set(names)) != len(names):
            raise ValueError("two windows of a plan carry the same name")
        if self.policies.rate_limit is not None:
            raise ValueError("the windows of a plan stand in `windows`; rate_limit is for single operations and APIs")
        return self
