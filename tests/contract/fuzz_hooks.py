"""Hooks for schemathesis: two requests that differ may not carry the same idempotency key."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import schemathesis

NAME = "Idempotency-Key"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - the library's signature
    """Give every case with a well-formed key a key of its own."""
    key = (case.headers or {}).get(NAME)
    if isinstance(key, str) and 0 < len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key:
        case.headers[NAME] = str(uuid4())
