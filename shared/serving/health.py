"""Is the process alive, can it work, what does it measure; no business word enters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shared.errors.taxonomy import PlatformError
from shared.telemetry import render_metrics
from shared.telemetry.metrics import METRICS_CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing the tier depends on stands."""

    name: str
    ok: bool
    reason: str = ""


Readiness = Callable[[], Awaitable[Check]]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field(default="ok", description="Always ok: whoever reads it was answered.")
    tier: str = Field(max_length=40, description="Which tier the process serves.", examples=["system"])


class CheckResult(BaseModel):
    """One dependency."""

    name: str = Field(max_length=80, description="What the tier depends on.", examples=["database"])
    ok: bool = Field(description="Whether it does its part just now.", examples=[True])
    reason: str = Field(
        default="", max_length=2000, description="Why not, in one sentence; empty when it does.", examples=[""]
    )


class Ready(BaseModel):
    """Whether requests should be sent here."""

    ready: bool = Field(description="Whether every dependency does its part.", examples=[True])
    checks: list[CheckResult] = Field(max_length=50, description="One per dependency.")


def health_router(tier: str, readiness: Sequence[Readiness]) -> APIRouter:
    """Routes for probes and for the scraper of metrics."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", summary="Is the process alive", operation_id="getHealth")
    async def health() -> Health:
        """For liveness probes: looks at nothing but the process itself."""
        return Health(tier=tier)

    @router.get(
        "/ready",
        summary="Can the tier work",
        operation_id="getReadiness",
        responses={503: {"model": Ready, "description": "A dependency is away."}},
        openapi_extra={"x-errors": "probe"},
    )
    async def ready(response: Response) -> Ready:
        """For readiness probes: asks every dependency, and answers 503 while one is away."""
        checks: list[CheckResult] = []
        for check in readiness:
            try:
                found = await check()
            except PlatformError as error:
                found = Check(getattr(check, "__name__", "dependency"), ok=False, reason=error.message)
            checks.append(CheckResult(name=found.name, ok=found.ok, reason=found.reason))
        is_ready = all(check.ok for check in checks)
        response.status_code = 200 if is_ready else 503
        return Ready(ready=is_ready, checks=checks)

    @router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(render_metrics(), headers={"content-type": METRICS_CONTENT_TYPE})

    return router
