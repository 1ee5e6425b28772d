"""Multipart `$batch` of OData as simulators read and answer it: parts, change sets, in order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from deploy.sandbox.kit.odata import ODataRefused

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)"?')
_BREAK: Final = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class BatchCall:
    """One request of a batch; `content_id` lets later ones of the change set point at it as `$1`."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Answer to one request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    content_id: str | None = None


def read_batch(content: bytes, content_type: str) -> list[BatchCall | list[BatchCall]]:
    """Single calls, and lists for change sets, in order. Raises ODataRefused."""
    read: list[BatchCall | list[BatchCall]] = []
    for part in _parts(content, content_type):
        headers, body = _headed(part)
        kind = headers.get("content-type", "")
        if kind.startswith("multipart/mixed"):
            read.append([_call(*_headed(inner)) for inner in _parts(body, kind)])
        else:
            read.append(_call(headers, body))
    return read


def write_batch(answers: Sequence[BatchAnswer | Sequence[BatchAnswer]]) -> tuple[bytes, str]:
    """Body and content type; a change set that failed as a whole is answered by one single answer."""
    boundary = f"batchresponse_{uuid4()}"
    parts: list[bytes] = []
    for answer in answers:
        if isinstance(answer, BatchAnswer):
            parts.append(_answer(answer))
        else:
            inner = f"changesetresponse_{uuid4()}"
            head = f"Content-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode()
            parts.append(head + _joined(inner, [_answer(one) for one in answer]))
    return _joined(boundary, parts), f"multipart/mixed; boundary={boundary}"


def _joined(boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _answer(answer: BatchAnswer) -> bytes:
    outer = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    outer += [f"Content-ID: {answer.content_id}"] if answer.content_id else []
    inner = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    inner += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*outer, "", *inner, "", ""]).encode() + answer.body


def _reason(status: int) -> str:
    return {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 404: "Not Found"}.get(status, "Answer")


def _parts(content: bytes, content_type: str) -> list[bytes]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ODataRefused("the batch names no boundary")
    mark = b"--" + found.group(1).encode()
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(mark), content)
    if len(pieces) < 2 or not pieces[-1].lstrip().startswith(b"--"):  # noqa: PLR2004 - what is before, and the end
        raise ODataRefused("the batch is not closed by its boundary")
    return [_BREAK.sub(b"", piece[:2], count=1) + piece[2:] for piece in pieces[1:-1]]


def _headed(part: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = part.partition(b"\r\n\r\n") if b"\r\n\r\n" in part else part.partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in _BREAK.split(head):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers, body


def _call(outer: Mapping[str, str], content: bytes) -> BatchCall:
    line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    words = line.decode("utf-8", "replace").split()
    if len(words) < 2:  # noqa: PLR2004 - a method and an address at least
        raise ODataRefused("a part of the batch is no HTTP request")
    if rest.startswith((b"\r\n", b"\n")):
        headers, body = {}, rest.lstrip(b"\r\n")
    else:
        headers, body = _headed(rest)
    return BatchCall(words[0].upper(), words[1], headers, body.rstrip(b"\r\n"), outer.get("content-id"))
