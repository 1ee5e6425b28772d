"""Schema of what a client plan sets otherwise than the operation it calls; only declared facts may enter."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts
from shared.gateway.plans import Plan, Window
from shared.gateway.policies.concurrency.config import Concurrency
from shared.gateway.policies.deadline.config import Deadline
from shared.gateway.policies.json_limits.config import JsonLimits
from shared.gateway.policies.size_limit.config import SizeLimit


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


class DeclaredPlan(Plan):
    """A plan as plans.yaml has it: its windows, and what it changes wherever it calls."""

    policies: PlanPolicies = PlanPolicies()

    @model_validator(mode="after")
    def _windows_stand_in_one_place(self) -> Self:
        if self.policies.rate_limit is not None:
            raise ValueError("the windows of a plan stand in `windows`; rate_limit is for single operations and APIs")
        return self
