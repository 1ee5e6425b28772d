"""Forms that browsers post to the developer site: read once, bounded, and only from the visitor's own page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import parse_qsl

from fastapi import Request

from experience_apis.desk.visitor import Visitor
from shared.errors.taxonomy import MalformedRequest, NotPermitted, UnsupportedContent

FORM = "application/x-www-form-urlencoded"
_FIELDS_AT_MOST = 120


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed in; a field may be there many times."""

    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The field without white space around it; empty when it was left out."""
        return next(iter(self.fields.get(name, ())), "").strip()

    def many(self, name: str) -> frozenset[str]:
        """Every value of the field."""
        return frozenset(self.fields.get(name, ()))

    def lines(self, name: str) -> tuple[str, ...]:
        """The field's lines that are not empty."""
        return tuple(line.strip() for line in self.one(name).splitlines() if line.strip())

    def key(self) -> str:
        """What makes a form sent twice one request."""
        return f"form-{self.one('once')[:100]}"


async def posted(request: Request, visitor: Visitor) -> Form:
    """The form.

    Raises: NotPermitted when it comes from elsewhere; UnsupportedContent, MalformedRequest when it is no form.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise NotPermitted("This form was sent by another site.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedContent(f"A form is sent as {FORM}.")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST)
    except ValueError:
        raise MalformedRequest("The form cannot be read.") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if "\x00" in value:
            raise MalformedRequest("The form holds the character NUL.")
        fields[name] = (*fields.get(name, ()), value)
    form = Form(fields)
    if not visitor.csrf or not compare_digest(form.one("csrf").encode(), visitor.csrf.encode()):
        raise NotPermitted("This form has expired; load the page again.")
    return form
