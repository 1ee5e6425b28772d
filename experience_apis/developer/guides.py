"""The guides: Markdown of this room with facts of the platform put in; nothing is looked up per request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from experience_apis.developer.catalog import Shelf
from experience_apis.developer.prose import prose, with_anchors
from shared.errors.taxonomy import NotFound, PlatformError

GUIDES = ("authentication", "idempotency", "errors", "paging", "rate-limits", "versioning", "webhooks")
_HERE = Path(__file__).parent / "guides"
_TEXTS = Environment(  # noqa: S701 - makes Markdown of our own texts; `prose` escapes what becomes HTML
    loader=FileSystemLoader(_HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def guide_text(name: str, language: str, shelf: Shelf, address: str) -> str:
    """The Markdown of a guide.

    Raises: NotFound.
    """
    if name not in GUIDES:
        raise NotFound("There is no guide of this name.")
    template = _TEXTS.get_template(f"{name}.{language}.md")
    return template.render(address=address, plans=shelf.asked_plans, errors=error_kinds(), ending=shelf.ending)


def guide(name: str, language: str, shelf: Shelf, address: str) -> tuple[Markup, tuple[tuple[str, str], ...]]:
    """The guide as HTML, and its headings."""
    return with_anchors(prose(guide_text(name, language, shelf, address)))


def error_kinds() -> list[Mapping[str, Any]]:
    """Every problem code with its status and what to do about it, as the taxonomy has them."""
    found: dict[str, type[PlatformError]] = {}
    waiting: list[type[PlatformError]] = [PlatformError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return [
        {"code": one.code, "status": one.status, "reaction": one.reaction.value, "effect": one.effect.value}
        | {"sentence": one.sentence}
        for one in sorted(found.values(), key=lambda one: (one.status, one.code))
    ]
