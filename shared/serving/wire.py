"""The last step to the socket: an answer leaves in one write, the gate's headers as ready bytes; no meaning."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.gateway.kit import HEAD_EXTENSION


class JoinedWrites:
    """A transport that waits with the first write of a turn of the loop for the second, and sends both at once.

    The server writes the head of an answer and then its body, and the event loop makes a system call of each; the
    second call costs the server and its caller more than most policies do. What stays single (a stream that pauses
    after its head) leaves at the end of the same turn.
    """

    __slots__ = ("_block", "_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self._block: bytes | None = None

    def head(self, block: bytes) -> None:
        """Put these header lines at the end of the head that is written next; they are known to be well-formed."""
        self._block = block

    def write(self, data: bytes) -> None:
        """Keep the first part, send the second with it."""
        block = self._block
        if block is not None:
            self._block = None
            data = data[:-2] + block + b"\r\n"  # the head ends with an empty line
        held = self._held
        if held is None:
            self._held = data
            self._loop.call_soon(self._flush)
            return
        self._held = None
        self._transport.write(held + data)

    def close(self) -> None:
        """Send what is held, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class TierProtocol(HttpToolsProtocol):
    """The server's HTTP, on joined writes."""

    def connection_made(  # type: ignore[override] # the stand-in behaves as the transport does
        self, transport: asyncio.Transport
    ) -> None:
        """Begin a connection."""
        joined = JoinedWrites(transport, self.loop)
        self._extensions = {HEAD_EXTENSION: joined.head}
        super().connection_made(cast("asyncio.Transport", joined))

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = self._extensions
