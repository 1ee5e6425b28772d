"""What every policy schema is: frozen facts without unknown keys; nothing that acts may enter."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Facts(BaseModel):
    """A piece of a policy document; an unknown key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyFacts(Facts):
    """The configuration of one policy."""

    never_dry: ClassVar[str] = ""
    """Why this policy cannot run dry; empty when it can."""

    dry_run: bool = Field(
        default=False,
        description="Refuse nothing: what would have been refused is counted and logged, and the request goes on.",
    )

    @model_validator(mode="after")
    def _runs_dry_only_if_it_can(self) -> Self:
        if self.dry_run and self.never_dry:
            raise ValueError(f"dry_run is not possible here: {self.never_dry}")
        return self


REFUSES_NOTHING = "this policy refuses nothing, so there is nothing to try"
