"""Prints the pages: templates and texts of this room, on the frame of the desk; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from experience_apis.desk.pages import page_environment, page_language
from experience_apis.wording.catalog import LANGUAGES, Wording
from shared.documents import read_yaml

_INSTANTS = {"en": "%d %b %Y, %H:%M UTC", "de": "%d.%m.%Y, %H:%M UTC"}


@cache
def page_wording(language: str) -> Wording:
    """The texts of these pages in a language."""
    text = files("experience_apis.identity.pages").joinpath(f"{language}.yaml").read_text("utf-8")
    families: Mapping[str, Mapping[str, str]] = read_yaml(text)
    return Wording(language, {f"{name}.{key}": said for name, told in families.items() for key, said in told.items()})


def wording_for(request: Request, preferred: str | None = None) -> Wording:
    """The texts in the person's own language, else the one the browser asks for."""
    return page_wording(preferred if preferred in LANGUAGES else page_language(request))


def instant(moment: datetime, language: str) -> str:
    """A moment as people write it."""
    return moment.astimezone(UTC).strftime(_INSTANTS[language])


class PagePress:
    """Makes answers of templates."""

    def __init__(self) -> None:
        self._templates = page_environment(Path(__file__).parent / "templates")

    def page(self, template: str, words: Wording, *, status: int = 200, **facts: Any) -> HTMLResponse:
        """The page in the language of `words`."""
        text = self._templates.get_template(template).render(say=words.say, language=words.language, **facts)
        headers = {"Content-Language": words.language, "Vary": "Accept-Language, Cookie"}
        return HTMLResponse(text, status_code=status, headers=headers)
