"""Who looks at a page: the person behind a browser session, for rooms that serve pages; no session is made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who has logged in; `csrf` must come back with every form the person sends."""

    session: str
    subject: str
    name: str
    tenant: str
    roles: frozenset[str]
    scopes: frozenset[str]
    customers: frozenset[str] | None = None
    language: str | None = None
    csrf: str = field(default="", repr=False)


class Visitors(Protocol):
    """Recognises visitors by the cookie their browser keeps; stands at `app.state.visitors`."""

    cookie: str

    async def find(self, cookie: str | None) -> Visitor | None:
        """The visitor of a living session."""
        ...

    def login_address(self, back_to: str) -> str:
        """Where a browser is sent to log in, and to come back to `back_to` (a path of this origin) afterwards."""
        ...
