"""Consumption: one durable consumer at work; order kept per subject, failures repeated, then buried."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from shared.canonical.events import Event
from shared.errors.taxonomy import PlatformError, Reaction
from shared.persistence.dead_letter_store import DeadLetter, DeadLetters
from shared.telemetry.context import bind, traceparent
from shared.telemetry.logging import get_logger, without_secrets
from shared.telemetry.metrics import counter, histogram
from shared.telemetry.tracing import span

_handled = counter("throughline_bus_events_total", ["consumer", "outcome"], "Events taken in by what came of them.")
_seconds = histogram("throughline_bus_handling_seconds", ["consumer"], "Time a handler took.")
_log = get_logger("throughline.consumer")

_PULL_SECONDS: Final = 20.0
_BEAT_SECONDS: Final = 4.0
_SILENCE_SECONDS: Final = 10
_IN_HAND: Final = 256
_GRACE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often an event is tried: `attempts`, or `waiting` while the error says that waiting may help."""

    attempts: int = 8
    waiting: int = 60
    first: float = 0.2
    longest: float = 30.0

    def pause(self, attempt: int) -> float:
        """Seconds before the next try."""
        return min(self.longest, self.first * 2 ** min(attempt - 1, 20)) * random.uniform(0.75, 1.0)  # noqa: S311

    def is_over(self, attempt: int, error: Exception) -> bool:
        """Whether to give up after this attempt."""
        helps = isinstance(error, PlatformError) and error.reaction is Reaction.WAIT
        return attempt >= (self.waiting if helps else self.attempts)


class _Lane:
    """The events of one subject, waiting in line."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Msg, Event]] = deque()


class Consumption:
    """Pulls, hands to the handler, acknowledges; survives loss of connection, consumer and stream."""

    def __init__(  # noqa: PLR0913 - keywords only; made in one place
        self,
        *,
        consumer: str,
        client: Client,
        ensure: Callable[[], Awaitable[None]],
        pull_subject: str,
        handler: Callable[[Event], Awaitable[None]],
        dead_letters: DeadLetters | None,
        at_once: int,
        ack_seconds: float,
        patience: Patience,
    ) -> None:
        self._consumer = consumer
        self._client = client
        self._ensure = ensure
        self._pull_subject = pull_subject
        self._handler = handler
        self._dead_letters = dead_letters
        self._places = asyncio.Semaphore(at_once)
        self._beat = ack_seconds / 3
        self._patience = patience
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._in_hand: dict[int, Msg] = {}
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Take events in until cancelled; `finish` follows."""
        beating = asyncio.create_task(self._keep_in_hand())
        try:
            while True:
                try:
                    await self._pull_until_trouble()
                except (nats.errors.Error, TimeoutError, OSError) as error:
                    _log.warning("consumer_interrupted", consumer=self._consumer, reason=type(error).__name__)
                    await asyncio.sleep(0.5)
        finally:
            beating.cancel()

    async def finish(self) -> None:
        """Wait a while for handlers at work, give the rest back to the bus."""
        self._stopping.set()
        if self._workers:
            await asyncio.wait(self._workers, timeout=_GRACE_SECONDS)
        for worker in list(self._workers):
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for message in list(self._in_hand.values()):
            await self._give_back(message)

    async def _pull_until_trouble(self) -> None:
        await self._ensure()
        inbox = self._client.new_inbox()
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        inflow = await self._client.subscribe(inbox, cb=arrived.put)  # pyright: ignore[reportUnknownMemberType] - nats-py's future is untyped
        try:
            while True:
                await self._wait_for_room()
                await self._pull(arrived, inbox, _IN_HAND - len(self._in_hand))
        finally:
            if not self._client.is_closed:
                await inflow.unsubscribe()
            while not arrived.empty():
                message = arrived.get_nowait()
                if _status(message) is None:
                    await self._give_back(message)

    async def _pull(self, arrived: asyncio.Queue[Msg], inbox: str, batch: int) -> None:
        wish = {"batch": batch, "expires": int(_PULL_SECONDS * 1e9), "idle_heartbeat": int(_BEAT_SECONDS * 1e9)}
        await self._client.publish(self._pull_subject, json.dumps(wish).encode(), reply=inbox)
        expected, reconnects = batch, self._client.stats["reconnects"]
        while expected:
            message = await self._next(arrived, reconnects)
            status = _status(message)
            if status is None:
                expected -= 1
                self._take(message)
            elif status in {"404", "408"}:
                return
            elif status != "100":
                raise nats.errors.Error(f"{status} {(message.headers or {}).get('Description')}")

    async def _next(self, arrived: asyncio.Queue[Msg], reconnects: int) -> Msg:
        """The next message or heartbeat; TimeoutError when the pull was lost with its connection or to silence."""
        for _ in range(_SILENCE_SECONDS):
            try:
                async with asyncio.timeout(1.0):
                    return await arrived.get()
            except TimeoutError:
                if self._client.stats["reconnects"] != reconnects:
                    raise
        raise TimeoutError("no heartbeat")

    async def _wait_for_room(self) -> None:
        while len(self._in_hand) > _IN_HAND // 2:
            self._room.clear()
            await self._room.wait()

    def _take(self, message: Msg) -> None:
        self._in_hand[id(message)] = message
        try:
            event = Event.model_validate_json(message.data)
        except ValidationError as error:
            _log.error("event_unreadable", consumer=self._consumer, subject=message.subject, said=str(error)[:500])
            self._start(self._refuse(message))
            return
        key = (event.tenant, event.subject)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            lane.waiting.append((message, event))
            self._start(self._work(key, lane))
        else:
            lane.waiting.append((message, event))

    def _start(self, work: Awaitable[None]) -> None:
        worker = asyncio.ensure_future(work)
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _refuse(self, message: Msg) -> None:
        _handled.labels(self._consumer, "unreadable").inc()
        try:
            await message.term()
        except nats.errors.Error as error:
            _log.warning("term_failed", consumer=self._consumer, reason=type(error).__name__)
        self._done(message)

    async def _work(self, key: tuple[str, str], lane: _Lane) -> None:
        try:
            while lane.waiting and not self._stopping.is_set():
                message, event = lane.waiting[0]
                await self._until_settled(message, event)
                lane.waiting.popleft()
        except Exception as error:  # noqa: BLE001 - whatever broke the lane, its events must not stay in hand for ever
            _log.error("lane_broken", consumer=self._consumer, subject=key[1], reason=repr(error)[:300])
            while lane.waiting:
                await self._give_back(lane.waiting.popleft()[0], delay=self._patience.first)
        finally:
            del self._lanes[key]

    async def _until_settled(self, message: Msg, event: Event) -> None:
        attempt = message.metadata.num_delivered - 1
        while True:
            attempt += 1
            error = await self._try(event)
            if error is None:
                await self._settle(message, "ok")
                return
            _log.warning(
                "event_failed",
                consumer=self._consumer,
                event_id=event.id,
                type=event.type,
                attempt=attempt,
                reason=_code(error),
                said=str(error)[:300],
            )
            if self._patience.is_over(attempt, error) and await self._buried(event, attempt, error):
                await self._settle(message, "dead")
                return
            if await self._stopped_within(self._patience.pause(attempt)):
                return

    async def _try(self, event: Event) -> Exception | None:
        async with self._places:
            parent = traceparent.set(event.traceparent)
            started = time.monotonic()
            try:
                with (
                    bind(
                        correlation_id=event.correlationid or event.id,
                        tenant=event.tenant,
                        event_id=event.id,
                        consumer=self._consumer,
                    ),
                    span(f"{self._consumer} {event.type}"),
                ):
                    await self._handler(event)
            except Exception as error:  # noqa: BLE001 - any failure of a handler is repeated, then buried
                _handled.labels(self._consumer, "failed").inc()
                return error
            finally:
                _seconds.labels(self._consumer).observe(time.monotonic() - started)
                traceparent.reset(parent)
        return None

    async def _buried(self, event: Event, attempt: int, error: Exception) -> bool:
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, PlatformError) and error.detail:
            said = f"{said} ({error.detail})"
        if self._dead_letters is None:
            _log.error("event_dropped", consumer=self._consumer, event_id=event.id, said=without_secrets(said))
            return True
        try:
            await self._dead_letters.bury(
                DeadLetter(self._consumer, event, attempt, _code(error), without_secrets(said))
            )
        except (SQLAlchemyError, PlatformError) as trouble:  # it is not lost: it will be tried again
            _log.error("dead_letter_failed", consumer=self._consumer, event_id=event.id, said=str(trouble)[:300])
            return False
        _log.error("event_buried", consumer=self._consumer, event_id=event.id, said=without_secrets(said)[:500])
        return True

    async def _settle(self, message: Msg, outcome: str) -> None:
        _handled.labels(self._consumer, outcome).inc()
        try:
            await message.ack()
        except nats.errors.Error as error:
            _log.warning("ack_failed", consumer=self._consumer, reason=type(error).__name__)
        self._done(message)

    def _done(self, message: Msg) -> None:
        self._in_hand.pop(id(message), None)
        self._room.set()

    async def _give_back(self, message: Msg, delay: float | None = None) -> None:
        try:
            await message.nak(delay)
        except nats.errors.Error as error:
            _log.warning("nak_failed", consumer=self._consumer, reason=type(error).__name__)
        self._done(message)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _keep_in_hand(self) -> None:
        """Tell the bus that events waiting or failing here are still in hand."""
        while True:
            await asyncio.sleep(self._beat)
            for message in list(self._in_hand.values()):
                try:
                    await message.in_progress()
                except nats.errors.Error as error:
                    _log.warning("beat_failed", consumer=self._consumer, reason=type(error).__name__)
                    break


def _status(message: Msg) -> str | None:
    return (message.headers or {}).get("Status")


def _code(error: Exception) -> str:
    return error.code if isinstance(error, PlatformError) else type(error).__name__
