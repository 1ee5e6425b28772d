"""`$batch` of one service: parts answered in order, change sets done whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from starlette.responses import Response

from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_batch import BatchAnswer, BatchCall, read_batch, write_batch
from deploy.sandbox.s4hana.errors import Refusal, invalid
from deploy.sandbox.s4hana.wire import Ask, decoded, options_of

Serve = Callable[[Ask], Response]
Unit = Callable[[], AbstractContextManager[None]]
_POINTER = re.compile(r"^\$(\d+)(?=$|/)")


class _Broken(Exception):
    """A part of a change set failed; the answer that stands for all of it."""

    def __init__(self, answer: BatchAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Batch:
    """Answers the batches of one service; `root` is its path, `service` and `version` sign its refusals."""

    def __init__(self, serve: Serve, unit: Unit, root: str, service: str, version: int) -> None:
        self._serve = serve
        self._unit = unit
        self._root = root
        self._service = service
        self._version = version

    def answer(self, content: bytes, content_type: str) -> Response:
        """The multipart answer. Raises Refusal where the whole cannot be read."""
        try:
            parts = read_batch(content, content_type)
        except ODataRefused as refused:
            raise invalid("/IWFND/CM_MGW/140", f"The batch cannot be read: {refused}") from refused
        answers = [self._single(part) if isinstance(part, BatchCall) else self._change_set(part) for part in parts]
        body, kind = write_batch(answers)
        return Response(body, 202, {"content-type": kind, "dataserviceversion": "2.0"})

    def _single(self, call: BatchCall) -> BatchAnswer:
        if call.method != "GET":
            refusal = Refusal(400, "/IWFND/CM_MGW/141", "Changes stand in change sets only")
            return self._refused(refusal, call)
        return self._one(call, {})

    def _change_set(self, calls: Sequence[BatchCall]) -> BatchAnswer | list[BatchAnswer]:
        made: dict[str, str] = {}
        answers: list[BatchAnswer] = []
        try:
            with self._unit():
                for call in calls:
                    answer = self._done(call, made)
                    if call.content_id and "location" in answer.headers:
                        made[call.content_id] = self._below(answer.headers["location"])
                    answers.append(answer)
        except _Broken as broken:
            return broken.answer
        return answers

    def _done(self, call: BatchCall, made: dict[str, str]) -> BatchAnswer:
        answer = self._one(call, made)
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's own
            raise _Broken(answer)
        return answer

    def _one(self, call: BatchCall, made: dict[str, str]) -> BatchAnswer:
        path, _, query = call.url.partition("?")
        path = self._below(path)
        if pointer := _POINTER.match(path):
            path = made.get(pointer[1], path[: pointer.end()]) + path[pointer.end() :]
        ask = Ask(call.method, decoded(path), options_of(query), call.body, call.headers.get("if-match"))
        try:
            response = self._serve(ask)
        except Refusal as refusal:
            return self._refused(refusal, call)
        headers = {name: value for name, value in response.headers.items() if name != "set-cookie"}
        return BatchAnswer(response.status_code, headers, bytes(response.body), call.content_id)

    def _below(self, url: str) -> str:
        """The path below the service, however the part spells its address."""
        at = url.find(self._root)
        return url[at + len(self._root) :].lstrip("/") if at >= 0 else url.lstrip("/")

    def _refused(self, refusal: Refusal, call: BatchCall) -> BatchAnswer:
        response = refusal.response(self._service, self._version)
        return BatchAnswer(response.status_code, dict(response.headers.items()), bytes(response.body), call.content_id)
