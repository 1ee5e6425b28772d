"""Schema of client plans, what a client may ask for; only declared facts may enter."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.gateway.facts import Facts


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


class Plan(Facts):
    """What one client may ask for; every window must have room."""

    windows: tuple[Window, ...] = Field(min_length=1)
    at_once: int | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="Requests of one client in progress at the same time, in each replica.",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [window.name for window in self.windows]
        if len(set(names)) != len(names):
            raise ValueError("two windows of a plan carry the same name")
        return self
