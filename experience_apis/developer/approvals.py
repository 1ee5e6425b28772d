"""Pages for administrators: developers' requests, and who still uses deprecated versions; the desk decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.desk.clients import ClientState
from experience_apis.developer.clients import APPROVE, asker, desk_of, every_client, scopes_to_ask, usage_of
from experience_apis.developer.forms import Form, posted
from experience_apis.developer.site import Site, known_visitor, page_route
from shared.errors.taxonomy import FieldFinding, InvalidRequest

_LOOK_BACK = timedelta(days=30)


def approval_pages(site: Site) -> APIRouter:
    """Pages that need the permission to approve clients."""
    router = APIRouter(include_in_schema=False, route_class=page_route(site))

    @router.get("/developer/requests", name="developer_requests")
    async def requests(request: Request) -> Response:
        """Clients that wait for a decision, oldest first."""
        visitor = await known_visitor(request, APPROVE)
        waiting = await every_client(request, asker(visitor), ClientState.REQUESTED)
        facts = {
            "section": "requests",
            "waiting": waiting[::-1],
            "plans": site.shelf.asked_plans,
            "scopes": scopes_to_ask(site.shelf),
            "done": await _done(request, asker(visitor)),
        }
        return await site.private(request, "requests.html", visitor, facts)

    @router.post("/developer/requests/{client}", name="developer_decide")
    async def decide(client: str, request: Request) -> Response:
        """Approve with a plan and scopes, or reject with a reason."""
        visitor = await known_visitor(request, APPROVE)
        form = await posted(request, visitor)
        desk, who = desk_of(request), asker(visitor)
        if form.one("decision") == "approve":
            await desk.approve_client(
                who,
                client,
                plan=form.one("plan"),
                scopes=form.many("scopes"),
                expires_at=_until(form),
                customers=frozenset(form.lines("customers")) or None,
            )
        elif not form.one("reason"):
            raise InvalidRequest(findings=[FieldFinding("reason", "the developer needs to know why")])
        else:
            await desk.reject_client(who, client, reason=form.one("reason"))
        return RedirectResponse(f"/developer/requests?done={client}", status_code=303)

    @router.get("/developer/consumers", name="developer_consumers")
    async def consumers(request: Request) -> Response:
        """Clients of the tenant that lately called a version which is deprecated."""
        visitor = await known_visitor(request, APPROVE)
        names = {one.client_id: one.name for one in await every_client(request, asker(visitor))}
        since = datetime.now(UTC) - _LOOK_BACK
        found = [
            (edition, [one for one in rows if one.tenant == visitor.tenant])
            for edition in site.shelf.ending
            if edition.can_be_tried
            for rows in [await usage_of(request).of_api(edition.api.name, edition.version, since)]
        ]
        facts = {"section": "requests", "found": found, "names": names}
        return await site.private(request, "consumers.html", visitor, facts)

    return router


async def _done(request: Request, who: Any) -> Any:
    client = request.query_params.get("done", "")
    return await desk_of(request).get_client(who, client) if client else None


def _until(form: Form) -> datetime | None:
    given = form.one("expires_on")
    if not given:
        return None
    try:
        day = datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest(findings=[FieldFinding("expires_on", "a date reads like 2027-01-31")]) from None
    return day + timedelta(days=1)
