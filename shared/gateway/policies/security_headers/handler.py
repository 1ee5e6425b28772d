"""Security headers: the same for every answer, so they are written once at start."""

from __future__ import annotations

from shared.gateway.kit import Headers
from shared.gateway.policies.security_headers.config import SecurityHeaders


def security_headers(config: SecurityHeaders) -> Headers:
    """The configured headers as the server sends them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in config.headers.items()]
