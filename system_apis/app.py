"""Puts the system tier together: database, catalog, intake, relay, routes behind the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from shared.gateway.document import load_documents
from shared.persistence import Bus, Database, DeadLetters, Relay, upgrade
from shared.serving.app import TierApp, build_app
from shared.serving.health import Check
from system_apis.catalog import open_catalog
from system_apis.crossref_store import CrossReferences
from system_apis.intake import Intake
from system_apis.routes import connectors, crm, erp, psa, webhooks
from system_apis.routes.parameters import Rooms
from system_apis.settings import SystemSettings

ROUTERS = (crm.router, psa.router, erp.router, webhooks.router, connectors.router)


def create_app(settings: SystemSettings) -> TierApp:
    """The system tier, ready to be served."""
    database = Database(settings.database_url, pool=24, application="throughline-system")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "system_apis")
        catalog = open_catalog(settings.tenants_dir)
        intake = Intake(database, catalog, poll_seconds=settings.poll_seconds)
        app.state.rooms = Rooms(database, catalog, CrossReferences(database), intake)
        async with _relaying(database, settings.nats_url):
            intake.start()
            try:
                yield
            finally:
                await intake.stop()
                await catalog.aclose()
                await database.aclose()

    async def database_answers() -> Check:
        await database.ping()
        return Check("database", ok=True)

    return build_app(
        tier="system",
        title="Throughline System APIs",
        routers=ROUTERS,
        settings=settings,
        gateway=load_documents(settings.gateway_dir, "system"),
        lifespan=lifespan,
        readiness=[database_answers],
    )


@asynccontextmanager
async def _relaying(database: Database, nats_url: str | None) -> AsyncGenerator[None]:
    """Publish the event log while the block lasts; without a bus the log keeps everything until there is one."""
    if nats_url is None:
        yield
        return
    bus = await Bus(dead_letters=DeadLetters(database)).connect(nats_url)
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
