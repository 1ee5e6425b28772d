"""A browser in a few lines: keeps cookies, reads forms, posts them, goes on where pages send it."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

ISSUER = "http://127.0.0.1:8103"
DONE = "https://portal.example/done"


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.forms.append({"action": found["action"], "fields": {}})
        elif tag == "input" and found.get("type") != "checkbox" and self.forms:
            self.forms[-1]["fields"][found["name"]] = found.get("value") or ""


@dataclass
class Browser:
    """One browser of one person."""

    http: httpx.AsyncClient
    page: httpx.Response | None = None
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

    async def visits(self, address: str) -> httpx.Response:
        """Opens the address and goes on while it is sent on within our origin."""
        return await self._goes_on(await self.http.get(address, headers=self._headers()))

    async def sends(self, *, form: int = 0, **fields: str) -> httpx.Response:
        """Sends a form of the page with these fields filled in."""
        assert self.page is not None
        return await self._goes_on(await self.sends_only(form=form, **fields))

    async def sends_only(self, *, form: int = 0, **fields: str) -> httpx.Response:
        """Sends a form and looks at the very answer."""
        assert self.page is not None
        reader = _Forms()
        reader.feed(self.page.text)
        found = reader.forms[form]
        body = found["fields"] | fields
        return await self.http.post(found["action"], data=body, headers=self._headers())

    async def logs_in(self, name: str = "paul", password: str = "", back_to: str = "/account/sessions") -> None:
        """At the login page."""
        if self.page is None or 'action="/login"' not in self.page.text:
            await self.visits("/login?" + urlencode({"back_to": back_to}))
        await self.sends(name=name, password=password or password_of(name))

    @property
    def landed(self) -> dict[str, str]:
        """The parameters a portal was given, once the browser has been sent there."""
        assert self.page is not None
        address = _way_on(self.page)
        assert address is not None, self.page.text
        assert address.startswith("https://portal.example/"), address
        return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}

    @property
    def text(self) -> str:
        """What the page says."""
        assert self.page is not None
        return html.unescape(re.sub(r"<[^>]+>", " ", self.page.text))

    async def _goes_on(self, answer: httpx.Response) -> httpx.Response:
        self.page = answer
        for _ in range(6):
            address = _way_on(answer)
            if address is None or not address.startswith("/"):
                break
            answer = self.page = await self.http.get(address, headers=self._headers())
        return answer

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": self.agent, "Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


def _way_on(answer: httpx.Response) -> str | None:
    if answer.status_code in {302, 303}:
        return answer.headers["location"]
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    return html.unescape(found[1]) if found else None


@dataclass
class Flow:
    """One authorization request of a portal and what comes of it."""

    client_id: str = "portal"
    redirect_uri: str = DONE
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    scope: str = "openid profile deals.read billing.read"
    extra: dict[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, str]:
        """Of the authorization request."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": "the state & more",
            "nonce": "n-0S6_WzA2Mj",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | self.extra

    @property
    def address(self) -> str:
        """Where the portal sends the browser."""
        return "/oauth/authorize?" + urlencode({name: value for name, value in self.parameters().items() if value})

    def redemption(self, code: str) -> dict[str, str]:
        """The token request's form."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }


def password_of(name: str) -> str:
    """What the users file of these tests says."""
    return f"kettle on a {name} tuesday"
