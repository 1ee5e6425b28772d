"""The login page: name and password become a session under a new cookie; who it is, `people` decides."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.desk import PASSWORD_PATH, SESSIONS_PATH, AccountDesk
from experience_apis.identity.pages.forms import posted
from experience_apis.identity.pages.press import wording_for
from experience_apis.identity.people.login import LoginRefused
from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.sessions import csrf_of, is_csrf_of
from experience_apis.identity.people.visitors import LOGIN_PATH, own_path
from experience_apis.wording.catalog import Wording

_MINUTE = 60


def login_pages(desk: AccountDesk) -> APIRouter:
    """The form, and what follows from it."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN_PATH, name="show_login")
    async def show_login(request: Request, back_to: str = SESSIONS_PATH, again: str = "", name: str = "") -> Response:
        """The form; whoever is logged in already goes on at once unless asked to confirm."""
        found = await desk.session(request)
        if found is not None and not again:
            return RedirectResponse(_after_login(found[1], own_path(back_to, SESSIONS_PATH)), status_code=303)
        return _login_form(desk, request, back_to=back_to, name=name[:120], again=bool(again))

    @router.post(LOGIN_PATH, name="log_in")
    async def log_in(request: Request) -> Response:
        """Name and password become a session under a new cookie."""
        return await _log_in(desk, request, await posted(request))

    return router


async def _log_in(desk: AccountDesk, request: Request, form: Mapping[str, str]) -> Response:
    words = wording_for(request)
    back_to, name = form.get("back_to", ""), form.get("name", "")[:120]
    faults: dict[str, str] = {}
    if not is_csrf_of(request.cookies.get(desk.visitors.form_cookie), form.get("csrf")):
        return _login_form(
            desk, request, back_to=back_to, name=name, faults={"": words.say("login.expired")}, status=403
        )
    for field in ("name", "password"):
        if not form.get(field, "").strip():
            faults[field] = words.say(f"login.{field}_missing")
    if faults:
        return _login_form(desk, request, back_to=back_to, name=name, faults=faults, status=422)
    address = request.client.host if request.client else "unknown"
    person = await desk.logins.login(name, form["password"], address)
    if isinstance(person, LoginRefused):
        return _refused(desk, request, words, person, back_to=back_to, name=name)
    cookie, session = await desk.sessions.begin(
        person,
        address=address,
        browser=request.headers.get("user-agent", ""),
        instead_of=request.cookies.get(desk.visitors.cookie),
    )
    response = desk.onward(words, _after_login(session, own_path(back_to, SESSIONS_PATH)))
    desk.keep(response, desk.visitors.cookie, cookie)
    desk.drop(response, desk.visitors.form_cookie)
    return response


def _login_form(
    desk: AccountDesk,
    request: Request,
    *,
    back_to: str,
    name: str = "",
    again: bool = False,
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    cookie = request.cookies.get(desk.visitors.form_cookie) or secrets.token_urlsafe(32)
    response = desk.press.page(
        "login.html",
        wording_for(request),
        status=status,
        csrf=csrf_of(cookie),
        back_to=own_path(back_to, SESSIONS_PATH),
        name=name,
        again=again,
        faults=faults or {},
    )
    desk.keep(response, desk.visitors.form_cookie, cookie)
    return response


def _refused(
    desk: AccountDesk, request: Request, words: Wording, refusal: LoginRefused, *, back_to: str, name: str
) -> Response:
    if not refusal.wait:
        fault = {"": words.say("login.refused")}
        return _login_form(desk, request, back_to=back_to, name=name, faults=fault, status=422)
    wait = math.ceil(refusal.wait)
    told = f"{wait} s" if wait < 2 * _MINUTE else f"{math.ceil(wait / _MINUTE)} min"
    fault = {"": words.say("login.throttled", wait=told)}
    response = _login_form(desk, request, back_to=back_to, name=name, faults=fault, status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _after_login(session: PersonSession, back_to: str) -> str:
    if session.person.must_change_password:
        return f"{PASSWORD_PATH}?{urlencode({'back_to': back_to})}"
    return back_to
