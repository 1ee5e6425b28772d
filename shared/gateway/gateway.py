"""The gate every tier stands behind: runs the chain of a request and dresses the answer; ASGI in, ASGI out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from time import monotonic, perf_counter
from typing import Any

from shared.errors.taxonomy import PlatformError, TimeRanOut
from shared.gateway.chain import Chain, header_lines
from shared.gateway.document import GatewayDocuments
from shared.gateway.kit import HEAD_EXTENSION, HEAD_KEY, SCOPE_KEY, App, Kit, Message, Receive, Scope, Send
from shared.gateway.policies.deadline.handler import before, within
from shared.gateway.policies.jwt.challenge import challenges
from shared.gateway.policies.masking.answer import masked
from shared.gateway.problem import broken, problem_answer
from shared.gateway.supplies import Supplies
from shared.gateway.switchboard import Served as Served  # noqa: PLC0414 - part of this room's face
from shared.gateway.switchboard import Switchboard
from shared.gateway.switchboard import path_shape as path_shape  # noqa: PLC0414 - part of this room's face
from shared.persistence.kept_answers import KeptAnswer
from shared.telemetry import get_logger, histogram

_log = get_logger("gateway")
_BARE_HEADERS = 2


class Gateway:
    """All chains of one tier, in the state of its documents that was loaded last."""

    def __init__(self, documents: GatewayDocuments, supplies: Supplies, routes: Iterable[Served]) -> None:
        """`routes` are what the application serves.

        Raises: DocumentRefused when a route has no declaration or a declaration no route, naming all of them.
        """
        self._supplies = supplies
        self._routes = list(routes)
        self.board = Switchboard(documents, supplies, self._routes)
        self._seconds = histogram(
            f"throughline_{supplies.tier}_request_seconds",
            ("operation", "status"),
            "Time from the first byte of a request to the last of its answer.",
        )

    def load(self, documents: GatewayDocuments) -> None:
        """Serve the next request by these documents; those under way end as they began, counters go on counting.

        Raises: DocumentRefused; then everything stays as it was.
        """
        self.board = Switchboard(documents, self._supplies, self._routes, self.board)

    async def aclose(self) -> None:
        """Close what the policies hold open."""
        await self.board.compiler.handlers.aclose()

    async def answer(self, inner: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: the chain around, `inner` at its heart."""
        if scope["method"] == "HEAD":  # a GET whose body stays here
            scope, send = {**scope, "method": "GET", HEAD_KEY: True}, _without_body(send)
        kit = Kit(scope, receive, scope["method"], scope["path"])
        board = self.board
        chain = board.find(kit.method, kit.path) or board.exception(kit)
        scope[SCOPE_KEY] = kit

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kit.status = message["status"]
                message["headers"] = _dress(chain, kit, message["headers"])
            await send(message)

        try:
            await _run(chain, kit, chain.target or inner, dressed)
        except PlatformError as error:
            kit.refused_by = error.code
            await _refuse(chain, kit, error, dressed)
        except Exception:  # noqa: BLE001 - the problem renderer: the one place where anything at all may arrive
            _log.exception("defect", operation=chain.name, correlation_id=kit.correlation_id)
            if not kit.status:
                await _tell(KeptAnswer(*broken(kit.path, kit.correlation_id)), dressed)
        finally:
            if kit.releases is not None:
                for release in kit.releases:
                    release()
            del scope[SCOPE_KEY]  # else scope and kit hold each other until the garbage collector comes
            self._observe(chain, kit)
            for after in chain.afters:
                after(kit)

    def _observe(self, chain: Chain, kit: Kit) -> None:
        observe = chain.observers.get(kit.status)
        if observe is None:
            observe = self._seconds.labels(chain.name, str(kit.status)).observe
            chain.observers[kit.status] = observe
        observe(perf_counter() - kit.started)


def _without_body(send: Send) -> Send:
    """A `send` that tells status and headers and keeps the body to itself, endless ones too."""
    is_told = False

    async def telling(message: Message) -> None:
        nonlocal is_told
        if message["type"] == "http.response.start":
            await send(message)
        elif not is_told:
            is_told = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return telling


def _dress(chain: Chain, kit: Kit, given: Any) -> list[tuple[bytes, bytes]]:
    """The headers for the server; where it takes ready lines, ours go to it by that way and are not among them."""
    ready = kit.scope.get("extensions")
    if ready is not None and len(given) <= _BARE_HEADERS and HEAD_EXTENSION in ready:
        ready[HEAD_EXTENSION](_lines(chain, kit))
        return _undressed(chain, kit, given)
    ours = chain.headers
    if len(given) > _BARE_HEADERS:
        names = {name for name, _ in given}
        ours = [header for header in ours if header[0] not in names or header[0] == b"link"]
    headers = [*given, *ours, (b"x-correlation-id", kit.correlation_id.encode())]
    if kit.policy_header is not None:
        headers.append((b"ratelimit-policy", kit.policy_header))
        if kit.limit_header is not None:
            headers.append((b"ratelimit", kit.limit_header))
    for dresser in chain.dressers:
        dresser(kit, headers)
    return headers


def _undressed(chain: Chain, kit: Kit, given: Any) -> Any:
    """What must still be looked at by the server: the application's headers, and those that depend on the request."""
    if not chain.dressers:
        return given
    headers = [*given]
    for dresser in chain.dressers:
        dresser(kit, headers)
    return headers


def _lines(chain: Chain, kit: Kit) -> bytes:
    """Our own headers as ready bytes: most were written at start, the others are made of signs that fit in a line."""
    block = chain.block
    if not block:
        block = chain.block = header_lines(chain.headers)
    ours = kit.correlation_id.encode()
    if kit.policy_header is None:
        return b"%bx-correlation-id: %b\r\n" % (block, ours)
    if kit.limit_header is None:
        return b"%bx-correlation-id: %b\r\nratelimit-policy: %b\r\n" % (block, ours, kit.policy_header)
    return b"%bx-correlation-id: %b\r\nratelimit-policy: %b\r\nratelimit: %b\r\n" % (
        block,
        ours,
        kit.policy_header,
        kit.limit_header,
    )


async def _run(chain: Chain, kit: Kit, inner: App, send: Send) -> None:
    for step in chain.steps:
        waiting = step(kit)
        if waiting is not None:
            await (waiting if kit.deadline is None or chain.dry_deadline else before(kit, waiting))
    if kit.mask is not None:
        send = masked(kit.mask, send)
    if kit.answer is not None:
        await _tell(kit.answer, send)
        return
    if kit.on_answer is not None:
        inner = partial(_keep_then_tell, kit, inner)
    if kit.deadline is not None and chain.dry_deadline is None:
        await within(kit, kit.deadline, inner, send)
        return
    await inner(kit.scope, kit.receive, send)
    if kit.deadline is not None and chain.dry_deadline is not None and monotonic() > kit.deadline:
        chain.dry_deadline(kit, TimeRanOut())


async def _refuse(chain: Chain, kit: Kit, error: PlatformError, send: Send) -> None:
    if error.detail:
        _log.warning("refused", code=error.code, detail=error.detail, correlation_id=kit.correlation_id)
    if not kit.status:  # else the answer has begun; all that is left is to end it
        status, headers, body = problem_answer(error, instance=kit.path, correlation_id=kit.correlation_id)
        headers += challenges(error, chain.metadata, chain.proof_algorithms)
        await _tell(KeptAnswer(status, headers, body), send)


async def _tell(answer: KeptAnswer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _keep_then_tell(kit: Kit, inner: App, scope: Scope, receive: Receive, send: Send) -> None:
    """The answer is kept before it is told: a caller never holds an answer that a repeat would not get."""
    start: Message = {}
    chunks: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    assert kit.on_answer is not None  # noqa: S101 - asked for by the caller
    try:
        await inner(scope, receive, collect)
    except BaseException:
        if kit.on_failure is not None:
            with suppress(PlatformError):  # a claim that cannot be given back ends by itself
                await kit.on_failure()
        raise
    answer = KeptAnswer(start["status"], list(start["headers"]), b"".join(chunks))
    try:
        await kit.on_answer(answer)
    except PlatformError as error:  # the work is done: the caller gets the answer even if it could not be kept
        _log.warning("answer not kept", code=error.code, operation=kit.path, correlation_id=kit.correlation_id)
    await _tell(answer, send)
