"""Logging out, by oneself or on a portal's wish (OpenID Connect RP-Initiated Logout); always asks the person first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.desk import AccountDesk
from experience_apis.identity.pages.forms import FORM, posted
from experience_apis.identity.pages.press import wording_for
from experience_apis.identity.people.sessions import csrf_of, is_csrf_of

LOGOUT_PATH = "/logout"
END_SESSION_PATH = "/oauth/logout"
_WISH = ("client_id", "id_token_hint", "post_logout_redirect_uri", "state")
_VALUE_AT_MOST = 2000
_WISH_AT_MOST = 5000

ReturnAddress = Callable[[Mapping[str, str]], Awaitable[str | None]]
"""Where a logout leads on to, of a request's parameters; None where the client has not registered the address."""


def logout_pages(desk: AccountDesk, return_address: ReturnAddress) -> APIRouter:
    """The question, and what follows from yes."""
    router = APIRouter(include_in_schema=False)

    async def ask(request: Request, wish: Mapping[str, str]) -> Response:
        found = await desk.session(request)
        if found is None:
            address = await return_address(wish)
            return _leave(desk, request, address)
        cookie, session = found
        words = wording_for(request, session.person.language)
        kept = {name: wish[name][:_VALUE_AT_MOST] for name in _WISH if wish.get(name)}
        return desk.press.page("logout.html", words, name=session.person.full_name, csrf=csrf_of(cookie), wish=kept)

    @router.get(LOGOUT_PATH, name="show_logout")
    async def show_logout(request: Request) -> Response:
        """Asks."""
        return await ask(request, {})

    @router.get(END_SESSION_PATH, name="show_end_session")
    async def show_end_session(request: Request) -> Response:
        """Asks, on a portal's wish."""
        return await ask(request, dict(request.query_params))

    @router.post(END_SESSION_PATH, name="show_end_session_by_form")
    async def show_end_session_by_form(request: Request) -> Response:
        """The same by form, as OpenID Connect wants it; goes on by GET, where the browser brings its session along."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        text = (await request.body()).decode("utf-8", "replace") if content_type == FORM else ""
        fields = dict(parse_qsl(text)) if len(text) <= _WISH_AT_MOST else {}
        wish = {name: fields[name] for name in _WISH if name in fields}
        return RedirectResponse(f"{END_SESSION_PATH}?{urlencode(wish)}", status_code=303)

    @router.post(LOGOUT_PATH, name="log_out")
    async def log_out(request: Request) -> Response:
        """Ends the session; its tokens end in every tier."""
        form = await posted(request)
        found = await desk.session(request)
        if found is None:
            return _leave(desk, request, await return_address(form))
        cookie, session = found
        if not is_csrf_of(cookie, form.get("csrf")):
            return RedirectResponse(LOGOUT_PATH, status_code=303)
        await desk.sessions.end(session.person, [session.id], "logged_out")
        response = _leave(desk, request, await return_address(form))
        desk.drop(response, desk.visitors.cookie)
        return response

    return router


def _leave(desk: AccountDesk, request: Request, address: str | None) -> Response:
    words = wording_for(request)
    if address is None:
        return desk.press.page("logged_out.html", words)
    return desk.press.page("onward.html", words, address=address, said=words.say("logout.done_title"))


def with_state(address: str, state: str | None) -> str:
    """The address with the portal's state behind it."""
    if not state:
        return address
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode({'state': state})}"
