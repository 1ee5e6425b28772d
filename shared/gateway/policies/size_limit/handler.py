"""Size limit: a body that is too large is refused before anybody reads it; touches the body only when it must."""

from __future__ import annotations

from collections.abc import Awaitable

from shared.errors.taxonomy import BodyTooLarge, MalformedRequest
from shared.gateway.kit import Kit
from shared.gateway.policies.size_limit.config import SizeLimit


class SizeLimitHandler:
    """Trusts Content-Length, counts where there is none."""

    def __init__(self, config: SizeLimit) -> None:
        self._most = config.max_bytes

    def enter(self, kit: Kit) -> Awaitable[object] | None:
        """Refuse what is too large; a chunked body is read and counted here."""
        if kit.header(b"transfer-encoding") is not None:
            return kit.body(self._most)
        declared = kit.header(b"content-length")
        if declared is None:
            return None
        if not declared.isdigit():
            raise MalformedRequest("Content-Length is not a number.")
        if int(declared) > self._most:
            raise BodyTooLarge(f"The request body is larger than {self._most} bytes.", extra={"max_bytes": self._most})
        return None
