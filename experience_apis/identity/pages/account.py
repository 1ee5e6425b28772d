"""Pages of people about themselves: log in, log out, my sessions, my password; what is decided is decided in `people`."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.browsers import browser_name
from experience_apis.identity.pages.forms import posted
from experience_apis.identity.pages.press import PagePress, instant, wording_for
from experience_apis.identity.people.login import LoginDesk, LoginRefused
from experience_apis.identity.people.passwords import PasswordKeeper, password_fault
from experience_apis.identity.people.records import AuditLine, People, PersonSession
from experience_apis.identity.people.sessions import Sessions, csrf_of, is_csrf_of
from experience_apis.identity.people.visitors import LOGIN_PATH, CookieVisitors, own_path
from experience_apis.wording.catalog import Wording

SESSIONS_PATH = "/account/sessions"
PASSWORD_PATH = "/account/password"  # noqa: S105 - an address
AUTHORIZE_PATH = "/oauth/authorize"
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class AccountDesk:
    """What the pages ask."""

    people: People
    logins: LoginDesk
    sessions: Sessions
    visitors: CookieVisitors
    keeper: PasswordKeeper
    audit: AuditLine
    press: PagePress

    async def session(self, request: Request) -> tuple[str, PersonSession] | None:
        """The visitor's cookie and session, if there is one."""
        cookie = request.cookies.get(self.visitors.cookie)
        session = await self.sessions.find(cookie)
        return None if session is None or cookie is None else (cookie, session)

    def keep(self, response: Response, name: str, value: str) -> None:
        """Give the browser a cookie that no script reads and no other site's form sends; it ends with the browser."""
        response.set_cookie(name, value, path="/", httponly=True, samesite="lax", secure=self.visitors.is_secure)

    def drop(self, response: Response, name: str) -> None:
        """Take a cookie back."""
        response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=self.visitors.is_secure)


def account_pages(desk: AccountDesk) -> APIRouter:
    """Login, logout, sessions and password."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN_PATH, name="show_login")
    async def show_login(
        request: Request, back_to: str = SESSIONS_PATH, again: str = "", name: str = ""
    ) -> Response:
        """The form; whoever is logged in already goes on at once unless asked to confirm."""
        found = await desk.session(request)
        if found is not None and not again:
            return RedirectResponse(_after_login(found[1], own_path(back_to, SESSIONS_PATH)), status_code=303)
        return _login_form(desk, request, back_to=back_to, name=name[:120], again=bool(again))

    @router.post(LOGIN_PATH, name="log_in")
    async def log_in(request: Request) -> Response:
        """Name and password become a session under a new cookie."""
        form = await posted(request)
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
        response = _onward(desk, words, _after_login(session, own_path(back_to, SESSIONS_PATH)))
        desk.keep(response, desk.visitors.cookie, cookie)
        desk.drop(response, desk.visitors.form_cookie)
        return response

    @router.get(SESSIONS_PATH, name="show_sessions")
    async def show_sessions(request: Request, told: str = "") -> Response:
        """The browsers this person is logged in with."""
        found = await desk.session(request)
        if found is None:
            return RedirectResponse(desk.visitors.login_address(SESSIONS_PATH), status_code=303)
        cookie, session = found
        words = wording_for(request, session.person.language)
        shown = [_shown(one, session, words) for one in await desk.sessions.list_of(session.person)]
        notice = {"ended": "sessions.ended", "password": "password.done"}.get(told)
        return desk.press.page(
            "sessions.html",
            words,
            sessions=shown,
            name=session.person.full_name,
            csrf=csrf_of(cookie),
            notice=notice,
        )

    @router.post(SESSIONS_PATH, name="end_sessions")
    async def end_sessions(request: Request) -> Response:
        """End one of the person's own sessions, all others, or all."""
        form = await posted(request)
        found = await desk.session(request)
        if found is None or not is_csrf_of(found[0], form.get("csrf")):
            return RedirectResponse(desk.visitors.login_address(SESSIONS_PATH), status_code=303)
        _, session = found
        which = form.get("end", "")
        if which == "others":
            await desk.sessions.end_all(session.person, "ended_by_person", but=session.id)
        elif which == "all":
            await desk.sessions.end_all(session.person, "ended_by_person")
        elif which:
            await desk.sessions.end(session.person, [which], "ended_by_person")
        return RedirectResponse(f"{SESSIONS_PATH}?told=ended", status_code=303)

    @router.get(PASSWORD_PATH, name="show_password")
    async def show_password(request: Request, back_to: str = "") -> Response:
        """The form for a new password."""
        found = await desk.session(request)
        if found is None:
            return RedirectResponse(desk.visitors.login_address(PASSWORD_PATH), status_code=303)
        return _password_form(desk, request, found, own_path(back_to, ""), {})

    @router.post(PASSWORD_PATH, name="change_password")
    async def change_password(request: Request) -> Response:
        """A new password; this browser gets a new session, all others end."""
        form = await posted(request)
        found = await desk.session(request)
        if found is None or not is_csrf_of(found[0], form.get("csrf")):
            return RedirectResponse(desk.visitors.login_address(PASSWORD_PATH), status_code=303)
        cookie, session = found
        person, words = session.person, wording_for(request, session.person.language)
        back_to = own_path(form.get("back_to"), "")
        faults = await _password_faults(desk, session, form, words)
        if faults:
            return _password_form(desk, request, found, back_to, faults, status=422)
        await desk.people.set_password(person.name, await desk.keeper.hashed(form["new"]), must_change=False)
        desk.audit({"event": "password_changed", "person": person.name, "tenant": person.tenant, "by": "person"})
        await desk.sessions.end_all(person, "password_changed", but=session.id)
        changed = await desk.people.find(person.name)
        fresh, _ = await desk.sessions.begin(
            changed or person, address=session.address, browser=session.browser, instead_of=cookie
        )
        response = _onward(desk, words, back_to or f"{SESSIONS_PATH}?told=password")
        desk.keep(response, desk.visitors.cookie, fresh)
        return response

    return router


def _login_form(  # noqa: PLR0913 - what a form shows
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
        client=None,
        name=name,
        again=again,
        faults=faults or {},
    )
    desk.keep(response, desk.visitors.form_cookie, cookie)
    return response


def _refused(  # noqa: PLR0913 - what a form shows
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


def _onward(desk: AccountDesk, words: Wording, address: str) -> Response:
    # browsers hold redirects after a form to the page's form-action, and this one leads on to the client's origin
    if urlsplit(address).path == AUTHORIZE_PATH:
        return desk.press.page("onward.html", words, address=address, said=words.say("login.leaving"))
    return RedirectResponse(address, status_code=303)


def _after_login(session: PersonSession, back_to: str) -> str:
    if session.person.must_change_password:
        return f"{PASSWORD_PATH}?{urlencode({'back_to': back_to})}"
    return back_to


def _shown(one: PersonSession, this: PersonSession, words: Wording) -> dict[str, Any]:
    return {
        "id": one.id,
        "browser": browser_name(one.browser, words),
        "is_this": one.id == this.id,
        "seen_at": one.seen_at,
        "seen": instant(one.seen_at, words.language),
        "auth_time": one.auth_time,
        "since": instant(one.auth_time, words.language),
        "address": one.address,
    }


def _password_form(  # noqa: PLR0913 - what a form shows
    desk: AccountDesk,
    request: Request,
    found: tuple[str, PersonSession],
    back_to: str,
    faults: dict[str, str],
    *,
    status: int = 200,
) -> Response:
    cookie, session = found
    return desk.press.page(
        "password.html",
        wording_for(request, session.person.language),
        status=status,
        csrf=csrf_of(cookie),
        back_to=back_to,
        name=session.person.name,
        must=session.person.must_change_password,
        faults=faults,
    )


async def _password_faults(
    desk: AccountDesk, session: PersonSession, form: Any, words: Wording
) -> dict[str, str]:
    current, new = form.get("current", ""), form.get("new", "")
    if fault := password_fault(new, name=session.person.name):
        return {"new": words.say(f"password.{fault}")}
    if new != form.get("repeat", ""):
        return {"repeat": words.say("password.differ")}
    if new == current:
        return {"new": words.say("password.same")}
    is_right = await desk.logins.is_password_of(session.person, current)
    if isinstance(is_right, LoginRefused):
        return {"": words.say("login.throttled", wait=f"{math.ceil(is_right.wait)} s")}
    return {} if is_right else {"current": words.say("password.wrong")}


