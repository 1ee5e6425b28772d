"""Schema of the scope policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Scopes(PolicyFacts):
    """What a caller must hold besides a valid token; the scopes themselves stand at the operation."""

    tenants: tuple[str, ...] | None = Field(
        default=None, description="Tenants served here; unset serves every tenant the issuer vouches for."
    )
