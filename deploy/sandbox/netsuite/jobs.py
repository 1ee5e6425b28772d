"""Asynchronous requests of the account: jobs, their one task, and the idempotency key that only they know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.responses import Response

from deploy.sandbox.netsuite.errors import Refusal, no_such_record

Act = Callable[[], Awaitable[Response]]


@dataclass(slots=True)
class _Job:
    """What is to be done, how often its state may still be asked before it is done, and what came of it."""

    act: Act
    waits: int
    result: Response | None = None


@dataclass(slots=True)
class Jobs:
    """Jobs of the account; one is done when its state has been asked `polls` times."""

    polls: int = 0
    jobs: dict[str, _Job] = field(default_factory=dict[str, _Job])
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

    async def add(self, act: Act, key: str, root: str) -> Response:
        """A job, and the 202 that announces it."""
        number = str(next(self._numbers))
        job = self.jobs[number] = _Job(act, self.polls)
        if key:
            self.by_key[key] = number
        if not job.waits:
            job.result = await act()
        headers = {"location": f"{root}/{number}", "preference-applied": "respond-async"}
        return Response(status_code=202, headers=headers)

    async def show(self, number: str, root: str) -> dict[str, Any]:
        """The job document."""
        job = self._job(number)
        if job.result is None:
            job.waits -= 1
            if job.waits < 0:
                job.result = await job.act()
        link = {"rel": "related", "href": f"{root}/{number}/task/"}
        return {
            "id": number,
            "completed": job.result is not None,
            "progress": _progress(job),
            "task": {"links": [link]},
        }

    def tasks(self, number: str, root: str) -> dict[str, Any]:
        """The job's tasks."""
        job = self._job(number)
        href = f"{root}/{number}/task/{number}"
        links = [{"rel": "self", "href": href}, {"rel": "related", "href": f"{href}/result"}]
        items = [{"id": number, "progress": _progress(job), "links": links}]
        return {"items": items, "count": 1, "hasMore": False, "offset": 0, "totalResults": 1}

    def _job(self, number: str) -> _Job:
        if number not in self.jobs:
            raise no_such_record("job", number)
        return self.jobs[number]

    def result(self, number: str) -> Response:
        """What the request would have answered."""
        result = self._job(number).result
        if result is None:
            raise no_such_record("job", f"{number}/task/{number}/result")
        return result


def _progress(job: _Job) -> str:
    if job.result is None:
        return "pending"
    return "succeeded" if job.result.status_code < 400 else "failed"  # noqa: PLR2004 - HTTP
