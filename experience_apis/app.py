"""Puts the experience tier together: issuer, audiences and their connection to the process tier, behind the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from experience_apis.accounts import routes as accounts
from experience_apis.customer import routes as customer
from experience_apis.desk.pages import assets_router
from experience_apis.developer.pages import developer_pages, developer_site
from experience_apis.finance import routes as finance
from experience_apis.identity.room import IdentityRoom, sealed_with
from experience_apis.partner import routes as partner
from experience_apis.partner import routes_v1 as partner_v1
from experience_apis.pmo import routes as pmo
from experience_apis.processes.tier import ProcessTier
from experience_apis.processes.wire import ProcessWire
from experience_apis.settings import ExperienceSettings
from experience_apis.webhooks import routes as webhooks
from experience_apis.webhooks.room import WebhookRoom
from shared.gateway.document import DocumentRefused, GatewayDocuments, load_documents
from shared.gateway.policies.audit.trail import AuditTrail
from shared.outbound import Outbound, RetryPolicy, TokenExchange
from shared.outbound.guarded import AddressRules
from shared.persistence import Database, upgrade
from shared.persistence.idempotency_store import PostgresIdempotencyStore
from shared.persistence.usage_store import PostgresUsageStore
from shared.serving.app import TierApp, build_app
from shared.serving.catalog import CatalogPages
from shared.serving.health import Check
from shared.serving.lines import LineLog
from shared.serving.settings import stop

AUDIENCES = (
    pmo.router,
    finance.router,
    accounts.router,
    customer.router,
    partner.router,
    partner_v1.router,
    webhooks.router,
)
_PATIENCE_SECONDS = 20.0


def create_app(settings: ExperienceSettings) -> TierApp:
    """The experience tier, ready to be served."""
    database = Database(settings.database_url, application="throughline-experience")
    rules = AddressRules(allows_loopback=settings.allow_loopback_addresses)
    documents = _documents(settings)
    audit = LineLog("experience", "audit")
    trail = AuditTrail(audit)
    identity = IdentityRoom.over(settings, database, rules=rules, plans=documents.plans, audit=trail)
    wire = ProcessWire(_connection(settings))
    patient = replace(rules, seconds=settings.webhook_seconds)
    room = WebhookRoom.over(database, sealing_secret=sealed_with(settings), rules=patient, audit=trail)
    site = developer_site(settings.gateway_dir, settings.openapi_dir, address=settings.issuer_url.rstrip("/"))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "experience_apis")
        rotation = await identity.open()
        app.state.process_tier = ProcessTier.over(wire)
        app.state.visitors = identity.reception.visitors
        app.state.client_desk = identity.clients
        app.state.usage = PostgresUsageStore(database)
        app.state.webhooks = room
        await room.open(settings.nats_url)
        reading = asyncio.create_task(asyncio.to_thread(site.library.read_ahead), name="developer shelf")
        try:
            yield
        finally:
            await room.aclose()
            await reading
            await identity.aclose(rotation)
            await wire.aclose()
            await database.aclose()
            audit.flush()

    async def database_answers() -> Check:
        await database.ping()
        return Check("database", ok=True)

    async def bus_answers() -> Check:
        is_there = settings.nats_url is None or room.bus.is_connected
        return Check("bus", ok=is_there, reason="" if is_there else "The event bus is unavailable.")

    return build_app(
        tier="experience",
        title="Throughline Experience APIs",
        routers=[
            *identity.routers(),
            *AUDIENCES,
            assets_router(),
            *developer_pages(site),
        ],
        settings=settings,
        gateway=documents,
        lifespan=lifespan,
        readiness=[database_answers, bus_answers],
        idempotency=PostgresIdempotencyStore(database),
        usage=PostgresUsageStore(database),
        keys=identity.issuer.jwks,
        trusted=identity.providers.trusted,
        revocations=identity.revocations.read,
        pages=CatalogPages(
            description="/developer/specs/{tier}-{api}.{version}.yaml",
            description_type="application/yaml",
            documentation="/developer/apis/{tier}/{api}/{version}",
            history="/developer/apis/{tier}/{api}/{version}/changelog",
        ),
    )


def _documents(settings: ExperienceSettings) -> GatewayDocuments:
    try:
        return load_documents(settings.gateway_dir, "experience")
    except DocumentRefused as refusal:
        stop(refusal.lines)


def _connection(settings: ExperienceSettings) -> Outbound:
    exchange = TokenExchange(
        token_url=settings.token_url or f"{settings.issuer_url.rstrip('/')}/oauth/token",
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        audience=settings.process_audience,
    )
    return Outbound(
        system="process tier",
        base_url=settings.process_url,
        auth=exchange,
        retry=RetryPolicy(attempts=3, total=_PATIENCE_SECONDS),
        is_inner=True,
    )
