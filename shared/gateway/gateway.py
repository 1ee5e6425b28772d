"""The gate every tier stands behind: finds the chain of a request, runs it, dresses the answer; ASGI in, ASGI out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from shared.errors.taxonomy import MethodNotAllowed, NotFound, PlatformError
from shared.gateway.chain import Chain, Compiler, Step
from shared.gateway.document import DocumentRefused, GatewayDocuments
from shared.gateway.kit import SCOPE_KEY, App, Kit, Message, Receive, Scope, Send
from shared.gateway.paths import PathTree
from shared.gateway.policies.lifecycle.config import LifecycleState
from shared.gateway.policies.lifecycle.handler import retired
from shared.gateway.problem import UnknownVersion, broken, problem_answer
from shared.gateway.supplies import Supplies
from shared.persistence.kept_answers import KeptAnswer
from shared.telemetry import get_logger, histogram

_log = get_logger("gateway")
_BARE_HEADERS = 2
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Served:
    """A route of the application; `target` leads straight to it, None goes through the router."""

    method: str
    path: str
    target: App | None = None


class Gateway:
    """All chains of one tier."""

    def __init__(self, documents: GatewayDocuments, supplies: Supplies, routes: Iterable[Served]) -> None:
        """`routes` are what the application serves.

        Raises: DocumentRefused when a route has no declaration or a declaration no route, naming all of them.
        """
        compiler = Compiler(documents, supplies)
        self._compiler = compiler
        self._tree: PathTree[Chain] = PathTree()
        self._roots: dict[str, list[str]] = {}
        self._retired: dict[str, Chain] = {}
        self._seconds = histogram(
            f"throughline_{supplies.tier}_request_seconds",
            ("operation", "status"),
            "Time from the first byte of a request to the last of its answer.",
        )
        lines: list[str] = []
        declared = documents.operations()
        served = {(route.method, path_shape(route.path)): route for route in reversed(list(routes))}
        for operation in declared:
            try:
                chain = compiler.chain(operation)
                route = served.get((operation.method, path_shape(operation.path)))
                chain.target = route.target if route else None
                self._tree.add(operation.method, operation.path, chain)
            except DocumentRefused as refusal:
                lines += refusal.lines
            except ValueError as error:
                lines.append(str(error))
        lines += _uncovered({(one.method, path_shape(one.path)) for one in declared}, set(served))
        if lines:
            raise DocumentRefused(lines)
        self._learn_versions(documents)
        self._not_found = compiler.plain("none", _refusing(NotFound("There is no such resource.")))

    def _learn_versions(self, documents: GatewayDocuments) -> None:
        for api in documents.apis:
            for version, facts in api.versions.items():
                root, _, last = facts.base.rpartition("/")
                if last != version or not root:
                    continue
                if facts.lifecycle.state is LifecycleState.RETIRED:
                    step = _refusing(retired(facts.lifecycle))
                    self._retired[facts.base] = self._compiler.plain(f"{facts.base}: retired", step, facts.lifecycle)
                else:
                    self._roots.setdefault(root, []).append(version)

    async def aclose(self) -> None:
        """Close what the policies hold open."""
        await self._compiler.aclose()

    async def answer(self, inner: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: the chain around, `inner` at its heart."""
        kit = Kit(scope, receive, scope["method"], scope["path"])
        chain = self._tree.find(kit.method, kit.path) or self._exception(kit)
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
            if error.detail:
                _log.warning("refused", code=error.code, detail=error.detail, correlation_id=kit.correlation_id)
            if not kit.status:  # else the answer has begun; all that is left is to end it
                told = problem_answer(error, instance=kit.path, correlation_id=kit.correlation_id)
                await _tell(KeptAnswer(*told), dressed)
        except Exception:  # noqa: BLE001 - the problem renderer: the one place where anything at all may arrive
            _log.exception("defect", operation=chain.name, correlation_id=kit.correlation_id)
            if not kit.status:
                await _tell(KeptAnswer(*broken(kit.path, kit.correlation_id)), dressed)
        finally:
            del scope[SCOPE_KEY]  # else scope and kit hold each other until the garbage collector comes
            self._observe(chain, kit)
            for after in chain.afters:
                after(kit)

    def _exception(self, kit: Kit) -> Chain:
        methods = self._tree.methods(kit.path)
        if methods:
            if kit.method == "OPTIONS" and (answered := self._preflight(kit, methods)) is not None:
                return answered
            refusal = MethodNotAllowed(f"{kit.method} is not supported here.", extra={"allow": methods})
            return self._compiler.plain("none", _refusing(refusal))
        for base, chain in self._retired.items():
            if kit.path == base or kit.path.startswith(f"{base}/"):
                return chain
        for root, versions in self._roots.items():
            if kit.path.startswith(f"{root}/"):
                asked = kit.path[len(root) + 1 :].partition("/")[0]
                if asked not in versions:
                    known = sorted(versions)
                    refusal = UnknownVersion(
                        f"{root} has no version `{asked[:40]}`; known: {', '.join(known)}.",
                        extra={"known_versions": known},
                    )
                    return self._compiler.plain("none", _refusing(refusal))
        return self._not_found

    def _preflight(self, kit: Kit, methods: list[str]) -> Chain | None:
        asked = kit.header(b"access-control-request-method") or b""
        chain = self._tree.find(asked.decode("latin-1"), kit.path)
        answer = chain.cors.preflight(kit, methods) if chain is not None and chain.cors is not None else None
        if chain is None or answer is None:
            return None

        def enter(kit: Kit) -> None:
            kit.answer = answer

        return Chain("preflight", chain.api, (enter,), headers=chain.headers, dressers=chain.dressers)

    def _observe(self, chain: Chain, kit: Kit) -> None:
        observe = chain.observers.get(kit.status)
        if observe is None:
            observe = self._seconds.labels(chain.name, str(kit.status)).observe
            chain.observers[kit.status] = observe
        observe(perf_counter() - kit.started)


def path_shape(template: str) -> str:
    """The template without the names of its parameters: `/runs/{id}` and `/runs/{run_id}` are one path."""
    return _PARAMETER.sub("{}", template)


def _uncovered(declared: set[tuple[str, str]], served: set[tuple[str, str]]) -> list[str]:
    naked, void = sorted(served - declared), sorted(declared - served)
    return [
        *(f"{method} {path}: is served but declared in no policy document" for method, path in naked),
        *(f"{method} {path}: is declared in a policy document but not served" for method, path in void),
    ]


def _refusing(error: PlatformError) -> Step:
    def enter(_kit: Kit) -> None:
        raise type(error)(error.message, extra=error.extra)

    return enter


def _dress(chain: Chain, kit: Kit, given: Any) -> list[tuple[bytes, bytes]]:
    ours = chain.headers
    if len(given) > _BARE_HEADERS:
        names = {name for name, _ in given}
        ours = [header for header in ours if header[0] not in names]
    headers = [*given, *ours, (b"x-correlation-id", kit.correlation_id.encode())]
    if kit.policy_header is not None:
        headers.append((b"ratelimit-policy", kit.policy_header))
        if kit.limit_header is not None:
            headers.append((b"ratelimit", kit.limit_header))
    for dresser in chain.dressers:
        dresser(kit, headers)
    return headers


async def _run(chain: Chain, kit: Kit, inner: App, send: Send) -> None:
    for step in chain.steps:
        waiting = step(kit)
        if waiting is not None:
            await waiting
    if kit.answer is not None:
        await _tell(kit.answer, send)
    elif kit.on_answer is not None:
        await _keep_then_tell(kit, inner, send)
    else:
        await inner(kit.scope, kit.receive, send)


async def _tell(answer: KeptAnswer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _keep_then_tell(kit: Kit, inner: App, send: Send) -> None:
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
        await inner(kit.scope, kit.receive, collect)
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
