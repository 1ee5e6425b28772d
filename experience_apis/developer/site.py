"""Renders the pages of the developer site and keeps what everybody sees alike; no page's content is decided here."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, cast

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment

from experience_apis.desk.pages import page_environment, page_language, remember_language
from experience_apis.desk.visitor import Visitor, Visitors
from experience_apis.developer.catalog import Library, Shelf
from experience_apis.developer.prose import coloured, line, prose
from experience_apis.wording.catalog import LANGUAGES, Wording
from shared.documents import read_yaml
from shared.errors.taxonomy import NotAuthenticated, NotFound, NotPermitted, PlatformError
from shared.gateway.problem import problem_answer

_HERE = Path(__file__).parent
_KEPT_PAGES = 512
_KEPT_SECONDS = 300.0
_WHO = "<!--who-->"
Facts = Mapping[str, Any]


@dataclass(slots=True)
class _Kept:
    shelf: Shelf
    until: float
    text: str = field(repr=False)
    whole: tuple[str, bytes, bytes] | None = field(default=None, repr=False)


class Site:
    """The site: its templates, its words in every language, and the pages kept."""

    def __init__(self, library: Library, *, address: str) -> None:
        """`address` is where callers reach this tier, for samples that can be run as they stand."""
        self.library = library
        self.address = address
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self.words = {language: site_wording(language) for language in LANGUAGES}
        self._environment = _environment()

    @property
    def shelf(self) -> Shelf:
        """What is to be shown now."""
        return self.library.shelf()

    async def public(self, request: Request, template: str, facts: Callable[[Wording], Facts]) -> Response:
        """A page that everybody may see; rendered once per language and kept while its sources stay the same."""
        language = page_language(request)
        kept = self._page(request.url.path, language, template, facts)
        visitor = await visitor_of(request)
        headers = {"Content-Language": language, "Vary": "Cookie, Accept-Language, Accept-Encoding"}
        if visitor is not None:
            body = kept.text.replace(_WHO, self._who(visitor, request, language), 1).encode()
            response = Response(body, media_type="text/html", headers={**headers, "Cache-Control": "no-store"})
        else:
            response = self._anonymous(request, kept, language, headers)
        remember_language(request, response)
        return response

    async def private(
        self, request: Request, template: str, visitor: Visitor | None, facts: Facts, *, status: int = 200
    ) -> Response:
        """A page of one visitor or one search; never kept anywhere."""
        language = page_language(request)
        text = self._render(template, language, request.url.path, facts, visitor)
        body = text.replace(_WHO, self._who(visitor, request, language), 1)
        headers = {"Content-Language": language, "Cache-Control": "no-store"}
        response = Response(body, status_code=status, media_type="text/html", headers=headers)
        remember_language(request, response)
        return response

    async def refusal(self, request: Request, error: PlatformError) -> Response:
        """An error as a page; the status and headers are those the error has for programs."""
        if isinstance(error, NotAuthenticated) and (visitors := visitors_of(request)) is not None:
            return RedirectResponse(visitors.login_address(request.url.path), status_code=303)
        visitor = await visitor_of(request)
        page = await self.private(request, "error.html", visitor, {"error": error, "section": ""}, status=error.status)
        for name, value in problem_answer(error, instance=request.url.path, correlation_id="")[1]:
            if name == b"retry-after":
                page.headers["Retry-After"] = value.decode()
        return page

    def _page(self, path: str, language: str, template: str, facts: Callable[[Wording], Facts]) -> _Kept:
        shelf, now = self.shelf, monotonic()
        kept = self._kept.get((path, language))
        if kept is None or kept.shelf is not shelf or kept.until < now:
            words = self.words[language]
            text = self._render(template, language, path, facts(words), None)
            kept = self._kept[path, language] = _Kept(shelf, now + _KEPT_SECONDS, text)
            while len(self._kept) > _KEPT_PAGES:
                self._kept.popitem(last=False)
        self._kept.move_to_end((path, language))
        return kept

    def _anonymous(self, request: Request, kept: _Kept, language: str, headers: dict[str, str]) -> Response:
        if kept.whole is None:
            body = kept.text.replace(_WHO, self._who(None, request, language), 1).encode()
            tag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
            kept.whole = (tag, body, gzip.compress(body, 5, mtime=0))
        tag, body, packed = kept.whole
        headers |= {"ETag": tag, "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type="text/html", headers={**headers, "Content-Encoding": "gzip"})
        return Response(body, media_type="text/html", headers=headers)

    def _who(self, visitor: Visitor | None, request: Request, language: str) -> str:
        visitors = visitors_of(request)
        login = visitors.login_address(request.url.path) if visitors is not None else None
        template = self._environment.get_template("who.html")
        say = self.words[language].say
        return template.render(visitor=visitor, login=login, say=say, path=request.url.path, language=language)

    def _render(self, template: str, language: str, path: str, facts: Facts, visitor: Visitor | None) -> str:
        words = self.words[language]
        given: dict[str, Any] = {
            "language": language,
            "languages": LANGUAGES,
            "say": words.say,
            "count": words.count,
            "path": path,
            "address": self.address,
            "visitor": visitor,
            **facts,
        }
        return self._environment.get_template(template).render(given)


def site_wording(language: str) -> Wording:
    """The sentences of the site in a language."""
    families: Mapping[str, Mapping[str, str]] = read_yaml((_HERE / "wording" / f"{language}.yaml").read_text("utf-8"))
    sentences = {f"{family}.{key}": said for family, one in families.items() for key, said in one.items()}
    return Wording(language, sentences)


def _environment() -> Environment:
    environment = page_environment(_HERE / "templates")
    environment.filters.update(prose=prose, line=line, coloured=coloured)
    return environment


def visitors_of(request: Request) -> Visitors | None:
    """The room that recognises visitors."""
    return cast("Visitors | None", getattr(request.app.state, "visitors", None))


async def visitor_of(request: Request) -> Visitor | None:
    """Who looks at the page, if they have logged in."""
    visitors = visitors_of(request)
    cookie = request.cookies.get(visitors.cookie) if visitors is not None else None
    return await visitors.find(cookie) if visitors is not None and cookie else None


async def known_visitor(request: Request, scope: str | None = None) -> Visitor:
    """The visitor, who must have logged in and may hold the scope.

    Raises: NotAuthenticated, which becomes the way to the login page; NotPermitted.
    """
    visitor = await visitor_of(request)
    if visitor is None:
        if visitors_of(request) is None:
            raise NotFound
        raise NotAuthenticated
    if scope is not None and scope not in visitor.scopes:
        raise NotPermitted(f"This page needs the permission {scope}.")
    if scope is not None and visitor.customers is not None:
        raise NotPermitted("This page is not for people who are bound to certain customers.")
    return visitor


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def page_route(site: Site) -> type[APIRoute]:
    """Routes whose refusals are pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await inner(request)
                except PlatformError as error:
                    return await site.refusal(request, error)

            return handle

    return PageRoute
