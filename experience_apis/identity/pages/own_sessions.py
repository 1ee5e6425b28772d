"""The page of one's own sessions: which browsers are logged in, and their end."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.browsers import browser_name
from experience_apis.identity.pages.desk import SESSIONS_PATH, AccountDesk
from experience_apis.identity.pages.forms import posted
from experience_apis.identity.pages.press import instant, wording_for
from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.sessions import csrf_of, is_csrf_of
from experience_apis.wording.catalog import Wording


def session_pages(desk: AccountDesk) -> APIRouter:
    """The list, and the ends."""
    router = APIRouter(include_in_schema=False)

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

    return router


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
