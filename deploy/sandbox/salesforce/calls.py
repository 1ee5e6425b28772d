"""One request to the data API and its answer, whether it came alone or inside a composite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.errors import malformed_json

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """Method and path segments below `/services/data/vXX.0/`, query, body and headers in lower case."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    caller: Caller

    def document(self) -> Json:
        """The body as an object. Raises SalesforceError JSON_PARSER_ERROR."""
        if not isinstance(self.body, dict):
            raise malformed_json("Unexpected end-of-input or a value that is not an object at [line:1, column:1]")
        return cast("Json", self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, JSON body (None: no body) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def split_path(raw: str) -> tuple[str, ...]:
    """Segments of an encoded path, each decoded; empty ones at the end are dropped."""
    return tuple(unquote(part) for part in raw.strip("/").split("/")) if raw.strip("/") else ()


def split_query(raw: str) -> dict[str, str]:
    """The parameters of a query string."""
    return dict(parse_qsl(raw, keep_blank_values=True))


def read_json(content: bytes) -> Any:
    """JSON with exact numbers; None for no body. Raises SalesforceError JSON_PARSER_ERROR."""
    if not content.strip():
        return None
    try:
        return json.loads(content, parse_float=Decimal)
    except ValueError as error:
        raise malformed_json(f"Unexpected character or end-of-input: {error}") from None
