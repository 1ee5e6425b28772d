"""The page for a new password; what a password must be stands in `people`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.desk import PASSWORD_PATH, SESSIONS_PATH, AccountDesk
from experience_apis.identity.pages.forms import posted
from experience_apis.identity.pages.press import wording_for
from experience_apis.identity.people.login import LoginRefused
from experience_apis.identity.people.passwords import password_fault
from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.sessions import csrf_of, is_csrf_of
from experience_apis.identity.people.visitors import own_path
from experience_apis.wording.catalog import Wording


def password_pages(desk: AccountDesk) -> APIRouter:
    """The form, and what follows from it."""
    router = APIRouter(include_in_schema=False)

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
        return await _change(desk, request, await posted(request))

    return router


async def _change(desk: AccountDesk, request: Request, form: Mapping[str, str]) -> Response:
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
    response = desk.onward(words, back_to or f"{SESSIONS_PATH}?told=password")
    desk.keep(response, desk.visitors.cookie, fresh)
    return response


def _password_form(
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
    desk: AccountDesk, session: PersonSession, form: Mapping[str, str], words: Wording
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
