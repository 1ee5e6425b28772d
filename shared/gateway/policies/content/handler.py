"""Content: a body in a spoken media type and text that can be kept; looks at form, never at meaning."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from shared.errors.taxonomy import FieldFinding, MalformedRequest, UnsupportedContent
from shared.gateway.kit import Kit
from shared.gateway.policies.content.accept import Acceptance
from shared.gateway.policies.content.config import Content
from shared.gateway.problem import MEDIA_TYPE
from shared.gateway.refusals import NotAcceptable

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _nul(place: str) -> MalformedRequest:
    reason = "The character NUL is not allowed."
    return MalformedRequest(reason, findings=[FieldFinding(place, reason)])


class ContentHandler:
    """Refuses other media types, packed bodies, callers who cannot read the answer, and the character NUL."""

    def __init__(self, config: Content) -> None:
        self._types = frozenset(config.types)
        self._refuse_nul = config.refuse_nul
        self._told = ", ".join(config.types)
        self._acceptance = Acceptance((*config.answers, MEDIA_TYPE)) if config.answers else None
        self._answers = ", ".join(config.answers)

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Look at path, query and media type at once; at the body where there is one."""
        if self._refuse_nul:
            if "\0" in kit.path:
                raise _nul("path")
            if b"%00" in kit.query:
                raise _nul("query")
        if self._acceptance is not None:
            accept = kit.header(b"accept")
            if accept is not None and accept != b"*/*" and not self._acceptance.admits(accept):
                raise NotAcceptable(f"Answers come in {self._answers}; the Accept header admits none of it.")
        if kit.method in _BODILESS:
            return None
        length = kit.header(b"content-length")
        if (length is None or length == b"0") and kit.header(b"transfer-encoding") is None:
            return None
        kind = kit.header(b"content-type")
        if kind is not None and kind.partition(b";")[0].strip().lower().decode("latin-1") not in self._types:
            raise UnsupportedContent(f"The media type of the body is not spoken here; send {self._told}.")
        packed = kit.header(b"content-encoding")
        if packed is not None and packed.strip().lower() != b"identity":
            raise UnsupportedContent("Bodies are taken unpacked only; leave Content-Encoding out.")
        return self._look(kit) if self._refuse_nul else None

    async def _look(self, kit: Kit) -> None:
        body = await kit.body()
        if b"\\u0000" in body and _ESCAPED_NUL.search(body):
            raise _nul("body")
