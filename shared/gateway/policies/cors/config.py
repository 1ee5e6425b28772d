"""Schema of the CORS policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import Facts


class Cors(Facts):
    """Which browser origins may call; none by default."""

    origins: tuple[str, ...] = Field(default=(), description="Exact origins, scheme included.")
    max_age_seconds: int = Field(default=600, ge=0, le=86400)
