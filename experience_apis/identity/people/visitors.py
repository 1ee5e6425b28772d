"""Visitors of pages, recognised by the session cookie; how the cookie is made stands here and nowhere else."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from experience_apis.desk.visitor import Visitor
from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.sessions import Sessions, csrf_of
from experience_apis.identity.roles import RoleBook

LOGIN_PATH = "/login"
_PATH_AT_MOST = 6000


class CookieVisitors:
    """Recognises visitors by the cookie their browser keeps; implements `desk.visitor.Visitors`."""

    def __init__(self, sessions: Sessions, book: RoleBook, *, is_secure: bool) -> None:
        """`is_secure`: people reach us by https; browsers then keep the cookie for this host and https only."""
        self._sessions = sessions
        self._book = book
        self.is_secure = is_secure
        self.cookie = "__Host-throughline_session" if is_secure else "throughline_session"
        self.form_cookie = "__Host-throughline_form" if is_secure else "throughline_form"

    async def find(self, cookie: str | None) -> Visitor | None:
        """The visitor of a living session; whoever must choose a new password first is nobody yet."""
        session = await self._sessions.find(cookie)
        if session is None or cookie is None or session.person.must_change_password:
            return None
        return self.visitor(session, cookie)

    def visitor(self, session: PersonSession, cookie: str) -> Visitor:
        """The session as pages see it."""
        person = session.person
        return Visitor(
            session=session.id,
            subject=person.subject,
            name=person.full_name,
            tenant=person.tenant,
            roles=person.roles,
            scopes=self._book.scopes_of(person.roles & self._book.roles.keys()),
            customers=person.customers,
            language=person.language,
            csrf=csrf_of(cookie),
        )

    def login_address(self, back_to: str) -> str:
        """Where a browser is sent to log in, and to come back to `back_to` (a path of this origin) afterwards."""
        return f"{LOGIN_PATH}?{urlencode({'back_to': own_path(back_to)})}"


def own_path(address: str | None, otherwise: str = "/") -> str:
    """The address if it is a path of this origin that no browser reads as another host; else the other one."""
    if not address or len(address) > _PATH_AT_MOST or not address.isascii() or not address.isprintable():
        return otherwise
    parts = urlsplit(address)
    is_own = address.startswith("/") and address[1:2] not in {"/", "\\"} and not (parts.scheme or parts.netloc)
    return address if is_own and "\\" not in parts.path and " " not in address else otherwise
