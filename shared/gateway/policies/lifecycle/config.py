"""Schema of an API version's lifecycle; only declared facts may enter."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts


class LifecycleState(StrEnum):
    """How far a version is in its life."""

    PREVIEW = "preview"
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class Lifecycle(Facts):
    """State and dates of a version; they become the Deprecation, Sunset and Link headers."""

    state: LifecycleState = LifecycleState.ACTIVE
    deprecated_at: datetime | None = Field(default=None, description="Since when callers are asked to move on (UTC).")
    sunset_at: datetime | None = Field(default=None, description="When the version stops answering (UTC).")
    successor: str | None = Field(default=None, description="Path of the version to move to.", examples=["/pmo/v2"])
    notice: str | None = Field(default=None, description="Page that explains the move.")

    @model_validator(mode="after")
    def _dates_fit_the_state(self) -> Self:
        if self.state is LifecycleState.DEPRECATED and self.deprecated_at is None:
            raise ValueError("a deprecated version says since when: deprecated_at is missing")
        if self.sunset_at and self.deprecated_at and self.sunset_at < self.deprecated_at:
            raise ValueError("sunset_at lies before deprecated_at")
        for instant in (self.deprecated_at, self.sunset_at):
            if instant is not None and instant.tzinfo is None:
                raise ValueError("instants carry a time zone, for example 2027-01-31T00:00:00Z")
        return self
