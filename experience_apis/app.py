"""Puts the experience tier together: issuer, audiences and their connection to the process tier, behind the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from experience_apis.accounts import routes as accounts
from experience_apis.finance import routes as finance
from experience_apis.identity.credentials import FailureThrottle, SecretKeeper
from experience_apis.identity.issuer import Issuer
from experience_apis.identity.keys import KeyRing, Seal, sealing_secret
from experience_apis.identity.roles import role_book
from experience_apis.identity.routes import issuer_routes
from experience_apis.identity.seeds import enrol, read_clients_file
from experience_apis.identity.store import IdentityStore
from experience_apis.identity.tokens import TokenPress
from experience_apis.partner import routes as partner
from experience_apis.pmo import routes as pmo
from experience_apis.processes.tier import ProcessTier
from experience_apis.processes.wire import ProcessWire
from experience_apis.settings import ExperienceSettings
from shared.gateway.document import DocumentRefused, GatewayDocuments, load_documents
from shared.outbound import Outbound, RetryPolicy, TokenExchange
from shared.persistence import Database, upgrade
from shared.persistence.idempotency_store import PostgresIdempotencyStore
from shared.serving.app import TierApp, build_app
from shared.serving.health import Check
from shared.serving.settings import stop

AUDIENCES = (pmo.router, finance.router, accounts.router, partner.router)
_PATIENCE_SECONDS = 20.0


def create_app(settings: ExperienceSettings) -> TierApp:
    """The experience tier, ready to be served."""
    book = role_book()
    _refuse_bad_configuration(settings)
    database = Database(settings.database_url, application="throughline-experience")
    register, keeper = IdentityStore(database), SecretKeeper()
    keys = KeyRing(register, Seal(_sealing_secret(settings)))
    issuer = Issuer(
        press=TokenPress(settings.issuer_url.rstrip("/"), lifetime=settings.access_token_seconds),
        register=register,
        keys=keys,
        keeper=keeper,
        throttle=FailureThrottle(settings.counters_url, failures_per_minute=settings.failed_secrets_per_minute),
        book=book,
    )
    wire = ProcessWire(_connection(settings))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        await asyncio.to_thread(upgrade, settings.database_url, "experience_apis")
        try:
            await keys.open()
            await enrol(settings.clients_file, register=register, keeper=keeper, book=book)
        except ValueError as error:
            stop([f"THROUGHLINE_EXPERIENCE_{error}"])
        app.state.process_tier = ProcessTier.over(wire)
        try:
            yield
        finally:
            await wire.aclose()
            await database.aclose()

    async def database_answers() -> Check:
        await database.ping()
        return Check("database", ok=True)

    return build_app(
        tier="experience",
        title="Throughline Experience APIs",
        routers=[issuer_routes(issuer), *AUDIENCES],
        settings=settings,
        gateway=_documents(settings),
        lifespan=lifespan,
        readiness=[database_answers],
        idempotency=PostgresIdempotencyStore(database),
        keys=issuer.jwks,
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
    except ValueError as error:
        stop([f"THROUGHLINE_EXPERIENCE_{str(error).replace('clients_file', 'CLIENTS_FILE:', 1)}"])
