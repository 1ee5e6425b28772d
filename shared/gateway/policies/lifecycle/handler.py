"""Lifecycle: what a version's state says to its callers; dates become headers once, at start."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from shared.errors.taxonomy import VersionRetired
from shared.gateway.kit import Headers
from shared.gateway.policies.lifecycle.config import Lifecycle, LifecycleState

CATALOG_PATH = "/.well-known/api-catalog"
_CATALOG = f'<{CATALOG_PATH}>; rel="api-catalog"'


def lifecycle_headers(config: Lifecycle) -> Headers:
    """Deprecation (RFC 9745), Sunset (RFC 8594) and Link as this state asks for them.

    Whoever has to move on is told where to, why, and where to find everything else (api-catalog, RFC 9727).
    """
    headers: Headers = []
    links: list[str] = []
    if config.deprecated_at is not None:
        headers.append((b"deprecation", f"@{int(config.deprecated_at.timestamp())}".encode()))
    if config.sunset_at is not None:
        headers.append((b"sunset", format_datetime(config.sunset_at.astimezone(UTC), usegmt=True).encode()))
    if config.successor is not None:
        links.append(f'<{config.successor}>; rel="successor-version"')
    if config.notice is not None:
        page = f'<{config.notice}>; rel="{{}}"; type="text/html"'
        links += [page.format(rel) for rel in notices(config)]
    if headers or links:
        links.append(_CATALOG)
        headers.append((b"link", ", ".join(links).encode()))
    return headers


def catalog_link() -> Headers:
    """Where whoever asks for something unknown finds what there is."""
    return [(b"link", _CATALOG.encode())]


def notices(config: Lifecycle) -> list[str]:
    """What the page that explains the move is to the version: its `deprecation`, its `sunset`, both or neither."""
    is_ending = config.sunset_at is not None or config.state is LifecycleState.RETIRED
    is_deprecated = config.deprecated_at is not None or config.state is LifecycleState.RETIRED
    return [rel for rel, holds in (("deprecation", is_deprecated), ("sunset", is_ending)) if holds]


def is_retired(config: Lifecycle, now: datetime) -> bool:
    """Whether the version has stopped answering: by its state, or because its sunset has passed."""
    return config.state is LifecycleState.RETIRED or (config.sunset_at is not None and config.sunset_at <= now)


def retired(config: Lifecycle) -> VersionRetired:
    """The refusal that names the successor."""
    extra = {"successor": config.successor} if config.successor else {}
    moved = f" Use {config.successor} instead." if config.successor else ""
    return VersionRetired(f"This version of the API has been retired.{moved}", extra=extra)


def state_at(config: Lifecycle, now: datetime) -> LifecycleState:
    """How far the version is at that instant: a sunset that has passed has retired it, a deprecation deprecated it."""
    if is_retired(config, now):
        return LifecycleState.RETIRED
    if config.state is LifecycleState.ACTIVE and config.deprecated_at is not None and config.deprecated_at <= now:
        return LifecycleState.DEPRECATED
    return config.state
