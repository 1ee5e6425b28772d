"""Forms that browsers post: read once, bounded, and refused when another site sent them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from shared.errors.taxonomy import MalformedRequest, NotPermitted, UnsupportedContent

FORM = "application/x-www-form-urlencoded"
_FIELDS_AT_MOST = 30


async def posted(request: Request) -> Mapping[str, str]:
    """The fields of the form.

    Raises: NotPermitted when the browser says that another site sent it; UnsupportedContent, MalformedRequest when it
    is no form, or a field is there twice.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise NotPermitted("This form was sent by another site.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedContent(f"A form is sent as {FORM}.")
    text = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST)
    except ValueError:
        raise MalformedRequest("The form has too many fields.") from None
    found = dict(fields)
    if len(found) != len(fields) or any("\x00" in value for value in found.values()):
        raise MalformedRequest("The form names a field twice or holds the character NUL.")
    return found
