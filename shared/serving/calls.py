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
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

Call = Callable[[Scope, Receive, Send], Awaitable[Response | bytes]]
"""From a request to the answer, or to the JSON of an ordinary one."""


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
    requests: tuple[str, ...]

    @property
    def wants_request(self) -> bool:
        """Whether anything here is read from the framework's view of the request."""
        return bool(self.query or self.headers or self.requests) or any(one.wants_request for one in self.inner)


def direct_call(route: RouteContext) -> Call | None:
    """What the framework would do for this route, done directly; None where it does more than we know of.

    Known are: asynchronous endpoints without a body whose answer has a model, parameters in path, query and headers,
    the request itself, and functions depended on that ask for no more than that.
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
    call, wants_request = asked.call, asked.wants_request
    told = {"function": route.name, "path": route.path_format}

    async def answer(scope: Scope, receive: Receive, send: Send) -> Response | bytes:
        errors: list[Any] = []
        request = Request(scope, receive, send) if wants_request else None
        if asked.inner:
            values = await _solved(asked, scope, request, {}, errors)
        else:
            values: dict[str, Any] = {}
            _read(asked, scope, request, values, errors)
        if errors:
            raise RequestValidationError(errors)
        found = await call(**values)
        if isinstance(found, Response):
            return found
        value, errors = validate(found, {}, loc=("response",))
        if errors:
            raise ResponseValidationError(errors, body=found, endpoint_ctx=told)  # type: ignore[arg-type]
        return serialize(value)

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
        or dependant.response_param_name
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
        requests=(dependant.request_param_name,) if dependant.request_param_name else (),
    )


async def _solved(
    asked: _Asked, scope: Scope, request: Request | None, known: dict[Any, Any], errors: list[Any]
) -> dict[str, Any]:
    """The arguments of a function: what it depends on is called once per request, whoever asks for it."""
    values: dict[str, Any] = {}
    for one in asked.inner:
        before = len(errors)
        if one.inner:
            given = await _solved(one, scope, request, known, errors)
        else:
            given: dict[str, Any] = {}
            _read(one, scope, request, given, errors)
        if len(errors) > before:
            continue
        if one.key in known:
            found = known[one.key]
        else:
            found = await (one.call(**given) if one.is_async else run_in_threadpool(one.call, **given))
            known[one.key] = found
        if one.name is not None:
            values[one.name] = found
    _read(asked, scope, request, values, errors)
    return values


def _read(asked: _Asked, scope: Scope, request: Request | None, values: dict[str, Any], errors: list[Any]) -> None:
    """Arguments out of the request itself, in the framework's order."""
    for name, alias, validate in asked.path:
        value, faults = validate(scope["path_params"][alias], values, loc=("path", alias))
        if faults:
            errors += faults
        else:
            values[name] = value
    if request is None:
        return
    for fields, given in ((asked.query, "query_params"), (asked.headers, "headers")):
        if fields:
            found, faults = request_params_to_args(fields, getattr(request, given))
            values.update(found)
            errors += faults
    for name in asked.requests:
        values[name] = request
