"""Pages where developers look after their clients: register, see, rotate, disable, usage; the desk decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.desk.clients import Asker, AuthMethod, Client, ClientDesk, ClientState, ClientWish
from experience_apis.desk.visitor import Visitor
from experience_apis.developer.catalog import Shelf
from experience_apis.developer.forms import Form, posted
from experience_apis.developer.site import Site, known_visitor, page_route
from experience_apis.developer.usage import Usage, by_version, chart, since_of
from shared.errors.taxonomy import FieldFinding, InvalidRequest, Refused

READ, WRITE, APPROVE = "clients.read", "clients.write", "clients.approve"
_MOST = 200
_OVERLAP_HOURS = 24
_NEVER_A_CLIENTS = frozenset({APPROVE, "customer.read", "openid", "revocations.read"})


def desk_of(request: Request) -> ClientDesk:
    """The room that keeps clients."""
    return cast("ClientDesk", request.app.state.client_desk)


def usage_of(request: Request) -> Usage:
    """The room that keeps counts."""
    return cast("Usage", request.app.state.usage)


def asker(visitor: Visitor) -> Asker:
    """The visitor as the desk knows them."""
    return Asker(visitor.tenant, visitor.subject, may_see_all=APPROVE in visitor.scopes)


async def every_client(request: Request, who: Asker, state: ClientState | None = None) -> list[Client]:
    """All clients that the asker may see, newest first."""
    found: list[Client] = []
    after: str | None = None
    while True:
        page = await desk_of(request).list_clients(who, state=state, after=after, limit=_MOST)
        found += page.items
        after = page.next_cursor
        if after is None:
            return sorted(found, key=lambda one: one.created_at, reverse=True)


def scopes_to_ask(shelf: Shelf) -> dict[str, str]:
    """The scopes a client may ask for, with what the published documents say of them."""
    found: dict[str, str] = {}
    for edition in shelf.editions.values():
        if not edition.can_be_tried or edition.spec is None:
            continue
        schemes = cast("Mapping[str, Any]", edition.spec.document["components"].get("securitySchemes", {}))
        for scheme in schemes.values():
            for flow in cast("Mapping[str, Any]", scheme.get("flows", {})).values():
                found |= flow.get("scopes", {})
    return {name: told for name, told in sorted(found.items()) if name not in _NEVER_A_CLIENTS}


def client_pages(site: Site) -> APIRouter:
    """Pages of one's own clients."""
    router = APIRouter(include_in_schema=False, route_class=page_route(site))

    @router.get("/developer/clients", name="developer_clients")
    async def clients(request: Request) -> Response:
        """The visitor's clients; an administrator sees those of the whole tenant."""
        visitor = await known_visitor(request, READ)
        found = await every_client(request, asker(visitor))
        return await site.private(request, "clients.html", visitor, {"section": "clients", "clients": found})

    @router.get("/developer/clients/new", name="developer_client_form")
    async def new_client(request: Request) -> Response:
        """The form to register a client with."""
        visitor = await known_visitor(request, WRITE)
        return await site.private(request, "client_new.html", visitor, _form_facts(site, Form({}), ()))

    @router.post("/developer/clients", name="developer_register_client")
    async def register(request: Request) -> Response:
        """Register a client; its secret is shown in the answer, and only there."""
        visitor = await known_visitor(request, WRITE)
        form = await posted(request, visitor)
        try:
            made = await desk_of(request).create_client(asker(visitor), _wish(form), idempotency_key=form.key())
        except Refused as refusal:
            findings = refusal.findings or (FieldFinding("form", refusal.message),)
            facts = _form_facts(site, form, findings)
            return await site.private(request, "client_new.html", visitor, facts, status=refusal.status)
        facts = {**await _client_facts(request, visitor, made.client), "secret": made.secret, "is_new": True}
        return await site.private(request, "client.html", visitor, facts)

    @router.get("/developer/clients/{client}", name="developer_client")
    async def one_client(client: str, request: Request) -> Response:
        """One client with its secrets' times and its usage."""
        visitor = await known_visitor(request, READ)
        found = await desk_of(request).get_client(asker(visitor), client)
        facts = {**await _client_facts(request, visitor, found), "secret": None, "is_new": False}
        return await site.private(request, "client.html", visitor, facts)

    @router.post("/developer/clients/{client}/rotate", name="developer_rotate_secret")
    async def rotate(client: str, request: Request) -> Response:
        """A new secret, shown in the answer, and only there."""
        visitor = await known_visitor(request, WRITE)
        form = await posted(request, visitor)
        hours = form.one("overlap_hours") or str(_OVERLAP_HOURS)
        if not hours.isdigit():
            raise InvalidRequest(findings=[FieldFinding("overlap_hours", "a number of hours is needed")])
        made = await desk_of(request).rotate_secret(
            asker(visitor), client, overlap_hours=int(hours), idempotency_key=form.key()
        )
        facts = {**await _client_facts(request, visitor, made.client), "secret": made.secret, "is_new": True}
        return await site.private(request, "client.html", visitor, facts)

    @router.post("/developer/clients/{client}/disable", name="developer_disable_client")
    async def disable(client: str, request: Request) -> Response:
        """End a client."""
        visitor = await known_visitor(request, WRITE)
        form = await posted(request, visitor)
        await desk_of(request).disable_client(asker(visitor), client, reason=form.one("reason"))
        return RedirectResponse(f"/developer/clients/{client}", status_code=303)

    return router


def _form_facts(site: Site, form: Form, findings: tuple[FieldFinding, ...]) -> dict[str, Any]:
    return {
        "section": "clients",
        "form": form,
        "once": form.one("once") or uuid4().hex,
        "errors": {one.field.rpartition(".")[2]: one.reason for one in findings},
        "findings": findings,
        "plans": site.shelf.asked_plans,
        "scopes": scopes_to_ask(site.shelf),
    }


async def _client_facts(request: Request, visitor: Visitor, client: Client) -> dict[str, Any]:
    period = "day" if request.query_params.get("period") == "day" else "hour"
    now = datetime.now(UTC)
    rows = await usage_of(request).of_client(client.tenant, client.client_id, since_of(period, now))
    return {
        "section": "clients",
        "client": client,
        "once": uuid4().hex,
        "may_write": WRITE in visitor.scopes and not client.is_from_file,
        "period": period,
        "chart": chart(rows, period, now),
        "versions": by_version(rows),
        "now": now,
    }


def _wish(form: Form) -> ClientWish:
    if not form.many("scopes"):
        raise InvalidRequest(findings=[FieldFinding("scopes", "a client without any could not call anything")])
    keys: Mapping[str, Any] | None = None
    if form.one("jwks"):
        try:
            keys = json.loads(form.one("jwks"))
        except ValueError:
            raise InvalidRequest(findings=[FieldFinding("jwks", "this is not JSON")]) from None
        if not isinstance(keys, dict):
            raise InvalidRequest(findings=[FieldFinding("jwks", "a JWK set is a JSON object")])
    method = next((one for one in AuthMethod if one == form.one("auth_method")), AuthMethod.SECRET)
    has_keys = method is AuthMethod.PRIVATE_KEY_JWT
    return ClientWish(
        name=form.one("name"),
        contact=form.one("contact"),
        purpose=form.one("purpose"),
        plan=form.one("plan"),
        scopes=form.many("scopes"),
        auth_method=method,
        jwks=keys if has_keys else None,
        jwks_uri=form.one("jwks_uri") or None if has_keys else None,
        redirect_uris=form.lines("redirect_uris"),
        requires_dpop=bool(form.one("requires_dpop")),
    )
