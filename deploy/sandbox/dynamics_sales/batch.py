"""`$batch`: requests in one message, change sets all or nothing, later parts pointing at earlier ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from deploy.sandbox.dynamics_sales.calls import Call, Reply, split_path, split_query
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import DataverseError, bad_query
from deploy.sandbox.dynamics_sales.resources import answer
from deploy.sandbox.dynamics_sales.values import read_json, write_json
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_batch import BatchAnswer, BatchCall, read_batch, write_batch

MOST = 1000
_ROOT = re.compile(r"^.*/api/data/v\d+\.\d+/")
_REFERENCE = re.compile(r"\$(\d+)(?=[/\"')]|$)")


def answer_batch(environment: Environment, call: Call, content: bytes) -> Reply:
    """All parts in order; without `odata.continue-on-error` the first failure ends it. Raises DataverseError."""
    if call.method != "POST":
        raise bad_query("$batch takes POST only.")
    try:
        parts = read_batch(content, call.headers.get("content-type", ""))
    except ODataRefused as error:
        raise bad_query(str(error)) from None
    if sum(len(part) if isinstance(part, list) else 1 for part in parts) > MOST:
        raise bad_query(f"The batch message contains more than {MOST} operations.")
    answers: list[BatchAnswer | Sequence[BatchAnswer]] = []
    status = 200
    for part in parts:
        done = _change_set(environment, call, part) if isinstance(part, list) else _alone(environment, call, part)
        answers.append(done)
        if isinstance(done, BatchAnswer) and done.status >= 400 and not call.wishes.goes_on:  # noqa: PLR2004 - HTTP
            status = done.status
            break
    body, kind = write_batch(answers)
    return Reply(status, body, {"content-type": kind})


def _alone(environment: Environment, call: Call, part: BatchCall) -> BatchAnswer:
    mark = environment.writes.mark()
    try:
        return _told(answer(environment, _inner(call, part, {})), part.content_id)
    except DataverseError as error:
        environment.writes.roll_back(mark)
        return _refused(error, part.content_id)


def _change_set(environment: Environment, call: Call, parts: Sequence[BatchCall]) -> list[BatchAnswer] | BatchAnswer:
    mark = environment.writes.mark()
    made: dict[str, str] = {}
    answers: list[BatchAnswer] = []
    for part in parts:
        try:
            if part.method == "GET":
                raise bad_query("GET requests are not allowed in a change set.")
            reply = answer(environment, _inner(call, part, made))
        except DataverseError as error:
            environment.writes.roll_back(mark)
            return _refused(error, part.content_id)
        if part.content_id and "odata-entityid" in reply.headers:
            made[part.content_id] = reply.headers["odata-entityid"]
        answers.append(_told(reply, part.content_id))
    return answers


def _inner(call: Call, part: BatchCall, made: dict[str, str]) -> Call:
    def address(match: re.Match[str]) -> str:
        if match[1] not in made:
            raise bad_query(f"Content-ID reference '{match[0]}' does not exist in the change set.")
        return made[match[1]]

    url = _REFERENCE.sub(address, part.url) if part.url.startswith("$") and part.url[1:2].isdigit() else part.url
    path = urlsplit(_ROOT.sub("", url).lstrip("/"))
    text = part.body.decode("utf-8", "replace")
    body = None
    if text.strip():
        filled = re.sub(
            r'("[^"]*@odata\.(?:bind|id)"\s*:\s*")(\$\d+)"', lambda m: f'{m[1]}{_REFERENCE.sub(address, m[2])}"', text
        )
        body = read_json(filled.encode())
    headers = {"prefer": call.headers.get("prefer", ""), **part.headers}
    return Call(part.method, split_path(path.path), split_query(path.query), body, headers, call.caller, call.root)


def _told(reply: Reply, content_id: str | None) -> BatchAnswer:
    body = b"" if reply.body is None else reply.body if isinstance(reply.body, bytes) else write_json(reply.body)
    kind = {"Content-Type": "application/json; odata.metadata=minimal"} if body else {}
    return BatchAnswer(reply.status, {**kind, "OData-Version": "4.0", **_shown(reply.headers)}, body, content_id)


def _shown(headers: object) -> dict[str, str]:
    names = {"odata-entityid": "OData-EntityId", "location": "Location", "etag": "ETag"}
    given: dict[str, str] = dict(headers)  # type: ignore[call-overload] # a mapping of texts
    return {names.get(name, name): value for name, value in given.items()}


def _refused(error: DataverseError, content_id: str | None) -> BatchAnswer:
    headers = {"Content-Type": "application/json; odata.metadata=minimal", "OData-Version": "4.0", **error.headers}
    return BatchAnswer(error.status, headers, write_json(error.on_the_wire()), content_id)
