"""Schema of the content policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import Facts


class Content(Facts):
    """What a request may be made of."""

    types: tuple[str, ...] = Field(
        default=("application/json",), min_length=1, description="Accepted media types of a body, without parameters."
    )
    refuse_nul: bool = Field(
        default=True, description="Whether the character NUL is refused, which no database of ours can hold as text."
    )
