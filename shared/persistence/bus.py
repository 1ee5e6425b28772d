"""Bus: NATS JetStream; events go out with an id for de-duplication and come in through durable consumers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from shared.canonical.events import Event
from shared.errors.taxonomy import VendorUnavailable
from shared.persistence.consumer import Consumption, Patience
from shared.persistence.dead_letter_store import DeadLetters
from shared.telemetry.logging import get_logger

STREAM: Final = "THROUGHLINE"
_ROOT: Final = "throughline"
_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_KEPT_SECONDS: Final = 7 * 24 * 3600
_SAME_SECONDS: Final = 600
_ACK_SECONDS: Final = 8.0
_log = get_logger("throughline.bus")


def subject_of(tenant: str, kind: str) -> str:
    """The subject an event of that type is published on."""
    return f"{_ROOT}.{_TOKEN.sub('_', tenant)}.{kind}"


class Subscription:
    """A running durable consumer; `stop` ends it after the events in hand."""

    def __init__(self, consumption: Consumption, task: asyncio.Task[None]) -> None:
        self._consumption = consumption
        self._task = task

    @property
    def is_running(self) -> bool:
        """Whether events are being taken in."""
        return not self._task.done()

    async def stop(self) -> None:
        """Take no more; wait for the events in hand, give back the rest."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumption.finish()


class Bus:
    """One connection to the bus. `await Bus().connect(url)`; reconnects for as long as it is open."""

    def __init__(self, *, dead_letters: DeadLetters | None = None, replicas: int = 1) -> None:
        self._dead_letters = dead_letters
        self._replicas = replicas
        self._client: Client | None = None
        self._js: JetStreamContext | None = None
        self._subscriptions: list[Subscription] = []

    async def connect(self, url: str, *, patience: float = 30.0, name: str = "throughline") -> Bus:
        """Connect, waiting up to `patience` seconds for a server, and see that the stream is there.

        Raises VendorUnavailable when no server answers in that time.
        """
        client = Client()
        try:
            async with asyncio.timeout(patience):
                while True:
                    try:
                        await client.connect(
                            servers=[part.strip() for part in url.split(",")],
                            name=name,
                            max_reconnect_attempts=-1,
                            reconnect_time_wait=1,
                            connect_timeout=2,
                            ping_interval=10,
                            error_cb=_noted,
                        )
                        break
                    except (OSError, nats.errors.Error):
                        await asyncio.sleep(0.2)
                self._client, self._js = client, client.jetstream(timeout=5)  # pyright: ignore[reportUnknownMemberType] - untyped options
                await self._until_there()
        except TimeoutError as error:
            await client.close()
            raise VendorUnavailable("The event bus is unavailable.") from error
        return self

    @property
    def is_connected(self) -> bool:
        """Whether a server answers at present."""
        return self._client is not None and self._client.is_connected

    async def ping(self) -> None:
        """One round trip to the stream. Raises VendorUnavailable when there is none."""
        if not self.is_connected:
            raise VendorUnavailable("The event bus is unavailable.")
        try:
            await self._stream_context().stream_info(STREAM)
        except (nats.errors.Error, TimeoutError) as error:
            raise VendorUnavailable("The event bus is unavailable.", detail=type(error).__name__) from error

    async def publish(self, *, tenant: str, kind: str, message_id: str, body: bytes) -> asyncio.Future[PubAck]:
        """Send an event; the future ends when the stream has it. The same `message_id` is kept once."""
        return await self._stream_context().publish_async(  # pyright: ignore[reportUnknownMemberType] - nats-py leaves part of the signature untyped
            subject_of(tenant, kind), body, headers={"Nats-Msg-Id": message_id}, wait_stall=5.0
        )

    async def subscribe(
        self,
        consumer: str,
        types: Sequence[str],
        handler: Callable[[Event], Awaitable[None]],
        *,
        at_once: int = 16,
        patience: Patience | None = None,
    ) -> Subscription:
        """Take in events of these types, under a durable name: each until `handler` has ended without error.

        Events of one subject (entity) are handled one after the other, different ones up to `at_once` together. A
        failing event is tried again with growing pauses, then kept as a dead letter. Replicas that subscribe under
        one name share the work.
        """
        durable = _TOKEN.sub("_", consumer)
        consumption = Consumption(
            consumer=consumer,
            client=self._connected(),
            ensure=lambda: self._ensure_consumer(durable, types),
            pull_subject=f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{durable}",
            handler=handler,
            dead_letters=self._dead_letters,
            at_once=at_once,
            ack_seconds=_ACK_SECONDS,
            patience=patience or Patience(),
        )
        await self._ensure_consumer(durable, types)
        subscription = Subscription(consumption, asyncio.create_task(consumption.run(), name=f"consumer {consumer}"))
        self._subscriptions.append(subscription)
        return subscription

    async def aclose(self) -> None:
        """Stop all subscriptions and close the connection."""
        await asyncio.gather(*(subscription.stop() for subscription in self._subscriptions))
        self._subscriptions.clear()
        if self._client is not None:
            await self._client.close()
            self._client = self._js = None

    async def _until_there(self) -> None:
        while True:
            try:
                await self._ensure_stream()
            except (nats.errors.Error, TimeoutError) as error:
                _log.info("bus_not_ready", reason=type(error).__name__)
                await asyncio.sleep(0.3)
            else:
                return

    async def _ensure_stream(self) -> None:
        context = self._stream_context()
        try:
            await context.stream_info(STREAM)
        except NotFoundError:
            try:
                await context.add_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py leaves part of the signature untyped
                    StreamConfig(
                        name=STREAM,
                        subjects=[f"{_ROOT}.>"],
                        storage=StorageType.FILE,
                        retention=RetentionPolicy.LIMITS,
                        max_age=_KEPT_SECONDS,
                        duplicate_window=_SAME_SECONDS,
                        num_replicas=self._replicas,
                    )
                )
            except BadRequestError:
                await context.stream_info(STREAM)  # another replica made it meanwhile

    async def _ensure_consumer(self, durable: str, types: Sequence[str]) -> None:
        await self._ensure_stream()
        config = ConsumerConfig(
            name=durable,
            durable_name=durable,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=_ACK_SECONDS,
            max_deliver=-1,
            max_ack_pending=1000,
            filter_subjects=[f"{_ROOT}.*.{kind}" for kind in types],
        )
        await self._stream_context().add_consumer(STREAM, config)  # pyright: ignore[reportUnknownMemberType] - untyped options

    def _connected(self) -> Client:
        if self._client is None:
            raise VendorUnavailable("The event bus is not connected.")
        return self._client

    def _stream_context(self) -> JetStreamContext:
        if self._js is None:
            raise VendorUnavailable("The event bus is not connected.")
        return self._js


async def _noted(error: Exception) -> None:
    _log.warning("bus_trouble", reason=type(error).__name__, said=str(error)[:200])
