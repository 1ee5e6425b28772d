"""Markdown and code as safe HTML with the site's classes; raw HTML in a text stays text."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType] - its options
from pygments.util import ClassNotFound

_FORMAT: HtmlFormatter[str] = HtmlFormatter(nowrap=True)
_TABLE = re.compile(r"(?:<p>Table: (.*?)</p>\s*)?<table>(.*?)</table>", re.DOTALL)


@lru_cache(maxsize=2048)
def coloured(code: str, language: str) -> Markup:
    """Code with its words in classes."""
    try:
        text = highlight(code, get_lexer_by_name(language), _FORMAT).rstrip("\n")
    except ClassNotFound:
        text = escape(code)
    return Markup(f'<pre class="hl" tabindex="0"><code>{text}</code></pre>')  # noqa: S704 - escaped by the highlighter


def _fence(code: str, language: str, _attributes: str) -> str:
    return f'<div class="sample" data-copy>{coloured(code, language or "text")}</div>'


_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": _fence}).enable("table")


def _table(match: re.Match[str]) -> str:
    """A table that scrolls by itself; a paragraph `Table: …` before it is its caption."""
    caption = match.group(1)
    if caption is None:
        return f'<div class="table" tabindex="0"><table>{match.group(2)}</table></div>'
    label = escape(re.sub(r"<[^>]+>", "", caption))
    head = f'<div class="table" tabindex="0" role="region" aria-label="{label}"><table><caption>{caption}</caption>'
    return f"{head}{match.group(2)}</table></div>"


@lru_cache(maxsize=8192)
def prose(text: str) -> Markup:
    """A description or a guide."""
    made = _MARKDOWN.render(text)
    made = re.sub(r"<pre><code[^>]*>(<div class=\"sample\".*?</div>)\s*</code></pre>", r"\1", made, flags=re.DOTALL)
    made = _TABLE.sub(_table, made)
    return Markup(made)  # noqa: S704 - the renderer escapes and lets no raw HTML pass


@lru_cache(maxsize=8192)
def line(text: str) -> Markup:
    """One line of a description, without a paragraph around it."""
    return Markup(_MARKDOWN.renderInline(text))  # noqa: S704 - as above


def with_anchors(html: str) -> tuple[Markup, tuple[tuple[str, str], ...]]:
    """The guide with an id at every second heading, and the list of them."""
    found: list[tuple[str, str]] = []

    def mark(match: re.Match[str]) -> str:
        words = re.sub(r"<[^>]+>", "", match.group(1))
        slug = re.sub(r"[^\w]+", "-", words.lower()).strip("-")
        found.append((slug, words))
        return f'<h2 id="{slug}">{match.group(1)}</h2>'

    return Markup(re.sub(r"<h2>(.*?)</h2>", mark, html)), tuple(found)  # noqa: S704 - made by `prose`
