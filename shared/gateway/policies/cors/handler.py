"""CORS: tells browsers which origins may read the answers; refuses nothing itself."""

from __future__ import annotations

from shared.gateway.kit import Headers, Kit
from shared.gateway.policies.cors.config import Cors
from shared.persistence.kept_answers import KeptAnswer

_EXPOSED = b"X-Correlation-Id, ETag, RateLimit, RateLimit-Policy, Retry-After, Deprecation, Sunset, Link"
_ASKED = b"Authorization, Content-Type, Idempotency-Key, If-Match, X-Correlation-Id, traceparent"


class CorsHandler:
    """Adds the answer headers and answers preflights."""

    def __init__(self, config: Cors) -> None:
        self._origins = frozenset(origin.encode("ascii") for origin in config.origins)
        self._max_age = str(config.max_age_seconds).encode()

    def dress(self, kit: Kit, headers: Headers) -> None:
        """Let a known origin read the answer."""
        origin = kit.header(b"origin")
        if origin is not None and origin in self._origins:
            headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        headers.append((b"vary", b"Origin"))

    def preflight(self, kit: Kit, methods: list[str]) -> KeptAnswer | None:
        """The answer to a preflight of a known origin; None for anybody else."""
        if kit.header(b"origin") not in self._origins or kit.header(b"access-control-request-method") is None:
            return None
        allowed: Headers = [
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _ASKED),
            (b"access-control-max-age", self._max_age),
        ]
        return KeptAnswer(204, allowed, b"")
