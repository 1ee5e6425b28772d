"""What a policy handler sees of one request; the ASGI machinery stays behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from shared.errors.taxonomy import BodyTooLarge, MalformedRequest
from shared.identity.principal import Principal
from shared.persistence.kept_answers import KeptAnswer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Mask = Callable[[bytes], bytes]

SCOPE_KEY = "throughline.kit"
HEAD_KEY = "throughline.is_head"
HEAD_EXTENSION = "throughline.head"
"""ASGI extension of a server that takes ready header lines for the head it writes next."""


class Kit:
    """One request on its way through the chain.

    Handlers read it, raise a taxonomy error to refuse, set `answer` to answer themselves, and leave marks for later
    phases (`principal`, `window_marks`, `on_answer`). `deadline` is the monotonic second at which the request is given
    up; `mask` rewrites the answer's body; `releases` are called once the request has ended, however it ended.
    """

    correlation_id: str = ""
    traceparent: str = ""
    principal: Principal | None = None
    answer: KeptAnswer | None = None
    status: int = 0
    limit_header: bytes | None = None
    policy_header: bytes | None = None
    on_answer: Callable[[KeptAnswer], Awaitable[None]] | None = None
    on_failure: Callable[[], Awaitable[None]] | None = None
    refused_by: str = ""
    deadline: float | None = None
    mask: Mask | None = None
    releases: list[Callable[[], None]] | None = None
    _headers: dict[bytes, bytes] | None = None
    _body: bytes | None = None
    _address: str | None = None

    def __init__(self, scope: Scope, receive: Receive, method: str, path: str) -> None:
        """What is not known yet stands in the class: most requests never write most of it."""
        self.scope = scope
        self.receive = receive
        self.method = method
        self.path = path
        self.started = perf_counter()

    def hold(self, release: Callable[[], None]) -> None:
        """Something was taken for this request: the gate calls `release` once it has ended, however it ended."""
        if self.releases is None:
            self.releases = [release]
        else:
            self.releases.append(release)

    def header(self, name: bytes) -> bytes | None:
        """A request header by its lower-case name."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers.get(name)

    @property
    def address(self) -> str:
        """The network address the request came from; behind declared proxies, the one they vouch for."""
        if self._address is None:
            client: tuple[str, int] | None = self.scope.get("client")
            self._address = client[0] if client else "unknown"
        return self._address

    @address.setter
    def address(self, believed: str) -> None:
        self._address = believed

    @property
    def is_head(self) -> bool:
        """Whether what is served as a GET was asked for as a HEAD."""
        return HEAD_KEY in self.scope

    @property
    def query(self) -> bytes:
        """The raw query string."""
        return self.scope.get("query_string", b"")

    async def body(self, most: int | None = None) -> bytes:
        """The whole body; it stays readable for whoever comes after.

        Raises: BodyTooLarge once more than `most` bytes have come, MalformedRequest when the caller hangs up.
        """
        if self._body is None:
            chunks: list[bytes] = []
            size = 0
            while True:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise MalformedRequest("The connection ended before the whole body had come.")
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                chunks.append(chunk)
                is_more: bool = message.get("more_body", False)
                if most is not None and size > most:  # what was read stays readable: a dry run goes on with it
                    self.receive = _again(b"".join(chunks), self.receive, is_more=is_more)
                    raise _too_large(most)
                if not is_more:
                    break
            self._body = b"".join(chunks)
            self.receive = _again(self._body, self.receive, is_more=False)
        if most is not None and len(self._body) > most:
            raise _too_large(most)
        return self._body


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request body is larger than {most} bytes.", extra={"max_bytes": most})


def _again(body: bytes, rest: Receive, *, is_more: bool) -> Receive:
    handed_out = False

    async def receive() -> Message:
        nonlocal handed_out
        if handed_out:
            return await rest()
        handed_out = True
        return {"type": "http.request", "body": body, "more_body": is_more}

    return receive
