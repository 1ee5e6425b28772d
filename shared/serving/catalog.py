"""The tier's API catalog (RFC 9727): what is published here, how far it is, where its documents are; links only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response

from shared.gateway.document import ApiFacts, GatewayDocuments, VersionFacts
from shared.gateway.policies.lifecycle.config import LifecycleState
from shared.gateway.policies.lifecycle.handler import CATALOG_PATH, notices, state_at

MEDIA_TYPE = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
_JSON, _HTML = "application/json", "text/html"
_METADATA = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class CatalogPages:
    """Where a tier shows its APIs, as templates of {tier}, {api} and {version}; by default its one JSON document."""

    description: str = "/openapi.json"
    description_type: str = _JSON
    documentation: str | None = None
    history: str | None = None


def catalog_router(
    documents: Callable[[], GatewayDocuments],
    *,
    address: str,
    pages: CatalogPages,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """The route of the catalog; `documents` are asked for each time, so that a reload shows at once."""
    router = APIRouter(tags=["operations"])

    @router.get(CATALOG_PATH, summary="What APIs there are", include_in_schema=False)
    async def catalog() -> Response:
        body = orjson.dumps(linkset(documents(), address=address, pages=pages, now=now()))
        link = f'<{address}{CATALOG_PATH}>; rel="api-catalog"'
        headers = {"content-type": MEDIA_TYPE, "link": link, "cache-control": "public, max-age=60"}
        return Response(body, headers=headers)

    return router


def linkset(documents: GatewayDocuments, *, address: str, pages: CatalogPages, now: datetime) -> dict[str, Any]:
    """The linkset (RFC 9264): the catalog with an item for each API version, and the links of each."""
    published = [(api, name, facts) for api in documents.apis if api.published for name, facts in api.versions.items()]
    items = [_item(address, api, facts, now) for api, _, facts in published]
    contexts = [_context(documents.tier, address, pages, now, *one) for one in published]
    return {"linkset": [{"anchor": address + CATALOG_PATH, "item": items}, *contexts]}


def _item(address: str, api: ApiFacts, facts: VersionFacts, now: datetime) -> dict[str, Any]:
    return {
        "href": _anchor(address, facts),
        "title": api.title,
        "release": [facts.release],
        "state": [state_at(facts.lifecycle, now).value],
        "owner": [api.owner],
        "audience": [api.audience],
    }


def _context(
    tier: str, address: str, pages: CatalogPages, now: datetime, api: ApiFacts, version: str, facts: VersionFacts
) -> dict[str, Any]:
    names = {"tier": tier, "api": api.api, "version": version}
    found: dict[str, Any] = {"anchor": _anchor(address, facts)}
    is_gone = state_at(facts.lifecycle, now) is LifecycleState.RETIRED
    shown = [
        ("service-doc", pages.documentation and pages.documentation.format(**names), _HTML),
        ("version-history", pages.history and pages.history.format(**names), _HTML),
        *_versions(api, facts, now),
    ]
    served = [
        ("service-desc", pages.description.format(**names), pages.description_type),
        ("service-meta", _METADATA + facts.base, _JSON),
        ("status", "/ready", _JSON),
    ]
    for relation, target, kind in [*([] if is_gone else served), *shown]:
        if target:
            href = target if target.startswith("http") else address + target
            found.setdefault(relation, []).append({"href": href, **({"type": kind} if kind else {})})
    return found


def _versions(api: ApiFacts, facts: VersionFacts, now: datetime) -> list[tuple[str, str | None, str | None]]:
    """Links to the other versions, and to the page that explains the move."""
    lifecycle = facts.lifecycle
    earlier = [other.base for other in api.versions.values() if other.lifecycle.successor == facts.base]
    return [
        *((("latest-version", _newest(api, now), None),) if len(api.versions) > 1 else ()),
        *(("predecessor-version", base, None) for base in earlier),
        ("successor-version", lifecycle.successor, None),
        *((relation, lifecycle.notice, _HTML) for relation in notices(lifecycle)),
    ]


def _newest(api: ApiFacts, now: datetime) -> str | None:
    """The base of the highest version that is neither a preview nor on its way out."""
    serving = [
        (int(name.removeprefix("v")), facts.base)
        for name, facts in api.versions.items()
        if state_at(facts.lifecycle, now) is LifecycleState.ACTIVE
    ]
    return max(serving)[1] if serving else None


def _anchor(address: str, facts: VersionFacts) -> str:
    return address + (facts.base or "/")
