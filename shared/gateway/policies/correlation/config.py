"""Schema of the correlation policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import Facts


class Correlation(Facts):
    """Give every request an id that survives from the first door to the last vendor call."""

    accept_from_caller: bool = Field(default=True, description="Whether a well-formed X-Correlation-Id is kept.")
