"""Finds the chain of a request, also where nothing is declared; compiled documents enter, nothing is answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.errors.taxonomy import MethodNotAllowed, NotFound, PlatformError
from shared.gateway.chain import Chain, Compiler, Step, now
from shared.gateway.document import DocumentRefused, GatewayDocuments, Operation
from shared.gateway.kit import App, Kit
from shared.gateway.paths import PathTree
from shared.gateway.policies.lifecycle.config import Lifecycle, LifecycleState
from shared.gateway.policies.lifecycle.handler import is_retired, retired
from shared.gateway.refusals import UnknownVersion
from shared.gateway.supplies import Supplies
from shared.persistence.kept_answers import KeptAnswer

_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Served:
    """A route of the application; `target` leads straight to it, None goes through the router."""

    method: str
    path: str
    target: App | None = None


class Switchboard:
    """All chains of one tier, from one state of its documents."""

    def __init__(
        self,
        documents: GatewayDocuments,
        supplies: Supplies,
        routes: Iterable[Served],
        earlier: Switchboard | None = None,
    ) -> None:
        """`routes` are what the application serves; what `earlier` has counted and learnt is kept.

        Raises: DocumentRefused when a route has no declaration or a declaration no route, naming all of them.
        """
        self.documents = documents
        self.operations: Mapping[str, Operation] = {one.name: one for one in documents.operations()}
        self.compiler = Compiler(documents, supplies, earlier.compiler if earlier else None)
        self._supplies = supplies
        self._tree: PathTree[Chain] = PathTree()
        self._roots: dict[str, dict[str, Lifecycle]] = {}
        self._ends: list[tuple[str, Lifecycle, Chain]] = []
        self._by_methods: dict[tuple[str, ...], tuple[Chain, Chain]] = {}
        self.find = self._tree.find
        declared = documents.operations()
        served = {(route.method, path_shape(route.path)): route for route in reversed(list(routes))}
        lines: list[str] = []
        for operation in declared:
            try:
                chain = self.compiler.chain(operation)
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
        self._learn_versions()
        self._not_found = self.compiler.plain("none", refusing(NotFound("There is no such resource.")))

    def _learn_versions(self) -> None:
        for api in self.documents.apis:
            for version, facts in api.versions.items():
                lifecycle = facts.lifecycle
                if facts.base and (lifecycle.state is LifecycleState.RETIRED or lifecycle.sunset_at is not None):
                    gone = self.compiler.plain(f"{facts.base}: retired", refusing(retired(lifecycle)), lifecycle)
                    self._ends.append((facts.base, lifecycle, gone))
                root, _, last = facts.base.rpartition("/")
                if last == version and root and lifecycle.state is not LifecycleState.RETIRED:
                    self._roots.setdefault(root, {})[version] = lifecycle

    def exception(self, kit: Kit) -> Chain:
        """The chain of a request that no operation is declared for."""
        for base, lifecycle, chain in self._ends:
            if (kit.path == base or kit.path.startswith(f"{base}/")) and is_retired(lifecycle, now(self._supplies)):
                return chain
        declared = self._tree.methods(kit.path)
        if declared:
            methods = _allowed(declared)
            refusing_method, telling = self._by_methods.get(methods) or self._of_methods(methods)
            if kit.method != "OPTIONS":
                return refusing_method
            return self._preflight(kit, list(methods), telling) or telling
        for root, versions in self._roots.items():
            if kit.path.startswith(f"{root}/"):
                asked = kit.path[len(root) + 1 :].partition("/")[0]
                if asked not in versions:
                    served = [name for name, said in versions.items() if not is_retired(said, now(self._supplies))]
                    return self.compiler.plain("none", refusing(_unknown_version(root, asked, sorted(served))))
        return self._not_found

    def _of_methods(self, methods: tuple[str, ...]) -> tuple[Chain, Chain]:
        """For paths with these methods: the chain that refuses another, and the one that answers OPTIONS."""

        def refuse(kit: Kit) -> None:
            raise MethodNotAllowed(f"{kit.method} is not supported here.", extra={"allow": methods})

        def tell(kit: Kit) -> None:
            kit.answer = KeptAnswer(204, [(b"allow", ", ".join(methods).encode())], b"")

        made = (self.compiler.plain("none", refuse), self.compiler.plain("options", tell, Lifecycle()))
        self._by_methods[methods] = made
        return made

    def _preflight(self, kit: Kit, methods: list[str], telling: Chain) -> Chain | None:
        asked = (kit.header(b"access-control-request-method") or b"").decode("latin-1")
        chain = self.find("GET" if asked == "HEAD" else asked, kit.path)
        answer = chain.cors.preflight(kit, methods) if chain is not None and chain.cors is not None else None
        if chain is None or answer is None:
            return None

        def enter(kit: Kit) -> None:
            kit.answer = answer

        steps = (*telling.steps[:-1], enter)
        return Chain("preflight", chain.api, steps, headers=chain.headers, dressers=chain.dressers)


def path_shape(template: str) -> str:
    """The template without the names of its parameters: `/runs/{id}` and `/runs/{run_id}` are one path."""
    return _PARAMETER.sub("{}", template)


def refusing(error: PlatformError) -> Step:
    """A step that refuses every request with that error."""

    def enter(_kit: Kit) -> None:
        raise type(error)(error.message, extra=error.extra)

    return enter


def _allowed(declared: list[str]) -> tuple[str, ...]:
    """What may be asked for: HEAD comes with GET, OPTIONS always."""
    return tuple(sorted({*declared, "OPTIONS", *(("HEAD",) if "GET" in declared else ())}))


def _unknown_version(root: str, asked: str, known: list[str]) -> UnknownVersion:
    told = f"{root} has no version `{asked[:40]}`; known: {', '.join(known)}."
    return UnknownVersion(told, extra={"known_versions": known})


def _uncovered(declared: set[tuple[str, str]], served: set[tuple[str, str]]) -> list[str]:
    naked, void = sorted(served - declared), sorted(declared - served)
    return [
        *(f"{method} {path}: is served but declared in no policy document" for method, path in naked),
        *(f"{method} {path}: is declared in a policy document but not served" for method, path in void),
    ]
