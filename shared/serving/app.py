"""Puts a tier together: routes behind the compiled gate, problems, probes, documents; knows no business word."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.gateway.document import DocumentRefused, GatewayDocuments, Operation, load_documents
from shared.gateway.gateway import Gateway
from shared.gateway.policies.audit.trail import AuditTrail
from shared.gateway.policies.usage.recorder import UsageRecorder, UsageSink
from shared.gateway.reload import Watch
from shared.gateway.supplies import IdempotencyStore, Supplies
from shared.identity.revocations import RevocationList
from shared.identity.trust import KeySource, TrustedIssuer
from shared.outbound import Outbound
from shared.persistence.once import once
from shared.serving.catalog import CatalogPages, catalog_router
from shared.serving.dispatch import served_routes
from shared.serving.health import Readiness, health_router
from shared.serving.lines import LineLog
from shared.serving.masks import unfit_masks
from shared.serving.openapi import described
from shared.serving.problems import install_problems
from shared.serving.resource import resource_router
from shared.serving.revocations import Feed, IssuerFeed, following
from shared.serving.running import counting, watching
from shared.serving.settings import TierSettings, stop
from shared.telemetry import configure_logging, configure_tracing

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class TierApp(FastAPI):
    """A FastAPI application nobody reaches except through the gate."""

    gateway_tier: str
    gateway: Gateway
    documents: GatewayDocuments
    watch: Watch | None = None
    routes_schema: dict[str, Any] | None = None
    access: LineLog
    audit: LineLog
    warnings: LineLog
    is_traced: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; without spans nothing of the framework stands before the gate."""
        if self.is_traced or scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        stack = self.middleware_stack
        if stack is None:
            stack = self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """The gate outermost; the framework's own error pages have no place here."""
        handlers: dict[Any, Any] = dict(self.exception_handlers)
        by_class = {kind: handler for kind, handler in handlers.items() if not isinstance(kind, int)}
        inner = ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=handlers)
        gate = self.gateway

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope["starlette.exception_handlers"] = (by_class, {})
                await gate.answer(inner, scope, receive, send)
            elif scope["type"] == "lifespan":
                await self.router(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})

        return stack

    def load(self, documents: GatewayDocuments) -> None:
        """Serve by these documents from now on.

        Raises: DocumentRefused; then everything stays as it was.
        """
        self.refuse_unfit_masks(documents)
        self.gateway.load(documents)
        self.documents, self.openapi_schema = documents, None

    def refuse_unfit_masks(self, documents: GatewayDocuments) -> None:
        """Raises: DocumentRefused when a field is to be masked that the answer does not have."""
        if not any(operation.policies.masking for operation in documents.operations()):
            return
        if self.routes_schema is None:
            self.routes_schema, self.openapi_schema = super().openapi(), None
        if lines := unfit_masks(self.routes_schema, documents):
            raise DocumentRefused(lines)

    def openapi(self) -> dict[str, Any]:
        """The document of everything served, with security and problems written in."""
        if not self.openapi_schema:
            self.openapi_schema = described(super().openapi(), self.documents)
        return self.openapi_schema


def build_app(  # noqa: PLR0913 - each is one thing a tier brings along
    *,
    tier: str,
    title: str,
    routers: Sequence[APIRouter],
    settings: TierSettings,
    gateway: GatewayDocuments | None = None,
    lifespan: Lifespan | None = None,
    readiness: Sequence[Readiness] = (),
    idempotency: IdempotencyStore | None = None,
    keys: KeySource | None = None,
    trusted: Sequence[TrustedIssuer] = (),
    revocations: Feed | None = None,
    usage: UsageSink | None = None,
    pages: CatalogPages = CatalogPages(),  # noqa: B008 - frozen
    version: str = "1.0.0",
) -> TierApp:
    """The tier's application.

    `gateway` is what the policy documents declare, by default those in `settings.gateway_dir`. `keys` fetches the
    issuer's JWK set; by default it is asked for over HTTP at `settings.issuer_url`. `trusted` are further issuers
    whose access tokens open this door. `revocations` reads the issuer's feed; by default over HTTP with the tier's own
    client, where it has one. `usage` keeps what clients called. `pages` says where APIs are shown. `idempotency` is
    needed as soon as a policy document asks for idempotency keys.
    Ends the process, naming every line, when routes and policy documents do not cover each other.
    """
    configure_logging(tier, settings.log_level)
    is_traced = configure_tracing(tier)
    issuer = None if keys else Outbound(system="issuer", base_url=settings.issuer_url, timeout=5.0)
    access, audit, warnings = (LineLog(tier, name) for name in ("access", "audit", "gateway"))
    trail = AuditTrail(audit)
    recorder = UsageRecorder(usage) if usage is not None else None
    withdrawn, used = RevocationList(), once(settings.counters_url)
    distant = IssuerFeed(settings) if revocations is None and settings.client_id else None

    @asynccontextmanager
    async def whole_life(app: TierApp) -> AsyncGenerator[Any]:
        async with (
            (lifespan or _nothing)(app) as state,
            following(revocations or distant, withdrawn, tier),
            counting(recorder),
            watching(app.watch),
        ):
            yield state
        await app.gateway.aclose()
        await used.aclose()
        if distant is not None:
            await distant.aclose()
        if issuer is not None:
            await issuer.aclose()
        access.flush()
        audit.flush()
        warnings.flush()

    app = TierApp(
        title=title,
        version=version,
        lifespan=whole_life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        telemetry={"tracing": is_traced, "metrics": False, "logs": False},
        generate_unique_id_function=_operation_id,
    )
    app.is_traced = is_traced
    app.gateway_tier, app.access, app.audit, app.warnings = tier, access, audit, warnings
    try:
        app.documents = declared = gateway or load_documents(settings.gateway_dir, tier)
        if revocations is None and distant is None:
            _refuse_blindness(declared)
        own = settings.issuer_url.rstrip("/")
        issuers = [own, *(one.issuer for one in trusted)]
        metadata = resource_router(lambda: app.documents, address=settings.address, issuers=issuers)
        catalog = catalog_router(lambda: app.documents, address=settings.address, pages=pages)
        for router in (health_router(tier, readiness), metadata, catalog, *routers):
            app.include_router(router)
        install_problems(app)
        app.gateway = Gateway(
            declared,
            Supplies(
                tier=tier,
                issuer=own,
                audience=settings.audience,
                keys=keys or _fetched_from(issuer),
                idempotency=idempotency,
                counters_url=settings.counters_url,
                plans=declared.plans,
                is_traced=is_traced,
                public_url=settings.address,
                trusted=tuple(trusted),
                revocations=withdrawn,
                used=used,
                usage=recorder,
                access_form=access.form,
                audit_line=trail,
                warn_line=warnings,
            ),
            served_routes(app),
        )
        app.refuse_unfit_masks(declared)
    except DocumentRefused as refusal:
        stop(refusal.lines)
    if declared.folder is not None:
        app.watch = Watch(declared, app.load, trail, every=settings.gateway_reload_seconds)
    return app


def _operation_id(route: Any) -> str:
    return str(route.name)


def _fetched_from(issuer: Outbound | None) -> KeySource:
    async def fetch() -> Any:
        assert issuer is not None  # noqa: S101 - made when no other source was given
        return (await issuer.read("GET", "/.well-known/jwks.json")).json()

    return fetch


def _refuse_blindness(declared: GatewayDocuments) -> None:
    """Whoever says `refuse` when revocations are stale must be able to read them at all."""
    strict = {one.name for one in declared.operations() if not one.is_public and _is_strict(one)}
    if strict:
        first = min(strict)
        told = "when_revocations_are_stale: refuse needs CLIENT_ID and CLIENT_SECRET, to read them from the issuer"
        raise DocumentRefused([f"{first}: {told}"])


def _is_strict(operation: Operation) -> bool:
    return operation.policies.jwt is not None and operation.policies.jwt.when_revocations_are_stale == "refuse"


@asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncGenerator[None]:
    yield
