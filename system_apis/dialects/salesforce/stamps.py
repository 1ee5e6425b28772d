"""When a row last changed, as version markers and hints word it; pure, so that mappings may use it."""

from __future__ import annotations

from datetime import datetime


def stamp_of(moment: datetime) -> str:
    """The version marker of a row last changed then."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hint_key(ref: str, at: datetime) -> str:
    """What de-duplicates a hint: the record and the instant of its change."""
    return f"{ref}@{round(at.timestamp() * 1000)}"
