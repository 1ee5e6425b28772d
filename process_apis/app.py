"""The process tier put together: rooms furnished, processes registered, engine and subscriptions running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from process_apis.approvals.routes import ApprovalDesk, approval_router
from process_apis.approvals.store import Approvals
from process_apis.durable import engine
from process_apis.durable.keeper import Keeper
from process_apis.durable.store import Heartbeats, as_database_trouble
from process_apis.exceptions.routes import ExceptionDesk, exception_router
from process_apis.exceptions.store import Exceptions
from process_apis.invoice_to_cash import routes as invoice_to_cash
from process_apis.journal.store import Journal
from process_apis.quote_to_project import routes as quote_to_project
from process_apis.rooms import Rooms, furnish
from process_apis.settings import ProcessSettings
from process_apis.subscriptions import Dispatcher
from process_apis.systems.directory import Credentials, SystemDirectory, Systems
from process_apis.tenants import Tenants
from process_apis.time_to_bill import routes as time_to_bill
from process_apis.views import routes as views
from shared.errors.taxonomy import Misconfigured
from shared.identity.trust import KeySource
from shared.persistence import Bus, Database, DeadLetters, EventLog, Relay, upgrade
from shared.persistence.idempotency_store import PostgresIdempotencyStore
from shared.persistence.usage_store import PostgresUsageStore
from shared.serving.app import TierApp, build_app
from shared.serving.health import Check
from shared.serving.settings import stop

# Every process registers here: its routes are served, its workflows known to the engine, its subscriptions listened to.
PROCESSES = (quote_to_project, time_to_bill, invoice_to_cash)


def create_app(settings: ProcessSettings, *, systems: Systems | None = None, keys: KeySource | None = None) -> TierApp:
    """The tier's application; tests bring their own systems and key source."""
    house = _furnished(settings, systems)
    furnish(house)
    engine.declare_transient(as_database_trouble)
    dispatcher = Dispatcher(house.database, at_once=max(1, settings.database_pool // 3))
    for process in PROCESSES:
        process.register(dispatcher)
    approval_desk = ApprovalDesk(house.database, house.approvals, engine.notify)
    exception_desk = ExceptionDesk(house.database, house.exceptions, engine.notify)
    dispatcher.every(settings.sweep_seconds, "untold decisions", approval_desk.tell_forgotten)
    dispatcher.every(settings.sweep_seconds, "lost wakes", exception_desk.wake_forgotten)
    bus = Bus(dead_letters=DeadLetters(house.database))

    async def database() -> Check:
        await house.database.ping()
        return Check("database", ok=True)

    async def event_bus() -> Check:
        is_there = settings.nats_url is None or bus.is_connected
        return Check("event bus", ok=is_there, reason="" if is_there else "not connected")

    @asynccontextmanager
    async def life(_app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "process_apis")
        async with AsyncExitStack() as stack:
            stack.push_async_callback(house.database.aclose)
            stack.push_async_callback(house.systems.aclose)
            await engine.launch(_engine_settings(settings))
            stack.push_async_callback(engine.shutdown)
            heartbeats = Heartbeats(
                house.database, executor_id=settings.executor_id, app_version=settings.workflow_version
            )
            keeper = Keeper(heartbeats, interval=settings.heartbeat_seconds, silent_for=settings.adopt_after_seconds)
            await stack.enter_async_context(_running(keeper.run()))
            if settings.nats_url is not None:
                await bus.connect(settings.nats_url, name="throughline-process")
                stack.push_async_callback(bus.aclose)
                relay = Relay(house.database, bus)
                await stack.enter_async_context(_running(relay.run()))
                stack.push_async_callback(relay.stop)
                await dispatcher.listen(bus)
            dispatcher.make_rounds()
            stack.push_async_callback(dispatcher.stop)
            yield

    routers = [process.router for process in PROCESSES]
    return build_app(
        tier="process",
        title="Throughline process APIs",
        routers=[*routers, approval_router(approval_desk), exception_router(exception_desk), *views.routers],
        settings=settings,
        lifespan=life,
        readiness=(database, event_bus),
        idempotency=PostgresIdempotencyStore(house.database),
        usage=PostgresUsageStore(house.database),
        keys=keys,
    )


def _furnished(settings: ProcessSettings, systems: Systems | None) -> Rooms:
    try:
        tenants = Tenants.read(settings.tenants_dir)
    except Misconfigured as wrong:
        stop([f"THROUGHLINE_PROCESS_TENANTS_DIR: {wrong.message}"])
    return Rooms(
        database=Database(settings.database_url, pool=settings.database_pool, application="throughline-process"),
        systems=systems or _systems(settings, tenants),
        tenants=tenants,
        events=EventLog(),
        journal=Journal(),
        approvals=Approvals(),
        exceptions=Exceptions(),
    )


def _systems(settings: ProcessSettings, tenants: Tenants) -> SystemDirectory:
    is_for_one = not settings.tenant_clients and len(tenants.names) == 1
    return SystemDirectory(
        base_url=settings.system_url,
        token_url=f"{settings.issuer_url.rstrip('/')}/oauth/token",
        client=Credentials(settings.client_id, settings.client_secret.get_secret_value()),
        client_tenant=tenants.names[0] if is_for_one else None,
        tenant_clients={
            tenant: Credentials(client.client_id, client.client_secret.get_secret_value())
            for tenant, client in settings.tenant_clients.items()
        },
    )


def _engine_settings(settings: ProcessSettings) -> engine.EngineSettings:
    return engine.EngineSettings(
        database_url=settings.database_url,
        executor_id=settings.executor_id,
        app_version=settings.workflow_version,
    )


@asynccontextmanager
async def _running(work: Any) -> AsyncGenerator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
