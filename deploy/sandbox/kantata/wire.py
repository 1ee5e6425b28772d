"""Requests and answers of the vendor's wire: tokens, JSON or Rails-style bodies, roots, bulk; no act may stand here."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deploy.sandbox.kantata.errors import Refusal, bad_request, missing, unauthorized
from deploy.sandbox.kantata.schema import SINGULAR
from deploy.sandbox.kantata.state import Row, Store

#: how many objects one POST may hold
BULK = {
    "time_entries": 100,
    "expenses": 100,
    "billing_milestones": 100,
    "custom_field_values": 100,
    "account_invitations": 50,
    "stories": 300,
    "external_references": 100,
}


def answer(document: Any, status: int = 200) -> Response:
    """JSON as the vendor sends it."""
    return Response(orjson.dumps(document), status, {"x-request-id": str(uuid4())}, "application/json; charset=utf-8")


def refused(refusal: Refusal) -> Response:
    """The vendor's error body."""
    return answer(refusal.body(), refusal.status)


def permission(store: Store, request: Request) -> str:
    """What the token's user may do. Raises 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    level = store.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
    if level is None:
        raise unauthorized()
    return level


def query(request: Request) -> dict[str, str]:
    """The query string; the last value of a name counts."""
    return dict(parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True))


async def body(request: Request) -> Row:
    """The body's members, from JSON or a form."""
    content = await request.body()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return _nested(parse_qsl(content.decode(), keep_blank_values=True))
    if not content:
        return {}
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise bad_request("There was a problem in the JSON you submitted") from None
    if not isinstance(document, dict):
        raise bad_request("The body must be an object")
    return document  # pyright: ignore[reportUnknownVariableType]


def _nested(pairs: list[tuple[str, str]]) -> Row:
    """Rails form names: `a[b]=1` nests, `a[]=1` appends."""
    document: Row = {}
    for name, value in pairs:
        path = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node: Any = document
        for part, following in zip(path, [*path[1:], None], strict=True):
            fresh: Any = value if following is None else [] if following == "" else {}
            if isinstance(node, list):
                node.append(fresh)  # pyright: ignore[reportUnknownMemberType]
                node = fresh
            else:
                node = node.setdefault(part, fresh)
    return document


def roots(document: Row, name: str) -> tuple[list[Row], bool]:
    """The objects of a body under the singular root, or the plural one in bulk; and whether it was bulk."""
    if name in BULK and isinstance(document.get(name), list):
        many: list[Row] = document[name]
        if len(many) > BULK[name]:
            raise bad_request(f"at most {BULK[name]} {name} can be created at once")
        if not many:
            raise missing(name)
        return many, True
    one = document.get(SINGULAR.get(name, name))
    if not isinstance(one, dict):
        raise bad_request(f"param is missing or the value is empty: {SINGULAR.get(name, name)}")
    return [one], False  # pyright: ignore[reportUnknownVariableType]
