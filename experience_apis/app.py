"""Puts the experience tier together: issuer, audiences and their connection to the process tier, behind the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from experience_apis.accounts import routes as accounts
from experience_apis.customer import routes as customer
from experience_apis.desk.pages import assets_router
from experience_apis.developer.pages import developer_pages, developer_site
from experience_apis.finance import routes as finance
from experience_apis.identity import client_routes
from experience_apis.identity.assertions import Assertions
from experience_apis.identity.client_register import ClientRegister
from experience_apis.identity.credentials import FailureThrottle, SecretKeeper
from experience_apis.identity.issuer import Issuer, issuer_proofs
from experience_apis.identity.keys import KeyRing, Seal, rotating, sealing_secret
from experience_apis.identity.openid_routes import openid_routes
from experience_apis.identity.people.seeds import read_users_file
from experience_apis.identity.people.sessions import SessionLimits
from experience_apis.identity.providers import Providers, read_providers
from experience_apis.identity.reception import Reception, ReceptionFacts
from experience_apis.identity.revocation_store import Revocations
from experience_apis.identity.roles import role_book
from experience_apis.identity.routes import issuer_routes
from experience_apis.identity.seeds import enrol, read_clients_file
from experience_apis.identity.store import IdentityStore
from experience_apis.identity.tokens import TokenPress
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
from shared.persistence.once import once
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
    book = role_book()
    _refuse_bad_configuration(settings)
    database = Database(settings.database_url, application="throughline-experience")
    register, keeper = IdentityStore(database), SecretKeeper()
    keys = KeyRing(register, Seal(_sealing_secret(settings)))
    own, revocations, used = settings.issuer_url.rstrip("/"), Revocations(database), once(settings.counters_url)
    rules = AddressRules(allows_loopback=settings.allow_loopback_addresses)
    providers = _providers(settings)
    documents = _documents(settings)
    audit = LineLog("experience", "audit")
    trail = AuditTrail(audit)
    reception = Reception(
        ReceptionFacts(
            issuer=settings.issuer_url.rstrip("/"),
            users_file=settings.users_file,
            limits=SessionLimits(idle=settings.session_idle_seconds, absolute=settings.session_seconds),
            refresh_seconds=settings.refresh_seconds,
        ),
        database=database,
        book=book,
        client=register.client,
        keys=keys,
        withdrawals=revocations,
        audit=trail,
    )
    issuer = Issuer(
        press=TokenPress(own, lifetime=settings.access_token_seconds),
        register=register,
        keys=keys,
        keeper=keeper,
        throttle=FailureThrottle(settings.counters_url, failures_per_minute=settings.failed_secrets_per_minute),
        book=book,
        revocations=revocations,
        assertions=Assertions(used, rules, audiences=(own, f"{own}/oauth/token")),
        proofs=issuer_proofs(used),
        providers=providers,
        grants=reception.grants,
    )
    clients = ClientRegister(database, revocations, keeper, book, plans=documents.plans, rules=rules)
    wire = ProcessWire(_connection(settings))
    room = _webhooks(settings, database, rules, trail)
    site = developer_site(settings.gateway_dir, settings.openapi_dir, address=settings.issuer_url.rstrip("/"))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "experience_apis")
        try:
            await keys.open()
            await enrol(
                settings.clients_file, register=register, keeper=keeper, book=book, withdraw=clients.left_the_file
            )
            await reception.open()
        except ValueError as error:
            stop([f"THROUGHLINE_EXPERIENCE_{error}"])
        app.state.process_tier = ProcessTier.over(wire)
        app.state.visitors = reception.visitors
        app.state.client_desk = clients
        app.state.usage = PostgresUsageStore(database)
        app.state.webhooks = room
        await room.open(settings.nats_url)
        reading = asyncio.create_task(asyncio.to_thread(site.library.read_ahead), name="developer shelf")
        rotation = asyncio.create_task(rotating(keys, timedelta(days=settings.signing_key_days)))
        try:
            yield
        finally:
            rotation.cancel()
            await room.aclose()
            await reading
            await used.aclose()
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
            issuer_routes(issuer),
            openid_routes(issuer, reception.people),
            client_routes.router,
            *reception.routers(),
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
        keys=issuer.jwks,
        trusted=providers.trusted,
        revocations=revocations.read,
        pages=CatalogPages(
            description="/developer/specs/{tier}-{api}.{version}.yaml",
            description_type="application/yaml",
            documentation="/developer/apis/{tier}/{api}/{version}",
            history="/developer/apis/{tier}/{api}/{version}/changelog",
        ),
    )


def _webhooks(settings: ExperienceSettings, database: Database, rules: AddressRules, trail: AuditTrail) -> WebhookRoom:
    patient = replace(rules, seconds=settings.webhook_seconds)
    return WebhookRoom.over(database, sealing_secret=_sealing_secret(settings), rules=patient, audit=trail)


def _documents(settings: ExperienceSettings) -> GatewayDocuments:
    try:
        return load_documents(settings.gateway_dir, "experience")
    except DocumentRefused as refusal:
        stop(refusal.lines)


def _providers(settings: ExperienceSettings) -> Providers:
    book = role_book()
    try:
        named = read_providers(settings.trusted_issuers_file, book, own=settings.issuer_url.rstrip("/"))
    except ValueError as error:
        stop([f"THROUGHLINE_EXPERIENCE_{str(error).replace('trusted_issuers_file', 'TRUSTED_ISSUERS_FILE:', 1)}"])
    return Providers(named, book, audience=settings.audience)


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


def _sealing_secret(settings: ExperienceSettings) -> str:
    configured = settings.sealing_key.get_secret_value() if settings.sealing_key else None
    try:
        return sealing_secret(configured, settings.sealing_key_file)
    except OSError as error:
        stop([f"THROUGHLINE_EXPERIENCE_SEALING_KEY_FILE: {settings.sealing_key_file}: {error.strerror}"])


def _refuse_bad_configuration(settings: ExperienceSettings) -> None:
    try:
        read_clients_file(settings.clients_file, role_book())
        if settings.users_file is not None:
            read_users_file(settings.users_file, role_book())
    except ValueError as error:
        key, _, told = str(error).partition(" ")
        stop([f"THROUGHLINE_EXPERIENCE_{key.upper()}: {told}"])
