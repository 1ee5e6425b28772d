"""Schema of the content policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Content(PolicyFacts):
    """What a request may be made of, and what its caller must be able to read."""

    types: tuple[str, ...] = Field(
        default=("application/json",), min_length=1, description="Accepted media types of a body, without parameters."
    )
    answers: tuple[str, ...] = Field(
        default=("application/json",),
        description="Media types the answers come in. A caller whose Accept admits none of them (and no problem "
        "document) is refused with 406 before anything is done; empty: Accept is not looked at.",
    )
    refuse_nul: bool = Field(
        default=True, description="Whether the character NUL is refused, which no database of ours can hold as text."
    )
