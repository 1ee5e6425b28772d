"""The public pages of the developer site: catalog, reference, events, changelog, guides, status; HTML out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from experience_apis.developer.catalog import Edition, Shelf, matching, search_text, states, tiers
from experience_apis.developer.events import event_cards, event_told
from experience_apis.developer.guides import GUIDES, guide
from experience_apis.developer.screens import groups, operation_facts, schema_facts
from experience_apis.developer.site import Site, page_route, visitor_of
from experience_apis.wording.catalog import Wording
from shared.errors.taxonomy import NotFound

_API = "/developer/apis/{tier}/{api}/{version}"
_LONGEST_WORDS = 100
Facts = Mapping[str, Any]


def public_pages(site: Site) -> APIRouter:
    """Pages that need no login."""
    router = APIRouter(include_in_schema=False, route_class=page_route(site))

    @router.get("/developer", name="developer_home")
    async def home(request: Request) -> Response:
        """The front page."""

        def facts(_words: Wording) -> Facts:
            return {"section": "", "editions": [one for one in site.shelf.leading if one.can_be_tried]}

        return await site.public(request, "home.html", facts)

    @router.get("/developer/apis", name="developer_catalog")
    async def catalog(request: Request) -> Response:
        """The catalog, narrowed by what the address asks for."""
        asked = {name: request.query_params.get(name, "") for name in ("q", "tier", "audience", "state")}
        if not any(asked.values()):
            return await site.public(request, "catalog.html", lambda _words: _catalog(site.shelf, asked))
        facts = _catalog(site.shelf, asked)
        return await site.private(request, "catalog.html", await visitor_of(request), facts)

    _reference(router, site)
    _documents(router, site)
    _more_pages(router, site)
    return router


def _reference(router: APIRouter, site: Site) -> None:
    @router.get(_API, name="developer_edition")
    async def edition(tier: str, api: str, version: str, request: Request) -> Response:
        """One version of an API."""
        found = site.shelf.edition(tier, api, version)

        def facts(_words: Wording) -> Facts:
            return {
                **_of(site.shelf, found),
                "versions": site.shelf.versions_of(found.api),
                "groups": groups(found.operations),
                "schemas": sorted(found.spec.schemas) if found.spec else (),
            }

        return await site.public(request, "edition.html", facts)

    @router.get(_API + "/operations/{operation}", name="developer_operation")
    async def operation(tier: str, api: str, version: str, operation: str, request: Request) -> Response:
        """The reference of one operation, with a form to try it."""
        found = site.shelf.edition(tier, api, version)
        one = found.operation(operation)

        def facts(_words: Wording) -> Facts:
            told = operation_facts(found, one, site.shelf, site.address)
            return {**_of(site.shelf, found), "operation": one, **told}

        return await site.public(request, "operation.html", facts)

    @router.get(_API + "/schemas/{schema}", name="developer_schema")
    async def schema(tier: str, api: str, version: str, schema: str, request: Request) -> Response:
        """One schema, unfolded."""
        found = site.shelf.edition(tier, api, version)
        spec = found.spec
        if spec is None or schema not in spec.schemas:
            raise NotFound("There is no schema of this name.")

        def facts(_words: Wording) -> Facts:
            node, example = schema_facts(spec.schemas[schema], spec.document)
            return {**_of(site.shelf, found), "name": schema, "node": node, "example": example}

        return await site.public(request, "schema.html", facts)


def _documents(router: APIRouter, site: Site) -> None:
    @router.get(_API + "/changelog", name="developer_edition_changelog")
    async def edition_changelog(tier: str, api: str, version: str, request: Request) -> Response:
        """What changed from release to release of one version."""
        found = site.shelf.edition(tier, api, version)
        logs = [("", "", found.changes)] if found.changes else []
        return await site.public(
            request, "changelog.html", lambda _words: {**_of(site.shelf, found), "logs": logs, "edition": found}
        )

    @router.get("/developer/specs/{file}", name="developer_document")
    async def document(file: str, request: Request) -> Response:
        """A published document, as YAML or JSON."""
        return _document(site.shelf, file, request)


def _more_pages(router: APIRouter, site: Site) -> None:
    @router.get("/developer/events", name="developer_events")
    async def events(request: Request) -> Response:
        """Every event type."""
        spec = site.shelf.events
        return await site.public(
            request, "events.html", lambda _words: {"section": "events", "spec": spec, "events": event_cards(spec)}
        )

    @router.get("/developer/events/{event}", name="developer_event")
    async def one_event(event: str, request: Request) -> Response:
        """One event type."""
        spec = site.shelf.events
        told = event_told(spec, event)
        return await site.public(
            request, "event.html", lambda _words: {"section": "events", "event": told, "events": event_cards(spec)}
        )

    @router.get("/developer/changelog", name="developer_changelog")
    async def changelog(request: Request) -> Response:
        """What changed in every API."""
        return await site.public(request, "changelog.html", lambda words: _changelog(site.shelf, words))

    @router.get("/developer/guides", name="developer_guides")
    async def guides(request: Request) -> Response:
        """The list of guides."""
        return await site.public(request, "guides.html", lambda _words: {"section": "guides", "guides": GUIDES})

    @router.get("/developer/guides/{guide}", name="developer_guide")
    async def one_guide(guide: str, request: Request) -> Response:
        """One guide."""
        if guide not in GUIDES:
            raise NotFound("There is no guide of this name.")
        return await site.public(request, "guide.html", lambda words: _guide(site, guide, words))

    @router.get("/developer/status", name="developer_status")
    async def status(request: Request) -> Response:
        """How far every version is, and which of them end when."""
        shelf = site.shelf
        every = sorted(
            shelf.editions.values(),
            key=lambda one: (tiers().index(one.api.tier), one.api.title.casefold(), one.version),
        )
        return await site.public(
            request,
            "status.html",
            lambda _words: {"section": "status", "ending": shelf.ending, "editions": every},
        )

    @router.get("/developer/callback", name="developer_callback")
    async def callback(request: Request) -> Response:
        """Where a sign-in of the try-it form comes back to; the code is handed to the page that asked."""
        return await site.public(request, "callback.html", lambda _words: {"section": ""})


def _of(shelf: Shelf, edition: Edition) -> Facts:
    successor = next((one for one in shelf.versions_of(edition.api) if _succeeds(one, edition)), None)
    return {"section": "apis", "edition": edition, "successor": successor}


def _succeeds(one: Edition, edition: Edition) -> bool:
    wanted = edition.entry.successor
    return wanted is not None and wanted.rstrip("/").endswith(f"/{one.version}")


def _catalog(shelf: Shelf, asked: Mapping[str, str]) -> Facts:
    words = asked["q"][:_LONGEST_WORDS]
    found = matching(shelf, words=words, tier=asked["tier"], audience=asked["audience"], state=asked["state"])
    return {
        "section": "apis",
        "editions": found,
        "searches": {one.key: search_text(one) for one in found},
        "tiers": tiers(),
        "states": states(),
        "audiences": shelf.audiences,
        "asked": {**asked, "words": words},
    }


def _changelog(shelf: Shelf, words: Wording) -> Facts:
    logs = [
        (f"{one.api.title} {one.version}", f"{one.address}/changelog", one.changes)
        for lead in shelf.leading
        for one in shelf.versions_of(lead.api)
        if one.changes
    ]
    if shelf.event_changes:
        logs.append((words.say("events.title"), "/developer/events", shelf.event_changes))
    return {"section": "changelog", "edition": None, "logs": logs}


def _guide(site: Site, name: str, words: Wording) -> Facts:
    text, anchors = guide(name, words.language, site.shelf, site.address)
    return {"section": "guides", "name": name, "guides": GUIDES, "text": text, "anchors": anchors}


def _document(shelf: Shelf, file: str, request: Request) -> Response:
    stem, _, kind = file.rpartition(".")
    specs = {one.spec.name: one.spec for one in shelf.editions.values() if one.spec}
    spec = {**specs, shelf.events.name: shelf.events}.get(stem)
    if spec is None or kind not in {"yaml", "json"}:
        raise NotFound("There is no such document.")
    headers = {"ETag": f'W/"{spec.digest}-{kind}"', "Cache-Control": "public, max-age=60"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if kind == "json":
        return Response(spec.as_json, media_type="application/json", headers=headers)
    return Response(spec.text, media_type="application/yaml", headers=headers)
