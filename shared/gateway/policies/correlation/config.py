"""Schema of the correlation policy; only declared facts may enter."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.gateway.facts import REFUSES_NOTHING, PolicyFacts


class Correlation(PolicyFacts):
    """Give every request an id that survives from the first door to the last vendor call."""

    never_dry: ClassVar[str] = REFUSES_NOTHING

    accept_from_caller: bool = Field(default=True, description="Whether a well-formed X-Correlation-Id is kept.")
