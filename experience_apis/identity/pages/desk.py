"""What all pages of people ask and share: who is there, which cookie, and where it goes on; no page of its own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.pages.press import PagePress
from experience_apis.identity.people.login import LoginDesk
from experience_apis.identity.people.passwords import PasswordKeeper
from experience_apis.identity.people.records import AuditLine, People, PersonSession
from experience_apis.identity.people.sessions import Sessions
from experience_apis.identity.people.visitors import CookieVisitors
from experience_apis.wording.catalog import Wording

SESSIONS_PATH = "/account/sessions"
PASSWORD_PATH = "/account/password"  # noqa: S105 - an address
AUTHORIZE_PATH = "/oauth/authorize"


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

    def onward(self, words: Wording, address: str) -> Response:
        """On to an address of ours after a form was taken."""
        # browsers hold redirects after a form to the page's form-action, and this one leads on to the client's origin
        if urlsplit(address).path == AUTHORIZE_PATH:
            return self.press.page("onward.html", words, address=address, said=words.say("login.leaving"))
        return RedirectResponse(address, status_code=303)
