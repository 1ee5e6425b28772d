"""The short way to a route: it is taken, and it answers as the framework does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors.taxonomy import Conflict
from shared.serving.dispatch import Direct, Handled, Wrapped, served_routes
from shared.serving.problems import install_problems


class Thing(BaseModel):
    """An answer with names and gaps of its own."""

    number: int = Field(serialization_alias="no")
    note: str | None = None
    kind: str = "plain"


class Wish(BaseModel):
    """Query parameters in one model."""

    limit: int = Field(default=5, ge=1, le=9)
    words: list[str] = []


async def pages(limit: Annotated[int, Query(ge=1)] = 50) -> int:
    return limit


def slowly(pages: Annotated[int, Depends(pages)]) -> int:
    return pages * 2


async def counted(request: Request) -> int:
    request.state.calls = getattr(request.state, "calls", 0) + 1
    return request.state.calls


async def once_more(calls: Annotated[int, Depends(counted)]) -> int:
    return calls


async def says_more(response: Response, language: Annotated[str | None, Header(alias="Accept-Language")] = None) -> str:
    response.headers["Content-Language"] = language or "en"
    response.headers.append("Vary", "Accept-Language")
    return language or "en"


async def refuses() -> None:
    raise HTTPException(409, "not now", headers={"X-Why": "because"})


async def closing() -> AsyncGenerator[str]:
    yield "open"


def a_tier() -> FastAPI:  # noqa: C901 - a list of routes
    app = FastAPI(strict_content_type=False)
    install_problems(app)

    @app.get("/text/{name}")
    async def text(name: str) -> dict[str, str]:
        return {"name": name}

    @app.get("/numbers/{number}/of/{size}")
    async def number(
        number: Annotated[int, Path(ge=1)],
        size: int,
        wanted: Annotated[tuple[int, ...], Query()] = (),
        half: bool = False,
    ) -> dict[str, Any]:
        return {"number": number, "size": size, "wanted": wanted, "half": half}

    @app.get("/models", response_model_exclude_none=True, status_code=203)
    async def model() -> Thing:
        return Thing(number=3)

    @app.get("/unset", response_model=Thing, response_model_exclude_unset=True)
    async def unset() -> Any:
        return {"number": 4, "secret": "stays here"}

    @app.get("/wishes", include_in_schema=False)  # else the gate would refuse what the model alone declares
    async def wish(wish: Annotated[Wish, Query()]) -> Wish:
        return wish

    @app.get("/depending", dependencies=[Depends(counted)])
    async def depending(
        request: Request,
        twice: Annotated[int, Depends(slowly)],
        first: Annotated[int, Depends(counted)],
        second: Annotated[int, Depends(once_more)],
        limit: Annotated[int, Query(le=60)] = 7,
    ) -> list[Any]:
        return [twice, first, second, limit, request.url.path, request.path_params]

    @app.get("/languages")
    async def language(spoken: Annotated[str, Depends(says_more)]) -> dict[str, str]:
        return {"spoken": spoken}

    @app.get("/statuses/{status}")
    async def status(status: int, response: Response) -> dict[str, int] | None:
        response.status_code = status
        response.headers["X-Status"] = str(status)
        return {"status": status}

    @app.get("/refused", dependencies=[Depends(refuses)])
    async def refused() -> dict[str, str]:
        raise AssertionError("never called")

    @app.get("/conflict")
    async def conflict() -> dict[str, str]:
        raise Conflict("already there")

    @app.get("/own", response_model=None)
    async def own() -> Response:
        return PlainTextResponse("mine", 418, headers={"X-Own": "yes"})

    @app.get("/sometimes", response_model=Thing)
    async def sometimes() -> Any:
        return PlainTextResponse("mine", 202)

    @app.post("/acts")
    async def act() -> dict[str, bool]:
        return {"done": True}

    return app


def ours(app: FastAPI) -> ASGIApp:
    """The routes alone, without their gate."""
    targets = {served.path: served.target for served in served_routes(app)}
    handlers = {kind: handler for kind, handler in app.exception_handlers.items() if not isinstance(kind, int)}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        template = next(one for one in targets if _fits(one, scope["path"]))
        target = targets[template]
        assert isinstance(target, Wrapped)
        scope["starlette.exception_handlers"] = (handlers, {})
        scope["app"] = app
        await target(scope, receive, send)

    return serve


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(a == b or a.startswith("{") for a, b in zip(parts, given, strict=True))


ASKED = [
    "/text/harbour",
    "/text/h%C3%A4fen",
    "/numbers/1/of/2",
    "/numbers/0/of/two?half=perhaps&wanted=1&wanted=x",
    "/numbers/1/of/2?half=yes&wanted=1&wanted=2",
    "/models",
    "/unset",
    "/wishes",
    "/wishes?limit=9&words=a&words=b",
    "/wishes?limit=10",
    "/depending",
    "/depending?limit=60",
    "/depending?limit=0",
    "/depending?limit=61",
    "/languages",
    "/statuses/201",
    "/statuses/204",
    "/statuses/304",
    "/statuses/x",
    "/refused",
    "/conflict",
    "/own",
    "/sometimes",
]


@pytest.mark.parametrize("path", ASKED)
async def test_a_route_answers_on_the_short_way_as_behind_the_framework(path: str) -> None:
    app, heard = a_tier(), list[Any]()
    for served in (app, ours(app)):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://tier.test") as client:
            answer = await client.get(path, headers={"Accept-Language": "de"})
        heard.append((answer.status_code, answer.headers.multi_items(), answer.content))
    assert heard[0] == heard[1]


async def test_ordinary_routes_are_called_directly() -> None:
    ways = {served.path: type(served.target) for served in served_routes(a_tier()) if served.path.count("/") < 5}
    framework = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
    assert {path for path, way in ways.items() if way is not Direct} == {"/own", *framework}
    assert ways["/own"] is Handled  # the endpoint says that it makes its answer by itself


async def test_what_is_out_of_the_ordinary_stays_with_the_framework() -> None:
    app = FastAPI()

    @app.get("/cookies")
    async def cookie(seen: Annotated[str | None, Cookie()] = None) -> dict[str, Any]:
        return {"seen": seen}

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> dict[str, Any]:
        return {"tasks": len(tasks.tasks)}

    @app.get("/threads")
    def thread() -> dict[str, str]:
        return {"in": "a thread"}

    @app.get("/untyped")
    async def untyped():  # type: ignore[no-untyped-def] # noqa: ANN202 - the point
        return {"a": 1}

    @app.post("/bodies")
    async def body(thing: Thing) -> Thing:
        return thing

    @app.get("/closing")
    async def closes(given: Annotated[str, Depends(closing)]) -> dict[str, str]:
        return {"given": given}

    @app.get("/files/{rest:path}")
    async def file(rest: str) -> dict[str, str]:
        return {"rest": rest}

    ways = {served.path: served.target for served in served_routes(app)}
    for path in ("/cookies", "/later", "/threads", "/untyped", "/bodies"):
        assert type(ways[path]) is Handled, path
    assert type(ways["/closing"]) is Wrapped
    assert ways["/files/{rest}"] is None


async def test_a_replaced_dependency_is_replaced_on_the_short_way_too() -> None:
    app = a_tier()
    app.dependency_overrides[pages] = lambda: 1000
    async with httpx.AsyncClient(transport=httpx.ASGITransport(ours(app)), base_url="http://tier.test") as client:
        assert (await client.get("/depending")).json()[0] == 2000


async def test_an_answer_that_breaks_its_own_model_is_a_defect() -> None:
    app = FastAPI()

    @app.get("/wrong", response_model=Thing)
    async def wrong() -> Any:
        return {"number": "none"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(ours(app)), base_url="http://tier.test") as client:
        with pytest.raises(ResponseValidationError):
            await client.get("/wrong")
