"""`contract.yaml` of the simulator at work: which operation a call is, and where a body does not fit its model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import yaml
from starlette.types import Message, Receive, Scope, Send

import deploy.sandbox.hubspot as simulated
from deploy.sandbox.kit.wire import Wire

Json = dict[str, Any]
_DATED = re.compile(r"^/crm/(\w+)/\d{4}-\d{2}")
_TOLD = re.compile(r"(?P<kind>.+?)!?(?: (?P<values>[A-Z_|]+))?")
_LIST = re.compile(r"list\[(.*)\]")
_DICT = re.compile(r"dict\[str, (.*)\]")
_PARTS = ("objects_generic", "associations_v4", "associations_v4_schema", "owners", "pipelines", "properties", "oauth")


@cache
def contract() -> Json:
    """The whole file."""
    path = Path(simulated.__file__).with_name("contract.yaml")
    document: Json = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def classic(path: str) -> str:
    """A dated path by its classic name; the contract knows those."""

    def renamed(found: re.Match[str]) -> str:
        version = "v4" if found[1] == "associations" or "/associations/" in path else "v3"
        return f"/crm/{version}/{found[1]}"

    path = _DATED.sub(renamed, path)
    return re.sub(r"^/oauth/[^/]+/token", "/oauth/v1/token", path)


def operation(method: str, path: str) -> tuple[str, Json] | None:
    """Which part of the contract a call belongs to, and its facts; literal paths before patterns."""
    found: list[tuple[int, str, Json]] = []
    for part in _PARTS:
        for named, facts in contract()[part]["operations"].items():
            verb, _, template = named.partition(" ")
            pattern = re.sub(r"\{\w+\}", "[^/]+", template.rstrip("/"))
            if verb == method and re.fullmatch(pattern, classic(path).rstrip("/")):
                found.append((template.count("{"), part, facts))
    best = min(found, key=lambda one: one[0], default=None)
    return (best[1], best[2]) if best else None


def misfits(part: str, told: str, value: Any, at: str = "body") -> Iterator[str]:
    """Every place where a value is not what the contract says."""
    found = _TOLD.fullmatch(told)
    assert found, told
    kind, values = found["kind"], found["values"]
    if inner := _LIST.fullmatch(kind):
        yield from _of_list(part, inner[1], value, at)
    elif inner := _DICT.fullmatch(kind):
        yield from _of_dict(part, inner[1], value, at)
    elif kind in contract()[part]["models"]:
        yield from _of_model(part, kind, value, at)
    elif not _is(kind, value, at):
        yield f"{at} is {value!r} where {kind} is said"
    elif values and value not in values.split("|"):
        yield f"{at} is {value!r}, none of {values}"


def _of_list(part: str, told: str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at} is no list"
        return
    for number, one in enumerate(cast("list[Any]", value)):
        yield from misfits(part, told, one, f"{at}[{number}]")


def _of_dict(part: str, told: str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    may_be_null = at.rpartition(".")[2] in contract()["seen_otherwise"]["nulls"]
    for key, one in cast("Json", value).items():
        if one is not None or not may_be_null:
            yield from misfits(part, told, one, f"{at}.{key}")


def _of_model(part: str, kind: str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no {kind}"
        return
    given = cast("Json", value)
    members: dict[str, str] = contract()[part]["models"][kind]
    for name, told in members.items():
        is_null = name in given and given[name] is None and name in contract()["seen_otherwise"]["nulls"]
        if name in given and not is_null:
            yield from misfits(part, told, given[name], f"{at}.{name}")
        elif not is_null and "!" in told:
            yield f"{at}.{name} is missing"
    for name in given.keys() - members.keys():
        yield f"{at}.{name} is not in {kind}"


def _is(kind: str, value: Any, at: str) -> bool:
    if kind == "datetime":
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    if isinstance(value, int) and at.rpartition(".")[2] in contract()["seen_otherwise"]["numbers"]:
        return True
    wanted = {"str": str, "int": int, "bool": bool}.get(kind, object)
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


class Recorder:
    """A wire that is listened to: every call with its answer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.faults = wire.faults
        self.calls = wire.calls
        self.heard: list[Json] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call on, and note it."""
        asked, told, status = bytearray(), bytearray(), 0

        async def listened() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            told.extend(message.get("body", b""))
            await send(message)

        await self._wire(scope, listened, sent)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        form = path.endswith("/token")
        query: bytes = scope["query_string"]
        self.heard.append(
            {
                "method": scope["method"],
                "path": path,
                "query": set(parse_qs(query.decode(), keep_blank_values=True)),
                "body": parse_qs(asked.decode()) if form else json.loads(asked) if asked else None,
                "status": status,
                "answer": json.loads(told) if told else None,
            }
        )


def complaints(heard: Json) -> list[str]:
    """Where one call or its answer breaks the contract."""
    called = f"{heard['method']} {heard['path']}"
    found = operation(heard["method"], heard["path"])
    if found is None:
        return [f"{called} is not in the contract"]
    part, facts = found
    told = [f"{called}: query {name} is not known" for name in heard["query"] - set(facts.get("query", ()))]
    if "takes" in facts:
        told += [f"{called}: {one}" for one in misfits(part, facts["takes"], heard["body"])]
    elif "form" in facts:
        told += [f"{called}: form {name} is not known" for name in set(heard["body"]) - set(facts["form"])]
    elif heard["body"] is not None:
        told.append(f"{called}: takes no body")
    if heard["status"] not in facts["gives"]:
        return [*told, f"{called}: {heard['status']} is not said"]
    model = facts["gives"][heard["status"]]
    if model is None:
        return told + ([f"{called}: answers a body"] if heard["answer"] is not None else [])
    return told + [f"{called}: {one}" for one in misfits(part, model, heard["answer"], "answer")]
