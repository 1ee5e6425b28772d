"""The faulty wire: an ASGI wrapper around a vendor's app that applies faults and counts calls."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.sandbox.kit.faults import Fault, FaultBook, FaultKind

_US = b"throughline"


class Wire:
    """A vendor's app as its clients meet it.

    `throttled` builds the vendor's own limit answer, `expire` makes the caller's sessions stale (nothing, where keys
    never end: the connector is exempt from `session_refresh`).
    """

    def __init__(self, app: ASGIApp, *, throttled: Callable[[], Response], expire: Callable[[], None]) -> None:
        """Wrap `app`; starts without faults."""
        self._app = app
        self._throttled = throttled
        self._expire = expire
        self.faults = FaultBook()
        self.calls: Counter[str] = Counter()
        self.of_us: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, faults first."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        query = scope.get("query_string", b"").decode()
        call = f"{scope['method']} {path}"
        self.calls[call] += 1
        if (b"user-agent", _US) in scope["headers"]:
            self.of_us[call] += 1
        faults = self.faults.struck(f"{call}?{query}" if query else call)
        if not faults:
            await self._app(scope, receive, send)
            return
        await self._suffer(faults, scope, receive, send)

    async def _suffer(self, faults: list[Fault], scope: Scope, receive: Receive, send: Send) -> None:
        kinds = {fault.kind: fault for fault in faults}
        if slow := kinds.get(FaultKind.LATENCY):
            await asyncio.sleep(slow.seconds)
        if FaultKind.SESSION_EXPIRED in kinds:
            self._expire()
        if FaultKind.CUT_BEFORE in kinds:
            _hang_up(send)
            return
        if FaultKind.THROTTLED in kinds:
            await self._throttled()(scope, receive, send)
            return
        if status := kinds.get(FaultKind.STATUS):
            answer = Response(status.body, status.status, {"content-type": "application/json", **status.headers})
            await answer(scope, receive, send)
            return
        if FaultKind.CUT_AFTER in kinds:
            await self._app(scope, receive, _deaf)
            _hang_up(send)
            return
        await self._distorted(kinds, scope, receive, send)

    async def _distorted(self, kinds: dict[FaultKind, Fault], scope: Scope, receive: Receive, send: Send) -> None:
        if not kinds.keys() & {FaultKind.EXTRA_FIELDS, FaultKind.MISSING_FIELD, FaultKind.LATENCY_AFTER}:
            await self._app(scope, receive, send)
            return
        head: Message = {}
        body = bytearray()

        async def catch(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, catch)
        if tarrying := kinds.get(FaultKind.LATENCY_AFTER):
            await asyncio.sleep(tarrying.seconds)
        content = _distort(bytes(body), kinds)
        kept = [(k, v) for k, v in head["headers"] if k.lower() != b"content-length"]
        head["headers"] = [*kept, (b"content-length", str(len(content)).encode())]
        await send(head)
        await send({"type": "http.response.body", "body": content})


async def _deaf(message: Message) -> None:
    """Swallows the answer of an app whose caller will never hear it."""
    del message


def _hang_up(send: Send) -> None:
    """Cut the TCP connection under the server's feet; the raw `send` of uvicorn belongs to the connection's cycle."""
    cycle: Any = getattr(send, "__self__", None)
    if cycle is None or not hasattr(cycle, "transport"):
        message = "a connection can only be cut when the simulator is served by uvicorn without middleware outside"
        raise RuntimeError(message)
    cycle.transport.abort()


def _distort(content: bytes, kinds: dict[FaultKind, Fault]) -> bytes:
    """JSON with members more or fewer; of a multipart answer every part that is JSON, which stands on one line."""
    if content.startswith(b"--"):
        return b"\r\n".join(_distorted_json(line, kinds) for line in content.split(b"\r\n"))
    return _distorted_json(content, kinds)


def _distorted_json(content: bytes, kinds: dict[FaultKind, Fault]) -> bytes:
    try:
        document = json.loads(content)
    except ValueError:
        return content
    missing = kinds.get(FaultKind.MISSING_FIELD)

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(node, dict):
            return node
        changed: dict[str, Any] = {str(k): walk(v) for k, v in node.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if missing:
            changed.pop(missing.field, None)
        if FaultKind.EXTRA_FIELDS in kinds:
            changed["unknownFieldOfTomorrow"] = {"some": ["thing"]}
        return changed

    return json.dumps(walk(document)).encode()
