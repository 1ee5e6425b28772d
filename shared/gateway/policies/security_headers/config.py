"""Schema of the security-headers policy; only declared facts may enter."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, field_validator

from shared.gateway.facts import REFUSES_NOTHING, PolicyFacts

_NAME = re.compile(r"[A-Za-z0-9-]+")


class SecurityHeaders(PolicyFacts):
    """Headers that every answer carries unless its route says otherwise; null leaves one out.

    The defaults fit an API: its answers are data for one caller, never a page, a frame, a script or a cache entry.
    """

    never_dry: ClassVar[str] = REFUSES_NOTHING

    content_security_policy: str | None = "default-src 'none'; frame-ancestors 'none'"
    cache_control: str | None = "no-store"
    referrer_policy: str | None = "no-referrer"
    permissions_policy: str | None = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    opener_policy: str | None = Field(default="same-origin", description="Cross-Origin-Opener-Policy.")
    resource_policy: str | None = Field(default="same-origin", description="Cross-Origin-Resource-Policy.")
    frame_options: str | None = Field(default="DENY", description="For browsers that do not know frame-ancestors.")
    hsts_seconds: int = Field(
        default=31_536_000, ge=0, description="Strict-Transport-Security, on answers over https only; 0 leaves it out."
    )
    hsts_subdomains: bool = True
    headers: dict[str, str] = Field(default={}, description="Further headers, or others in the place of these.")

    @field_validator("headers")
    @classmethod
    def _headers_are_one_line(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
                raise ValueError(f"`{name}` is no header field")
        return headers
