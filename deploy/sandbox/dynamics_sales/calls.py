"""One request and one answer below the Web API's root, whether they came alone or in a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from deploy.sandbox.dynamics_sales.errors import bad_payload
from deploy.sandbox.dynamics_sales.events import Caller
from deploy.sandbox.dynamics_sales.rows import Json, Wishes


@dataclass(frozen=True, slots=True)
class Call:
    """A request; `root` is the address of the Web API, header names are in lower case."""

    method: str
    segments: tuple[str, ...]
    options: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    caller: Caller
    root: str

    @property
    def wishes(self) -> Wishes:
        """What `Prefer` asks for."""
        return read_wishes(self.headers.get("prefer", ""))

    def document(self) -> Json:
        """The body as an object. Raises DataverseError."""
        if not isinstance(self.body, dict):
            raise bad_payload("An object is wanted as the body.")
        return cast("Json", self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a body of bytes is sent as it is."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def split_path(path: str) -> tuple[str, ...]:
    """Segments of an address as it was sent, each decoded on its own."""
    return tuple(unquote(part) for part in path.split("/") if part)


def split_query(query: str) -> dict[str, str]:
    """Options by name."""
    return dict(parse_qsl(query, keep_blank_values=True))


def read_wishes(prefer: str) -> Wishes:
    """The `Prefer` header read."""
    known: dict[str, str] = {}
    for part in _preferences(prefer):
        name, _, value = part.strip().partition("=")
        known[name.strip().lower()] = value.strip().strip('"')
    size = known.get("odata.maxpagesize", "")
    return Wishes(
        annotations=known.get("odata.include-annotations", ""),
        page_size=max(1, int(size)) if size.isdigit() else None,
        tracks_changes="odata.track-changes" in known,
        wants_row=known.get("return") == "representation",
        goes_on="odata.continue-on-error" in known,
    )


def _preferences(prefer: str) -> list[str]:
    """Parts between commas that stand outside quotes."""
    parts, quoted = [""], False
    for letter in prefer:
        quoted = quoted != (letter == '"')
        if letter == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]
