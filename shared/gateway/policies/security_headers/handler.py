"""Security headers: the same for every answer, so they are written once at start."""

from __future__ import annotations

from collections.abc import Callable

from shared.gateway.kit import Headers, Kit
from shared.gateway.policies.security_headers.config import SecurityHeaders


def security_headers(config: SecurityHeaders) -> Headers:
    """The configured headers as the server sends them."""
    told = {
        "x-content-type-options": "nosniff",
        "cache-control": config.cache_control,
        "referrer-policy": config.referrer_policy,
        "content-security-policy": config.content_security_policy,
        "permissions-policy": config.permissions_policy,
        "cross-origin-opener-policy": config.opener_policy,
        "cross-origin-resource-policy": config.resource_policy,
        "x-frame-options": config.frame_options,
        **{name.lower(): value for name, value in config.headers.items()},
    }
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items() if value is not None]


def hsts(config: SecurityHeaders) -> Callable[[Kit, Headers], None] | None:
    """Adds Strict-Transport-Security to answers over https (RFC 6797 forbids it elsewhere); None when it is off."""
    if not config.hsts_seconds:
        return None
    said = f"max-age={config.hsts_seconds}{'; includeSubDomains' if config.hsts_subdomains else ''}"
    header = (b"strict-transport-security", said.encode())

    def dress(kit: Kit, headers: Headers) -> None:
        if kit.scope.get("scheme") == "https":
            headers.append(header)

    return dress
