"""Schema of the access-token policy; only declared facts may enter."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from shared.gateway.facts import Facts, PolicyFacts

Algorithm = Literal["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"]
ProofAlgorithm = Literal["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"]


class Dpop(Facts):
    """How holders of bound tokens (`cnf.jkt`) prove possession of their key (RFC 9449)."""

    algorithms: tuple[ProofAlgorithm, ...] = Field(default=("ES256", "EdDSA", "Ed25519"), min_length=1)
    proof_seconds: int = Field(
        default=60,
        ge=5,
        le=600,
        description="How far a proof's `iat` may be from our clock, and how long its `jti` is kept.",
    )
    when_proofs_cannot_be_remembered: Literal["admit", "refuse"] = Field(
        description="What happens when the store of used proofs cannot be asked: take the risk of a replay, or refuse."
    )


class Jwt(PolicyFacts):
    """Which access tokens (RFC 9068) count; issuer and audience come from the tier's settings."""

    never_dry: ClassVar[str] = "a request whose token was not checked has no caller"

    algorithms: tuple[Algorithm, ...] = Field(default=("ES256", "EdDSA", "Ed25519"), min_length=1)
    leeway_seconds: int = Field(default=30, ge=0, le=300, description="Tolerated difference of clocks.")
    refetch_seconds: float = Field(
        default=10.0, gt=0, description="Least pause between two fetches of the issuer's keys."
    )
    remembered_tokens: int = Field(
        default=4096, gt=0, description="How many verified tokens are kept until they expire."
    )
    when_revocations_are_stale: Literal["admit", "refuse"] = Field(
        description="What happens to tokens while the issuer's feed of revocations cannot be read."
    )
    revocations_stale_after_seconds: float = Field(
        default=30.0, ge=6, le=3600, description="How long after the last reading the feed counts as stale."
    )
    dpop: Dpop | None = Field(default=None, description="Without it, tokens bound to a key are refused.")
