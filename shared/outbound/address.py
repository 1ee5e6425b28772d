"""Addresses of requests: path templates filled with quoted parts, and the rule that a token never leaves its host."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from shared.errors.taxonomy import VendorDrift

_SLOT = re.compile(r"\{(\w+)\}")
_DOTS = {".", ".."}


def route(template: str, **parts: object) -> str:
    """The path with each `{name}` filled by its part, quoted so that a part can never become another path."""

    def filled(slot: re.Match[str]) -> str:
        text = str(parts[slot.group(1)])
        if not text or text in _DOTS:
            raise ValueError(f"{slot.group(1)} cannot stand in a path: {text!r}")
        return quote(text, safe="")

    return _SLOT.sub(filled, template)


def within(base_url: str, path: str, system: str) -> str:
    """The full address of `path`; an absolute one (a vendor's next link) must be of the same origin.

    Raises VendorDrift otherwise: following it would hand our token to a stranger.
    """
    if "://" not in path.split("?", 1)[0]:
        return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url
    ours, theirs = urlsplit(base_url), urlsplit(path)
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise VendorDrift(f"{system} points to an address outside its own host.", detail=theirs.netloc)
    return path
