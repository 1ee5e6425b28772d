"""Long writes as jobs of the account: handed in under a key, followed until they end, their own answer read."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.errors.taxonomy import (
    NotFound,
    OutcomeUnknown,
    PlatformError,
    Refused,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from shared.outbound import Answer, drift, route
from system_apis.connectors.netsuite.payloads import JobState, JobTasks

VENDOR: Final = "netsuite"
PATIENCE_SECONDS: Final = 240.0
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_MOST_REPEATS: Final = 20
_ACCEPTED: Final = 202
_NAMES: Final = uuid.UUID("6a2f0f0e-5d2c-4d58-9a4e-3c1b3f5b7c11")

Read = Callable[[str], Awaitable[Answer]]
Write = Callable[[Mapping[str, str]], Awaitable[Answer]]


def job_key(tenant: str, what: str, content: bytes, number: int) -> str:
    """The idempotency key of a write: the same content under the same name has the same key, in every process."""
    digest = hashlib.sha256(content).hexdigest()
    return str(uuid.uuid5(_NAMES, f"{tenant}\x1f{what}\x1f{digest}\x1f{number}"))


class Jobs:
    """Hands writes in and follows them."""

    def __init__(self, read: Read, tenant: str, patience: float = PATIENCE_SECONDS) -> None:
        self._read = read
        self._tenant = tenant
        self._patience = patience

    async def done(self, write: Write, what: str, content: bytes) -> None:
        """The write, done. A repeat finds the job of the first request; where that one failed, the next key is used.

        Raises what the write itself would have raised, OutcomeUnknown where the job does not end in time.
        """
        for number in range(_MOST_REPEATS):
            key = job_key(self._tenant, what, content, number)
            job, is_repeat = await self._handed_in(write, key, what)
            if job is None:
                return
            try:
                await self._follow(job, what)
            except (VendorUnavailable, VendorThrottled) as error:
                told = f"{VENDOR} took {what} as job {job} and fell silent."
                raise OutcomeUnknown(told, detail=error.message) from error
            except NotFound as error:
                if not is_repeat:
                    raise OutcomeUnknown(f"{VENDOR} took {what} as job {job} and knows it no more.") from error
            except (VendorRejected, Refused):
                if not is_repeat:
                    raise
            else:
                return
            # the job of an earlier attempt failed, or is long forgotten: ask afresh
        raise VendorRejected(f"{VENDOR} has refused {what} again and again.")

    @staticmethod
    async def _handed_in(write: Write, key: str, what: str) -> tuple[str | None, bool]:
        """The job that does it (None: it was done at once), and whether it is that of an earlier request."""
        headers = {"Prefer": "respond-async", "X-NetSuite-Idempotency-Key": key}
        is_repeat = False
        try:
            answer = await write(headers)
            if answer.status != _ACCEPTED:
                return None, False
            place = answer.headers.get("location")
        except PlatformError as error:
            place = error.extra.pop("job", None)
            if place is None:
                raise
            is_repeat = True
        job = str(place or "").rstrip("/").rpartition("/")[2]
        if not job:
            raise OutcomeUnknown(f"{VENDOR} took {what} as a job without telling which.")
        return job, is_repeat

    async def _follow(self, job: str, what: str) -> None:
        until = time.monotonic() + self._patience
        asked = 0
        while True:
            state = drift(VENDOR, JobState, (await self._read(route("async/v1/job/{job}", job=job))).json())
            if state.completed:
                break
            if time.monotonic() >= until:
                raise OutcomeUnknown(f"{VENDOR} is still at work on {what} (job {job}).", extra={"system": VENDOR})
            await asyncio.sleep(_PAUSES[min(asked, len(_PAUSES) - 1)])
            asked += 1
        tasks = drift(VENDOR, JobTasks, (await self._read(route("async/v1/job/{job}/task", job=job) + "/")).json())
        if not tasks.items:
            raise OutcomeUnknown(f"{VENDOR} ended job {job} without a task: {what} may stand or not.")
        for task in tasks.items:
            path = route("async/v1/job/{job}/task/{task}/result", job=job, task=task.id)
            await self._read(path)  # answers as the write would have been answered
        if state.progress == "failed":
            raise VendorRejected(f"{VENDOR} could not do {what} (job {job}).")
