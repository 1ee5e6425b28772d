"""CORS: tells browsers which origins may read the answers; refuses nothing itself."""

from __future__ import annotations

from shared.gateway.kit import Headers, Kit
from shared.gateway.policies.cors.config import ANYBODY, Cors
from shared.persistence.kept_answers import KeptAnswer

_VARY = (b"vary", b"Origin")
_PREFLIGHT_VARY = (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers")


class CorsHandler:
    """Adds the answer headers and answers preflights; a stranger's script gets the answer of any other caller."""

    def __init__(self, config: Cors) -> None:
        self._is_open = ANYBODY in config.origins
        self._origins = frozenset(origin.encode("ascii") for origin in config.origins)
        self._granted = [
            *([(b"access-control-allow-credentials", b"true")] if config.credentials else []),
            (b"access-control-expose-headers", ", ".join(config.exposed_headers).encode()),
        ]
        self._asked = ", ".join(config.request_headers).encode()
        self._max_age = str(config.max_age_seconds).encode()

    def dress(self, kit: Kit, headers: Headers) -> None:
        """Let a known origin read the answer; caches are told that it depends on the origin where it does."""
        if self._is_open:
            headers.append((b"access-control-allow-origin", b"*"))
            headers += self._granted
            return
        origin = kit.header(b"origin")
        if origin is not None and origin in self._origins:
            headers.append((b"access-control-allow-origin", origin))
            headers += self._granted
        headers.append(_VARY)

    def preflight(self, kit: Kit, methods: list[str]) -> KeptAnswer | None:
        """The answer to a preflight of a known origin; None for anybody else."""
        if kit.header(b"access-control-request-method") is None:
            return None
        origin = kit.header(b"origin")
        if origin is None or not (self._is_open or origin in self._origins):
            return None
        allowed: Headers = [
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", self._asked),
            (b"access-control-max-age", self._max_age),
            _PREFLIGHT_VARY,
        ]
        return KeptAnswer(204, allowed, b"")
