"""OData as clients speak it, versions 2 and 4: literals, keys, conditions, multipart batches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import orjson

from shared.errors.taxonomy import VendorDrift

Version = Literal[2, 4]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_V2_MOMENT: Final = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")
_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})")
_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')
_SAFE = "()',=:@$-._~!*;"


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


_EITHER: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    str: lambda value: "'" + value.replace("'", "''") + "'",
}
_WRITTEN: Final[Mapping[Version, Mapping[type, Callable[[Any], str]]]] = {
    2: {
        **_EITHER,
        UUID: lambda value: f"guid'{value}'",
        datetime: lambda value: f"datetime'{_instant(value)}'",
        date: lambda value: f"datetime'{value.isoformat()}T00:00:00'",
        Decimal: lambda value: f"{value}M",
    },
    4: {**_EITHER, datetime: lambda value: f"{_instant(value)}Z", date: lambda value: value.isoformat()},
}


def literal(value: Any, version: Version = 4) -> str:
    """A value as it stands in a filter or key: texts quoted, instants and ids as the version writes them."""
    kind = next((kind for kind in type(value).__mro__ if kind in _WRITTEN[version]), None)
    return _WRITTEN[version][kind](value) if kind else str(value)


def v2_moment(text: str) -> datetime:
    """The instant of `/Date(…)/`. Raises ValueError."""
    match = _V2_MOMENT.match(text)
    if match is None:
        message = f"{text!r} is not an instant of OData 2"
        raise ValueError(message)
    return _EPOCH + timedelta(milliseconds=int(match.group(1)))


def key(name: str, value: Any, version: Version = 4) -> str:
    """`Set(key)` as a path segment, quoted for addresses; a mapping gives a composed or alternate key."""
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, Any]", value)
        pairs = ",".join(f"{field}={literal(part, version)}" for field, part in parts.items())
        return f"{name}({quote(pairs, safe=_SAFE)})"
    return f"{name}({quote(literal(value, version), safe=_SAFE)})"


def any_of(path: str, values: Sequence[Any], version: Version = 4) -> str:
    """The condition that the path has one of the values; never true for none."""
    if not values:
        return "1 eq 2"
    return "(" + " or ".join(f"{path} eq {literal(value, version)}" for value in values) + ")"


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; `url` relative to the service or absolute, as the vendor wants it."""

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """The answer to one part; `body` is its JSON, None where it has none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def is_good(self) -> bool:
        """Whether the part was done."""
        return self.status < 400  # noqa: PLR2004 - HTTP's own


def compose_batch(parts: Sequence[Part | Sequence[Part]]) -> tuple[bytes, str]:
    """Body and content type; a sequence is a change set: all of it is done, or none."""
    boundary = f"batch_{uuid4()}"
    blocks: list[bytes] = []
    for part in parts:
        if isinstance(part, Part):
            blocks.append(_request(part))
        else:
            inner = f"changeset_{uuid4()}"
            head = f"Content-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode()
            blocks.append(head + _joined(inner, [_request(one, n) for n, one in enumerate(part, 1)]))
    return _joined(boundary, blocks), f"multipart/mixed; boundary={boundary}"


def _joined(boundary: str, blocks: Sequence[bytes]) -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + block + b"\r\n" for block in blocks) + mark + b"--\r\n"


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _request(part: Part, content_id: int | None = None) -> bytes:
    content = b"" if part.body is None else orjson.dumps(part.body, default=_exact)
    outer = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    outer += [f"Content-ID: {content_id}"] if content_id else []
    headers = {"Accept": "application/json", **(part.headers or {})}
    if content:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    inner = [f"{part.method} {part.url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*outer, "", *inner, "", ""]).encode() + content


def read_batch(content: bytes, content_type: str, system: str) -> list[PartAnswer]:
    """The answers in order, those of change sets flat among them. Raises VendorDrift.

    A change set that failed has one answer instead of as many as it had parts.
    """
    answers: list[PartAnswer] = []
    for block in _blocks(content, content_type, system):
        head, body = _headed(block)
        kind = head.get("content-type", "")
        if kind.startswith("multipart/mixed"):
            answers += [_answer(_headed(inner)[1], system) for inner in _blocks(body, kind, system)]
        else:
            answers.append(_answer(body, system))
    return answers


def _blocks(content: bytes, content_type: str, system: str) -> list[bytes]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise VendorDrift(f"{system} answered a batch without a boundary.")
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(found.group(1).encode()), content)
    return [piece.lstrip(b"\r\n") for piece in pieces[1:] if not piece.startswith(b"--")]


def _headed(block: bytes) -> tuple[dict[str, str], bytes]:
    mark = b"\r\n\r\n" if b"\r\n\r\n" in block else b"\n\n"
    head, _, body = block.partition(mark)
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers, body


def _answer(block: bytes, system: str) -> PartAnswer:
    status = _STATUS.search(block)
    if status is None:
        raise VendorDrift(f"{system} answered a part of a batch without a status.")
    headers, body = _headed(block.lstrip(b"\r\n"))
    try:
        document: Any = json.loads(body, parse_float=Decimal) if body.strip() else None
    except ValueError as error:
        raise VendorDrift(f"{system} answered a part of a batch that is not JSON.") from error
    return PartAnswer(int(status.group(1)), headers, document)
