"""An answer read up to a bound: who answers without end, or unpacks to more than it sent, fills no memory of ours."""

from __future__ import annotations

from typing import Final

import httpx

MOST_BYTES: Final = 32 * 1024 * 1024
"""Of an answer, unpacked; the largest page that a system gives us is a hundredth of it."""
_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class AnswerTooLarge(Exception):
    """The answer goes on beyond the bound; nothing of it was kept."""


async def answered(client: httpx.AsyncClient, request: httpx.Request, most: int = MOST_BYTES) -> httpx.Response:
    """The whole answer, unpacked. Raises AnswerTooLarge, and what httpx raises."""
    response = await client.send(request, stream=True)
    try:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > most:
                raise AnswerTooLarge
    finally:
        await response.aclose()
    headers = [
        (name, value) for name, value in response.headers.raw if name.decode("ascii").lower() not in _OF_THE_WIRE
    ]
    return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=request)
