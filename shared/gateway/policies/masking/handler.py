"""Masking: a caller without the scope does not get the field; knows paths and scopes, no meaning."""

from __future__ import annotations

import orjson

from shared.gateway.kit import Kit, Mask
from shared.gateway.policies.masking.config import Masking
from shared.gateway.policies.masking.paths import hide, tree


class MaskingHandler:
    """One mask per set of missing scopes, made when it is first needed; who misses none pays a look-up."""

    def __init__(self, config: Masking) -> None:
        self._fields = tuple((path, one.then, one.unless_scope) for path, one in config.fields.items())
        self._asked = frozenset(scope for _, _, scope in self._fields)
        self._masks: dict[frozenset[str], Mask] = {}

    def enter(self, kit: Kit) -> None:
        """Settle what this caller may not see; the answer is masked when it comes."""
        missing = self._asked if kit.principal is None else self._asked - kit.principal.scopes
        if missing:
            kit.mask = self._masks.get(missing) or self._made(missing)

    def _made(self, missing: frozenset[str]) -> Mask:
        root = tree((path, then) for path, then, scope in self._fields if scope in missing)

        def mask(body: bytes) -> bytes:
            document = orjson.loads(body)
            hide(document, root)
            return orjson.dumps(document)

        self._masks[missing] = mask
        return mask
