"""Schema of the access-token policy; only declared facts may enter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.gateway.facts import Facts

Algorithm = Literal["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"]


class Jwt(Facts):
    """Which access tokens (RFC 9068) count; issuer and audience come from the tier's settings."""

    algorithms: tuple[Algorithm, ...] = Field(default=("ES256", "EdDSA", "Ed25519"), min_length=1)
    leeway_seconds: int = Field(default=30, ge=0, le=300, description="Tolerated difference of clocks.")
    refetch_seconds: float = Field(
        default=10.0, gt=0, description="Least pause between two fetches of the issuer's keys."
    )
    remembered_tokens: int = Field(
        default=4096, gt=0, description="How many verified tokens are kept until they expire."
    )
