"""The durable engine as the processes see it: workflow, step, start, wait_for, notify, outcome; nothing else leaves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_error

from process_apis.durable import codec
from process_apis.durable.retries import PATIENT, Patience
from shared.errors.taxonomy import Defect, NotFound, PlatformError
from shared.telemetry import bind, counter, get_logger, histogram
from shared.telemetry.context import without_deadline

P = ParamSpec("P")
Result = TypeVar("Result")
Request_contra = TypeVar("Request_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)

_log = get_logger(__name__)
_retries = counter(
    "throughline_process_step_retries_total", ["step", "code"], "Attempts of steps that failed and were repeated"
)
_seconds = histogram("throughline_process_step_seconds", ["step"], "Duration of steps, pauses included")


class Workflow(Protocol[Request_contra, Answer_co]):
    """A registered workflow: one record in, one record out."""

    def __call__(self, request: Request_contra, /) -> Coroutine[Any, Any, Answer_co]:
        """Run it; outside the engine's `start` only in tests."""
        ...


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STUCK = "stuck"


_STATES = {
    "ENQUEUED": RunState.QUEUED,
    "DELAYED": RunState.QUEUED,
    "PENDING": RunState.RUNNING,
    "SUCCESS": RunState.DONE,
    "ERROR": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": RunState.STUCK,
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow: its state, its result or its error once it ended."""

    id: str
    name: str
    state: RunState
    started_at: datetime
    changed_at: datetime
    result: Any = None
    error: PlatformError | None = None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine needs to know; `executor_id` is stable for a replica, `app_version` for a step order."""

    database_url: str
    executor_id: str = "process-1"
    app_version: str = "1"
    pool: int = 8
    threads: int = 6
    log_level: str = "WARNING"


@dataclass(slots=True)
class _Lane:
    """Steps that call one system share a lane, so that a slow system does not hold up the others."""

    at_once: int
    gate: asyncio.Semaphore | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> asyncio.Semaphore:
        """The gate of the running loop."""
        loop = asyncio.get_running_loop()
        if self.gate is None or self.loop is not loop:
            self.gate, self.loop = asyncio.Semaphore(self.at_once), loop
        return self.gate


@dataclass(slots=True)
class _Declared:
    queues: dict[str, int] = field(default_factory=dict[str, int])
    lanes: dict[str, _Lane] = field(default_factory=dict[str, _Lane])
    transient: list[Callable[[BaseException], PlatformError | None]] = field(
        default_factory=list[Callable[[BaseException], "PlatformError | None"]]
    )
    instance: DBOS | None = None


_declared = _Declared()


def workflow(
    name: str,
) -> Callable[[Callable[[Any], Coroutine[Any, Any, Result]]], Workflow[Any, Result]]:
    """Register a workflow body under a name that never changes; request and answer are declared models."""

    def register(body: Callable[[Any], Coroutine[Any, Any, Result]]) -> Workflow[Any, Result]:
        codec.know_signature(body)

        @functools.wraps(body)
        async def run(request: Any) -> Result:
            bound: dict[str, Any] = {"workflow_id": DBOS.workflow_id, "workflow": name}
            if (correlation := getattr(request, "correlation_id", None)) is not None:
                bound["correlation_id"] = correlation
            with bind(**bound), without_deadline():  # whoever asked for the run does not wait for its end
                return await body(request)

        return cast("Workflow[Any, Result]", DBOS.workflow(name=name)(run))

    return register


def step(
    name: str, *, lane: str = "house", patience: Patience = PATIENT
) -> Callable[[Callable[P, Awaitable[Result]]], Callable[P, Coroutine[Any, Any, Result]]]:
    """Register a step: its result is stored once; what it raises arrives in the body as our taxonomy error.

    Repeat: after a crash the step runs again unless its result was stored, so whatever it does must be repeatable.
    """

    def register(act: Callable[P, Awaitable[Result]]) -> Callable[P, Coroutine[Any, Any, Result]]:
        codec.know_signature(act)

        @functools.wraps(act)
        async def persevere(*args: P.args, **kwargs: P.kwargs) -> Result:
            began = time.monotonic()
            attempt = 0
            while True:
                try:
                    async with _lane(lane).open():
                        answer = await act(*args, **kwargs)
                except Exception as trouble:
                    error = _translated(trouble, name)
                    pause = patience.pause_after(error, attempt, time.monotonic() - began)
                    if pause is None:
                        raise error from trouble
                    attempt += 1
                    _retries.labels(name, error.code).inc()
                    _log.warning("step_repeated", step=name, code=error.code, attempt=attempt, pause=round(pause, 2))
                    await asyncio.sleep(pause)
                else:
                    _seconds.labels(name).observe(time.monotonic() - began)
                    return answer

        return DBOS.step(name=name)(persevere)

    return register


def _translated(trouble: Exception, step_name: str) -> PlatformError:
    if isinstance(trouble, PlatformError):
        return trouble
    for known in _declared.transient:
        if (error := known(trouble)) is not None:
            return error
    _log.error("step_defect", step=step_name, exc_info=trouble)
    return codec.as_platform_error(trouble)


def _lane(name: str) -> _Lane:
    return _declared.lanes.setdefault(name, _Lane(at_once=16))


def declare_lane(name: str, *, at_once: int) -> None:
    """How many steps of a lane run at once in this process (16 unless declared)."""
    _declared.lanes[name] = _Lane(at_once=at_once)


def declare_queue(name: str, *, at_once: int) -> None:
    """A queue that runs `at_once` per process; declare before `launch`. Not for runs that wait for people."""
    _declared.queues[name] = at_once


def declare_transient(known: Callable[[BaseException], PlatformError | None]) -> None:
    """Teach the engine which foreign errors (of our own database) mean "wait"; None: not known."""
    _declared.transient.append(known)


async def launch(settings: EngineSettings) -> None:
    """Start the engine on the running loop; pending runs of this executor go on where they stood."""
    config: DBOSConfig = {
        "name": "throughline",
        "system_database_url": settings.database_url,
        "sys_db_pool_size": settings.pool,
        "max_executor_threads": settings.threads,
        "application_version": settings.app_version,
        "executor_id": settings.executor_id,
        "serializer": codec.JsonCodec(),
        "log_level": settings.log_level,
        "enable_otlp": False,
        "notification_listener_polling_interval_sec": 0.5,
        "scheduler_polling_interval_sec": 3600.0,
    }
    _declared.instance = DBOS(config=config)
    _speak_through_our_logs()
    DBOS.launch()
    for name, at_once in _declared.queues.items():
        await DBOS.register_queue_async(
            name, worker_concurrency=at_once, polling_interval_sec=0.2, on_conflict="always_update"
        )


def _speak_through_our_logs() -> None:
    engine_log = logging.getLogger("dbos")
    engine_log.handlers.clear()
    engine_log.propagate = True


async def shutdown() -> None:
    """Stop at once; whatever was running goes on at the next launch."""
    kept: Any = getattr(_declared.instance, "_workflow_tasks", ())
    tasks = cast("list[asyncio.Task[Any]]", list(kept))
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=5)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def destroy() -> None:
        try:
            DBOS.destroy()
        finally:
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=destroy, name="engine-end").start()
    await ended.wait()
    # The engine made its own, now closed, thread pool the loop's default.
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="loop"))
    _declared.instance = None


async def start(body: Workflow[Any, Any], run_id: str, request: Any, *, queue: str | None = None) -> bool:
    """Start a run under this id. Repeat: the same id is the same run; False when it was there already."""
    known = await DBOS.get_workflow_status_async(run_id)
    if known is not None:
        return False
    act = cast("Callable[..., Coroutine[Any, Any, Any]]", body)
    with SetWorkflowID(run_id), without_deadline():
        if queue is None:
            await DBOS.start_workflow_async(act, request)
        else:
            await DBOS.enqueue_workflow_async(queue, act, request)
    return True


async def wait_for(topic: str, *, seconds: float) -> Any:
    """Within a workflow: the next message of a topic, or None when the time is up."""
    return await DBOS.recv_async(topic, timeout_seconds=seconds)


async def notify(run_id: str, topic: str, message: Any = None, *, key: str | None = None) -> bool:
    """Send a run a message; False when there is no such run. Repeat: with the same key, one message."""
    try:
        await DBOS.send_async(run_id, True if message is None else message, topic, idempotency_key=key)
    except dbos_error.DBOSNonExistentWorkflowError:
        return False
    return True


async def pause(seconds: float) -> None:
    """Within a workflow: a durable sleep."""
    await DBOS.sleep_async(seconds)


async def outcome(run_id: str) -> Run | None:
    """Where a run stands, or None."""
    found = await list_runs(run_ids=[run_id])
    return found[0] if found else None


async def result(run_id: str) -> Any:
    """Wait for the end of a run and give its result. Raises its taxonomy error, NotFound."""
    if await outcome(run_id) is None:
        raise NotFound(f"There is no run {run_id}")
    handle: Any = await DBOS.retrieve_workflow_async(run_id)
    try:
        return await handle.get_result(polling_interval_sec=0.1)
    except dbos_error.DBOSException as foreign:
        raise codec.as_platform_error(foreign) from foreign


async def list_runs(
    *,
    run_ids: Sequence[str] | None = None,
    name: str | None = None,
    id_prefix: str | None = None,
    states: Sequence[RunState] = (),
    limit: int | None = None,
    offset: int = 0,
) -> list[Run]:
    """Runs, newest first."""
    wanted = [raw for raw, state in _STATES.items() if state in states]
    found = await DBOS.list_workflows_async(
        workflow_ids=None if run_ids is None else list(run_ids),
        name=name,
        workflow_id_prefix=id_prefix,
        status=wanted or None,
        limit=limit,
        offset=offset,
        sort_desc=True,
        load_input=False,
    )
    return [_run(status) for status in found]


def _run(status: WorkflowStatus) -> Run:
    error = status.error
    return Run(
        id=status.workflow_id,
        name=status.name,
        state=_STATES.get(status.status, RunState.STUCK),
        started_at=_instant(status.created_at),
        changed_at=_instant(status.updated_at),
        result=status.output,
        error=None if error is None else error if isinstance(error, PlatformError) else codec.as_platform_error(error),
    )


def _instant(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)


async def resume(run_id: str) -> None:
    """Let a cancelled or stuck run go on where it stood. Raises NotFound."""
    try:
        await DBOS.resume_workflow_async(run_id)
    except dbos_error.DBOSNonExistentWorkflowError as missing:
        raise NotFound(f"There is no run {run_id}") from missing


async def cancel(run_id: str) -> None:
    """Stop a run before its next step. Raises NotFound."""
    if await outcome(run_id) is None:
        raise NotFound(f"There is no run {run_id}.")
    await DBOS.cancel_workflow_async(run_id)


async def adopt(executor_ids: Sequence[str]) -> int:
    """Take over the pending runs of executors known to be dead; the number of runs. Repeat: nothing more."""
    recover = cast("Callable[[list[str]], list[Any]]", getattr(DBOS, "_recover_pending_workflows"))  # noqa: B009 - the engine has no public name for it
    return len(await asyncio.to_thread(recover, list(executor_ids)))


def run_id() -> str:
    """Within a workflow or step: the id of the run. Raises Defect outside."""
    current = DBOS.workflow_id
    if current is None:
        raise Defect(detail="asked for the run id outside of a workflow")
    return current


@contextlib.asynccontextmanager
async def running(settings: EngineSettings) -> AsyncGenerator[None]:
    """The engine between launch and shutdown."""
    await launch(settings)
    try:
        yield
    finally:
        await shutdown()
