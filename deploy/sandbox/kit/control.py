"""Control endpoints of the sandbox: faults, call counts, deliveries, reset; and the app that holds all vendors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.sandbox.kit.deliveries import Deliveries, Subscription
from deploy.sandbox.kit.faults import Fault
from deploy.sandbox.kit.wire import Wire

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Simulator:
    """One vendor in the sandbox: its wire, its deliveries (None: the vendor cannot push), and how it is emptied.

    `counts` tells how many records of each kind it holds; `configure` takes vendor-specific switches.
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


def _control(simulator: Simulator) -> list[Route]:
    async def faults(request: Request) -> Response:
        book = simulator.wire.faults
        if request.method == "DELETE":
            book.clear()
        elif request.method == "POST":
            try:
                book.add(await _body(request, Fault))
            except ValidationError as error:
                return _refused(error)
        return JSONResponse([rule.model_dump(mode="json") for rule in book.rules()])

    async def calls(request: Request) -> Response:
        if request.method == "DELETE":
            simulator.wire.calls.clear()
        return JSONResponse(dict(simulator.wire.calls))

    async def reset(request: Request) -> Response:
        del request
        simulator.reset()
        simulator.wire.faults.clear()
        simulator.wire.calls.clear()
        if simulator.deliveries:
            simulator.deliveries.forget()
        return Response(status_code=204)

    async def counts(request: Request) -> Response:
        del request
        return JSONResponse(simulator.counts())

    async def deliveries(request: Request) -> Response:
        box = simulator.deliveries
        if box is None:
            return JSONResponse({"title": f"{simulator.name} pushes nothing."}, 404)
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

    async def switches(request: Request) -> Response:
        if simulator.configure is None:
            return JSONResponse({"title": f"{simulator.name} has no switches."}, 404)
        try:
            simulator.configure(await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"title": "The switch is not known.", "detail": str(error)}, 422)
        return Response(status_code=204)

    return [
        Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/calls", calls, methods=["GET", "DELETE"]),
        Route("/reset", reset, methods=["POST"]),
        Route("/counts", counts, methods=["GET"]),
        Route("/deliveries", deliveries, methods=["GET", "PUT", "POST", "DELETE"]),
        Route("/switches", switches, methods=["POST"]),
    ]


def sandbox_app(simulators: Mapping[str, Simulator]) -> ASGIApp:
    """All vendors under their names (`/salesforce/...`), control under `/_control/<name>/...`, `/health` for all."""

    async def health(request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok", "vendors": sorted(simulators)})

    control = Starlette(
        routes=[
            Route("/health", health),
            *(Mount(f"/_control/{name}", routes=_control(sim)) for name, sim in simulators.items()),
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
