"""Calls a route's function as the framework would, with all that is known at start settled at start; no policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from inspect import isasyncgenfunction, isclass, iscoroutinefunction, isfunction, isgeneratorfunction, ismethod
from typing import Any

from fastapi import Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.routing import RouteContext
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

Told = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body of an ordinary answer."""
Call = Callable[[Scope, Receive, Send], Awaitable[Response | Told]]
_JSON = (b"content-type", b"application/json")
_SUCCESS = 200


@dataclass(frozen=True, slots=True)
class _Asked:
    """A function of the route and all it asks for: the endpoint, or something it depends on."""

    call: Callable[..., Any]
    key: tuple[Any, ...]
    is_async: bool
    name: str | None
    inner: tuple[_Asked, ...]
    path: tuple[tuple[str, str, Callable[..., Any]], ...]
    query: list[Any]
    headers: list[Any]
    request: str | None
    response: str | None

    @property
    def wants_request(self) -> bool:
        """Whether anything here is read from the framework's view of the request."""
        own = self.query or self.headers or self.request
        return bool(own) or any(one.wants_request for one in self.inner)

    @property
    def wants_response(self) -> bool:
        """Whether anything here writes headers or a status of its own."""
        return self.response is not None or any(one.wants_response for one in self.inner)


class _Given:
    """What one request brings, and what was found out from it so far."""

    __slots__ = ("errors", "known", "request", "response", "scope")

    def __init__(self, scope: Scope, request: Request | None, response: Response | None) -> None:
        self.scope = scope
        self.request = request
        self.response = response
        self.known: dict[tuple[Any, ...], Any] = {}
        self.errors: list[Any] = []


def direct_call(route: RouteContext) -> Call | None:
    """What the framework would do for this route, done directly; None where it does more than we know of.

    Known are: asynchronous endpoints without a body whose answer has a model, parameters in path, query and headers,
    the request, headers to add, and functions depended on that ask for no more than that.
    """
    field = route.response_field
    endpoint = route.dependant.call
    is_ordinary = (
        field is not None
        and isinstance(route.response_class, DefaultPlaceholder)  # named classes render by themselves
        and route.body_field is None
        and route.stream_item_field is None
        and iscoroutinefunction(endpoint)
    )
    asked = _asked(route.dependant) if is_ordinary else None
    if field is None or asked is None:
        return None
    validate, serialize = field.validate, _serializer(route)
    call, wants_request, wants_response = asked.call, asked.wants_request, asked.wants_response
    status = route.status_code or _SUCCESS
    told = {"function": route.name, "path": route.path_format}

    async def answer(scope: Scope, receive: Receive, send: Send) -> Response | Told:
        request = Request(scope, receive, send) if wants_request else None
        given = _Given(scope, request, _blank() if wants_response else None)
        values: dict[str, Any] = {}
        if asked.inner:
            await _solve(asked, given, values)
        _read(asked, given, values)
        if given.errors:
            raise RequestValidationError(given.errors)
        found = await call(**values)
        if isinstance(found, Response):
            return found
        value, errors = validate(found, {}, loc=("response",))
        if errors:
            raise ResponseValidationError(errors, body=found, endpoint_ctx=told)  # type: ignore[arg-type]
        body = serialize(value)
        if given.response is not None:
            return _dressed(given.response, status, body)
        return status, [(b"content-length", b"%d" % len(body)), _JSON], body

    return answer


def _blank() -> Response:
    """Where the endpoint and what it depends on may leave headers and a status."""
    response = Response()
    response.raw_headers = []
    response.status_code = None  # type: ignore[assignment] # as the framework hands it out: not yet said
    return response


def _dressed(wished: Response, status: int, body: bytes) -> Response:
    answer = Response(body, wished.status_code or status, media_type="application/json")
    if not is_body_allowed_for_status_code(answer.status_code):
        answer.body = b""
    answer.raw_headers += wished.raw_headers
    return answer


def _serializer(route: RouteContext) -> Callable[[Any], bytes]:
    to_json: Callable[..., bytes] = route.response_field.serialize_json
    said = {
        "include": route.response_model_include,
        "exclude": route.response_model_exclude,
        "by_alias": route.response_model_by_alias,
        "exclude_unset": route.response_model_exclude_unset,
        "exclude_defaults": route.response_model_exclude_defaults,
        "exclude_none": route.response_model_exclude_none,
    }
    return partial(to_json, **said)


def _asked(dependant: Dependant) -> _Asked | None:
    """The same, readied for every request; None where something is asked for that only the framework can give."""
    call = dependant.call
    if (
        not (isfunction(call) or ismethod(call))
        or hasattr(call, "__wrapped__")
        or isgeneratorfunction(call)
        or isasyncgenfunction(call)
        or not dependant.use_cache
        or dependant.concurrency is not None
        or dependant.own_oauth_scopes
        or dependant.parent_oauth_scopes
        or dependant.cookie_params
        or dependant.body_params
        or dependant.http_connection_param_name
        or dependant.websocket_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or any(
            isclass(one.field_info.annotation) and issubclass(one.field_info.annotation, BaseModel)
            for one in dependant.path_params
        )
    ):
        return None
    inner = tuple(map(_asked, dependant.dependencies))
    if None in inner:
        return None
    return _Asked(
        call=call,
        key=(call, dependant.scope or ""),
        is_async=iscoroutinefunction(call),
        name=dependant.name,
        inner=tuple(one for one in inner if one is not None),
        path=tuple((one.name, one.validation_alias or one.alias, one.validate) for one in dependant.path_params),
        query=dependant.query_params,
        headers=dependant.header_params,
        request=dependant.request_param_name,
        response=dependant.response_param_name,
    )


async def _solve(asked: _Asked, given: _Given, values: dict[str, Any]) -> None:
    """Call what a function depends on: each once per request, whoever asks for it."""
    for one in asked.inner:
        before = len(given.errors)
        arguments: dict[str, Any] = {}
        if one.inner:
            await _solve(one, given, arguments)
        _read(one, given, arguments)
        if len(given.errors) > before:
            continue
        if one.key in given.known:
            found = given.known[one.key]
        else:
            found = await (one.call(**arguments) if one.is_async else run_in_threadpool(one.call, **arguments))
            given.known[one.key] = found
        if one.name is not None:
            values[one.name] = found


def _read(asked: _Asked, given: _Given, values: dict[str, Any]) -> None:
    """Arguments out of the request itself, in the framework's order."""
    for name, alias, validate in asked.path:
        value, faults = validate(given.scope["path_params"][alias], {}, loc=("path", alias))
        if faults:
            given.errors += faults
        else:
            values[name] = value
    request = given.request
    if request is not None:
        for fields, there in ((asked.query, "query_params"), (asked.headers, "headers")):
            if fields:
                found, faults = request_params_to_args(fields, getattr(request, there))
                values.update(found)
                given.errors += faults
        if asked.request is not None:
            values[asked.request] = request
    if asked.response is not None:
        values[asked.response] = given.response
