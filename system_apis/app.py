"""Puts the system tier together: database, catalog, intake, relay, routes behind the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from shared.identity.trust import KeySource
from shared.outbound import OFFICE
from shared.persistence import Bus, Database, DeadLetters, Relay, upgrade
from shared.persistence.usage_store import PostgresUsageStore
from shared.serving.app import TierApp, build_app
from shared.serving.health import Check
from system_apis.catalog import Catalog, open_catalog
from system_apis.crossref_store import CrossReferences
from system_apis.intake import Intake
from system_apis.reference_cache import ReferenceCache
from system_apis.routes import connectors, crm, erp, psa, webhooks
from system_apis.routes.parameters import Rooms
from system_apis.schema_watch import SchemaWatch
from system_apis.settings import SystemSettings

ROUTERS = (crm.router, psa.router, erp.router, webhooks.router, connectors.router)


def create_app(settings: SystemSettings, *, catalog: Catalog | None = None, keys: KeySource | None = None) -> TierApp:
    """The system tier, ready to be served; without a catalog the tenants' files are read when it starts."""
    database = Database(settings.database_url, pool=24, application="throughline-system")
    bus = Bus(dead_letters=DeadLetters(database))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "system_apis")
        opened = catalog or open_catalog(settings.tenants_dir)
        references = CrossReferences(database)
        kept = ReferenceCache(settings.reference_seconds)
        intake = Intake(database, opened, poll_seconds=settings.poll_seconds, reference_changed=kept.forget)
        schemas = SchemaWatch(database, opened, every_seconds=settings.schema_check_seconds)
        app.state.rooms = Rooms(database, opened, references, intake, kept, schemas)
        OFFICE.share(settings.counters_url)
        async with _relaying(database, bus, settings.nats_url):
            intake.start()
            schemas.start()
            try:
                yield
            finally:
                await schemas.stop()
                await intake.stop()
                await opened.aclose()
                await references.aclose()
                await OFFICE.aclose()
        await database.aclose()

    async def database_answers() -> Check:
        await database.ping()
        return Check("database", ok=True)

    async def event_bus() -> Check:
        is_there = settings.nats_url is None or bus.is_connected
        return Check("event bus", ok=is_there, reason="" if is_there else "not connected")

    return build_app(
        tier="system",
        title="Throughline System APIs",
        routers=ROUTERS,
        settings=settings,
        lifespan=lifespan,
        readiness=[database_answers, event_bus],
        usage=PostgresUsageStore(database),
        keys=keys,
    )


@asynccontextmanager
async def _relaying(database: Database, bus: Bus, nats_url: str | None) -> AsyncGenerator[None]:
    """Publish the event log while the block lasts; without a bus the log keeps everything until there is one."""
    if nats_url is None:
        yield
        return
    await bus.connect(nats_url, name="throughline-system")
    relay = Relay(database, bus)
    running = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        await relay.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await bus.aclose()


__all__ = ["ROUTERS", "create_app"]
