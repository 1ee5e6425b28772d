"""Whose access tokens count: issuers with their keys, algorithms and the reading of their claims; no HTTP enters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.identity.claims import AccessClaims

KeySource = Callable[[], Awaitable[Mapping[str, Any]]]
"""Fetches an issuer's JWK set; errors are taxonomy errors."""
ClaimReader = Callable[[dict[str, Any]], AccessClaims]
"""Claims as the platform means them. Raises: pydantic.ValidationError, NotAuthenticated, NotPermitted with reason."""

ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt")


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose access tokens are taken: what they must look like and how they are read.

    `audience` is how this issuer names us; `read` turns its claims into ours. `types` are values of the header `typ`;
    an empty one stands for a token without.
    """

    issuer: str
    audience: str
    keys: KeySource
    read: ClaimReader
    algorithms: tuple[str, ...]
    types: tuple[str, ...] = ACCESS_TOKEN_TYPES
