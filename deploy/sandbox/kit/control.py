"""Control endpoints of the sandbox: faults, call counts, deliveries, reset; and the app that holds all vendors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.sandbox.kit.deliveries import Deliveries, Subscription
from deploy.sandbox.kit.faults import Fault
from deploy.sandbox.kit.switches import UnknownSwitch
from deploy.sandbox.kit.wire import Wire

Model = TypeVar("Model", bound=BaseModel)
_SWITCHES: Final = TypeAdapter(dict[str, Any])
_NOT_TAKEN: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True)
class Simulator:
    """One vendor in the sandbox: its wire, its deliveries (None: the vendor cannot push), and how it is emptied.

    `name` is the vendor's folder. `reset` leaves an empty system with the switches it was made with. `counts` tells how
    many records of each kind it holds. `configure` takes vendor-specific switches; it raises UnknownSwitch for one that
    it does not know, and ValueError, TypeError, LookupError, ArithmeticError or AttributeError for a value it does not
    take.
    """

    name: str
    wire: Wire
    deliveries: Deliveries | None
    reset: Callable[[], None]
    counts: Callable[[], dict[str, int]]
    configure: Callable[[dict[str, Any]], None] | None = None


def _refused(error: ValidationError) -> Response:
    errors = [{"field": ".".join(map(str, e["loc"])), "reason": e["msg"]} for e in error.errors(include_url=False)]
    return JSONResponse({"title": "The control request is not valid.", "errors": errors}, 422)


async def _body(request: Request, model: type[Model]) -> Model:
    return model.model_validate_json(await request.body())


class _Control:
    """The control endpoints of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[Route]:
        return [
            Route("/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/calls", self.calls, methods=["GET", "DELETE"]),
            Route("/reset", self.reset, methods=["POST"]),
            Route("/counts", self.counts, methods=["GET"]),
            Route("/deliveries", self.deliveries, methods=["GET", "PUT", "POST", "DELETE"]),
            Route("/switches", self.switches, methods=["POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        """The rules in force with how often each struck; POST adds one, DELETE clears all."""
        book = self._simulator.wire.faults
        if request.method == "DELETE":
            book.clear()
        elif request.method == "POST":
            try:
                book.add(await _body(request, Fault))
            except ValidationError as error:
                return _refused(error)
        listed = zip(book.rules(), book.struck_times(), strict=True)
        return JSONResponse([{**rule.model_dump(mode="json"), "struck": struck} for rule, struck in listed])

    async def calls(self, request: Request) -> Response:
        """How often each `METHOD /path` was called (`?by=throughline`: by our connectors); DELETE starts afresh."""
        wire = self._simulator.wire
        if request.method == "DELETE":
            wire.calls.clear()
            wire.of_us.clear()
        return JSONResponse(dict(wire.of_us if request.query_params.get("by") == "throughline" else wire.calls))

    async def reset(self, request: Request) -> Response:
        """Empty the vendor: no records, no faults, no subscribers."""
        del request
        self._simulator.reset()
        self._simulator.wire.faults.clear()
        self._simulator.wire.calls.clear()
        self._simulator.wire.of_us.clear()
        if self._simulator.deliveries:
            self._simulator.deliveries.forget()
        return Response(status_code=204)

    async def counts(self, request: Request) -> Response:
        """Records by kind."""
        del request
        return JSONResponse(self._simulator.counts())

    async def deliveries(self, request: Request) -> Response:
        """PUT subscribes, POST releases what is held (`?reverse=true`: last first), DELETE forgets."""
        box = self._simulator.deliveries
        if box is None:
            return JSONResponse({"title": f"{self._simulator.name} pushes nothing."}, 404)
        if request.method == "PUT":
            try:
                box.subscription = await _body(request, Subscription)
            except ValidationError as error:
                return _refused(error)
        elif request.method == "POST":
            box.release(reverse=request.query_params.get("reverse") == "true")
        elif request.method == "DELETE":
            box.forget()
        return JSONResponse({"sent": box.sent, "failed": box.failed, "waiting": box.waiting})

    async def switches(self, request: Request) -> Response:
        """Vendor-specific switches: an object, name → value."""
        if self._simulator.configure is None:
            return JSONResponse({"title": f"{self._simulator.name} has no switches."}, 404)
        try:
            wanted = _SWITCHES.validate_json(await request.body())
        except ValidationError as error:
            return _refused(error)
        try:
            self._simulator.configure(wanted)
        except UnknownSwitch as error:
            return JSONResponse({"title": "The switch is not known.", "detail": str(error)}, 422)
        except _NOT_TAKEN as error:
            return JSONResponse({"title": "The value of a switch cannot be used.", "detail": str(error)}, 422)
        return Response(status_code=204)


def sandbox_app(simulators: Mapping[str, Simulator]) -> ASGIApp:
    """All vendors under their names (`/salesforce/...`), control under `/_control/<name>/...`, `/health` for all."""

    async def health(request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok", "vendors": sorted(simulators)})

    control = Starlette(
        routes=[
            Route("/health", health),
            *(Mount(f"/_control/{name}", routes=_Control(sim).routes()) for name, sim in simulators.items()),
        ]
    )
    wires = {f"/{name}": simulator.wire for name, simulator in simulators.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = "/" + scope["path"].split("/", 2)[1]
            if wire := wires.get(root):
                await wire({**scope, "root_path": scope.get("root_path", "") + root}, receive, send)
                return
        await control(scope, receive, send)

    return app
