"""Query parameters that several tiers read the same way; form only, no business word."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})").fullmatch


def _rfc3339(given: Any) -> Any:
    if isinstance(given, str) and _INSTANT(given) is None:
        raise ValueError("an instant reads like 2026-10-01T00:00:00Z (RFC 3339, with its time zone)")
    return given


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc3339),
    Field(description="An instant as RFC 3339 writes it.", examples=["2026-10-01T00:00:00Z"]),
]
"""An instant from a caller: `0.5`, which a lenient reader takes for seconds since 1970, is refused."""
