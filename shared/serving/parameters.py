"""Query parameters that several tiers read the same way; form only, no business word."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Path, Query
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

_READ_ON = "`next_cursor` of the page before; leave it out to start."
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$"
Cursor = Annotated[
    str | None,
    Query(max_length=2000, pattern=r"^[A-Za-z0-9_=.:+-]+$", description=_READ_ON, examples=["eyJhZnRlciI6MTAwfQ"]),
]
"""A cursor that packs where to read on."""
PlaceCursor = Annotated[
    str | None, Query(max_length=18, pattern=r"^[0-9]{1,18}$", description=_READ_ON, examples=["1042"])
]
"""A cursor that is a place in the order rows were written."""
Limit = Annotated[int, Query(ge=1, le=500, description="Most rows of a page.", examples=[100])]
EntityId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        max_length=120,
        description="Our id of the record, as lists and events name it.",
        examples=["opp_uowvshkezju2kbbqurcu"],
    ),
]
