"""Schema of the scope policy; only declared facts may enter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Scopes(PolicyFacts):
    """What a caller must hold besides a valid token; the scopes themselves stand at the operation."""

    tenants: tuple[str, ...] | None = Field(
        default=None, description="Tenants served here; unset serves every tenant the issuer vouches for."
    )
    bound_callers: Literal["refuse", "filter"] = Field(
        default="refuse",
        description="Callers who may see some customers' records only: refused, unless the operation filters by them.",
    )
