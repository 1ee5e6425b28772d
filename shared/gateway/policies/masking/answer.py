"""Puts the mask over an answer on its way out; what cannot be masked does not leave."""

from __future__ import annotations

from shared.errors.taxonomy import Defect
from shared.gateway.kit import Mask, Message, Send

_GOOD = range(200, 300)
_BODILESS = frozenset({204, 205})


def masked(mask: Mask, send: Send) -> Send:
    """A `send` that holds a good answer back until all of it is there, masks it, and lets everything else pass.

    Raises: Defect when the answer is not one JSON document: it is not told then.
    """
    start: Message | None = None
    chunks: list[bytes] = []

    async def telling(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            if message["status"] not in _GOOD or message["status"] in _BODILESS:
                await send(message)
                return
            start = message
        elif start is None:
            await send(message)
        else:
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                held, start = start, None
                body = b"".join(chunks)
                if body:
                    body = _under(mask, body, held)
                await send(held)
                await send({"type": "http.response.body", "body": body, "more_body": False})

    return telling


def _under(mask: Mask, body: bytes, start: Message) -> bytes:
    headers: list[tuple[bytes, bytes]] = list(start["headers"])
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    if b"json" not in kind:
        raise Defect(detail=f"an answer that must be masked is {kind.decode('latin-1') or 'of no type'}")
    try:
        hidden = mask(body)
    except ValueError as error:
        raise Defect(detail=f"an answer that must be masked is no JSON: {error}") from error
    length = (b"content-length", str(len(hidden)).encode())
    start["headers"] = [length if name == b"content-length" else (name, value) for name, value in headers]
    return hidden
