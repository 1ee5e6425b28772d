"""Schema of the security-headers policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import Facts


class SecurityHeaders(Facts):
    """Headers that every answer carries, whatever it says."""

    headers: dict[str, str] = Field(
        default={
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        }
    )
