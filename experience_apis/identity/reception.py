"""The reception: puts people, their sessions and their pages together for the tier; no rule of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from experience_apis.identity.codes.authorization import AuthorizationDesk
from experience_apis.identity.codes.id_tokens import client_of_hint
from experience_apis.identity.codes.redemption import GrantDesk
from experience_apis.identity.codes.store import GrantStore
from experience_apis.identity.keys import KeyRing
from experience_apis.identity.pages.authorize import authorization_pages
from experience_apis.identity.pages.desk import AccountDesk
from experience_apis.identity.pages.login import login_pages
from experience_apis.identity.pages.logout import logout_pages, with_state
from experience_apis.identity.pages.own_password import password_pages
from experience_apis.identity.pages.own_sessions import session_pages
from experience_apis.identity.pages.press import PagePress
from experience_apis.identity.people.login import LoginDesk
from experience_apis.identity.people.passwords import PasswordKeeper
from experience_apis.identity.people.records import AuditLine
from experience_apis.identity.people.seeds import enrol_people
from experience_apis.identity.people.session_store import SessionStore
from experience_apis.identity.people.sessions import SessionLimits, Sessions, Withdrawals
from experience_apis.identity.people.store import FailureStore, PeopleStore
from experience_apis.identity.people.visitors import CookieVisitors
from experience_apis.identity.records import OAuthClient
from experience_apis.identity.roles import RoleBook
from shared.persistence.database import Database


@dataclass(frozen=True, slots=True)
class ReceptionFacts:
    """What an installation decides."""

    issuer: str
    users_file: Path | None
    limits: SessionLimits
    refresh_seconds: float


class Reception:
    """Where people come in."""

    def __init__(
        self,
        facts: ReceptionFacts,
        *,
        database: Database,
        book: RoleBook,
        client: Callable[[str], Awaitable[OAuthClient | None]],
        keys: KeyRing,
        withdrawals: Withdrawals,
        audit: AuditLine,
    ) -> None:
        self._facts = facts
        self._book = book
        self._client = client
        self._keys = keys
        self.people = PeopleStore(database)
        self.keeper = PasswordKeeper()
        self.sessions = Sessions(SessionStore(database), withdrawals, audit, limits=facts.limits)
        self.visitors = CookieVisitors(self.sessions, book, is_secure=facts.issuer.startswith("https:"))
        self.desk = AccountDesk(
            people=self.people,
            logins=LoginDesk(self.people, FailureStore(database), self.keeper, audit),
            sessions=self.sessions,
            visitors=self.visitors,
            keeper=self.keeper,
            audit=audit,
            press=PagePress(),
        )

        shelf = GrantStore(database)
        self.grants = GrantDesk(shelf, withdrawals, audit, refresh_seconds=facts.refresh_seconds)
        self.authorization = AuthorizationDesk(issuer=facts.issuer, client=client, shelf=shelf, book=book, audit=audit)

    def routers(self) -> list[APIRouter]:
        """The pages."""
        return [
            login_pages(self.desk),
            session_pages(self.desk),
            password_pages(self.desk),
            logout_pages(self.desk, self._return_address),
            authorization_pages(self.desk, self.authorization),
        ]

    async def open(self) -> None:
        """Enrol the people of the users file; ValueError names what is wrong with it."""
        if self._facts.users_file is not None:
            await enrol_people(self._facts.users_file, people=self.people, keeper=self.keeper, book=self._book)

    async def _return_address(self, wish: Mapping[str, str]) -> str | None:
        address, client_id = wish.get("post_logout_redirect_uri"), wish.get("client_id")
        hint = wish.get("id_token_hint")
        if hint and address:
            named = client_of_hint(hint, await self._keys.verifying(), issuer=self._facts.issuer)
            client_id = named if client_id in {None, "", named} else None
        client = await self._client(client_id) if client_id and address else None
        if client is None or address is None or address not in client.logout_uris:
            return None
        return with_state(address, wish.get("state"))
