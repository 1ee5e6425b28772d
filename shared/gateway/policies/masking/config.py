"""Schema of the masking policy; only declared facts may enter."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from shared.gateway.facts import Facts, PolicyFacts

_PATH = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|\*)(\[\])*(\.([A-Za-z_][A-Za-z0-9_]*|\*)(\[\])*)*")


class MaskedField(Facts):
    """Who may see a field, and what everybody else finds in its place."""

    unless_scope: str = Field(pattern=r"^[a-z][a-z0-9_.-]*$", examples=["margins.read"])
    then: Literal["null", "remove"] = Field(description="Whether the field says null or is not there.")


class Masking(PolicyFacts):
    """Fields of the answer that a caller without a scope does not get.

    A path leads through objects by name (`*`: any member) and through arrays by `[]`: `items[].lines[].cost`.
    """

    never_dry: ClassVar[str] = "it refuses nothing; what it hides must not leave by way of an experiment"

    fields: dict[str, MaskedField] = Field(
        min_length=1, examples=[{"items[].margin": {"unless_scope": "margins.read", "then": "null"}}]
    )

    @field_validator("fields")
    @classmethod
    def _paths_read_as_paths(cls, fields: dict[str, MaskedField]) -> dict[str, MaskedField]:
        for path in fields:
            if not _PATH.fullmatch(path) or path.endswith("[]"):
                raise ValueError(f"`{path}` does not read as a path to a field, as in `items[].lines[].cost`")
        return fields
