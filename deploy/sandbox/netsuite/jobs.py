"""Asynchronous requests of the account: jobs, their one task, and the idempotency key that only they know."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.responses import Response

from deploy.sandbox.netsuite.errors import Refusal, no_such_record


@dataclass(slots=True)
class Jobs:
    """Jobs of the account; each is done as soon as it is asked for."""

    results: dict[str, Response] = field(default_factory=dict[str, Response])
    by_key: dict[str, str] = field(default_factory=dict[str, str])
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def known(self, key: str, root: str) -> Response | None:
        """The refusal of a repeated idempotency key; it points at the first job."""
        if key not in self.by_key:
            return None
        refusal = Refusal(
            400, "IDEMPOTENCY_ERROR", "A request with this idempotency key was processed already.", title="Conflict"
        )
        return refusal.response({"location": f"{root}/{self.by_key[key]}"})

    def add(self, result: Response, key: str, root: str) -> Response:
        """A job with its result; the 202 that announces it."""
        number = str(next(self._numbers))
        self.results[number] = result
        if key:
            self.by_key[key] = number
        return Response(
            status_code=202, headers={"location": f"{root}/{number}", "preference-applied": "respond-async"}
        )

    def show(self, number: str, root: str) -> dict[str, Any]:
        """The job document."""
        result = self._result(number)
        progress = "succeeded" if result.status_code < 400 else "failed"  # noqa: PLR2004 - HTTP
        link = {"rel": "related", "href": f"{root}/{number}/task/"}
        return {"id": number, "completed": True, "progress": progress, "task": {"links": [link]}}

    def tasks(self, number: str, root: str) -> dict[str, Any]:
        """The job's tasks."""
        self._result(number)
        href = f"{root}/{number}/task/{number}"
        links = [{"rel": "self", "href": href}, {"rel": "related", "href": f"{href}/result"}]
        return {"items": [{"id": number, "links": links}], "count": 1, "hasMore": False, "offset": 0, "totalResults": 1}

    def _result(self, number: str) -> Response:
        if number not in self.results:
            raise no_such_record("job", number)
        return self.results[number]

    def result(self, number: str) -> Response:
        """What the request would have answered."""
        return self._result(number)
