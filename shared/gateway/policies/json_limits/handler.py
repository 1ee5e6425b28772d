"""JSON limits: refuses bodies no honest caller sends before anything is built from them; looks at form only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from shared.errors.taxonomy import FieldFinding, MalformedRequest
from shared.gateway.kit import Kit
from shared.gateway.policies.json_limits.config import JsonLimits
from shared.gateway.policies.json_limits.shape import Bounds, Exceeded, is_plainly_within, measure
from shared.gateway.refusals import JsonLimitsExceeded

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_LONG = 128 * 1024


class JsonLimitsHandler:
    """Most bodies pass by counting characters; only the others are read through, long ones off the event loop."""

    def __init__(self, config: JsonLimits) -> None:
        self._bounds = Bounds(config.max_depth, config.max_keys, config.max_items, config.max_string)

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Look at the body where there is one that can be JSON."""
        if kit.method in _BODILESS:
            return None
        length = kit.header(b"content-length")
        if (length is None or length == b"0") and kit.header(b"transfer-encoding") is None:
            return None
        kind = kit.header(b"content-type")
        if kind is not None and b"json" not in kind.lower():
            return None
        return self._look(kit)

    async def _look(self, kit: Kit) -> None:
        body = await kit.body()
        if not body or is_plainly_within(body, self._bounds):
            return
        try:
            if len(body) > _LONG:
                await asyncio.to_thread(measure, body, self._bounds)
            else:
                measure(body, self._bounds)
        except Exceeded as error:
            raise JsonLimitsExceeded(str(error), findings=[FieldFinding("body", str(error))]) from None
        except (ValueError, RecursionError):
            reason = "The body is not valid JSON."
            raise MalformedRequest(reason, findings=[FieldFinding("body", reason)]) from None
