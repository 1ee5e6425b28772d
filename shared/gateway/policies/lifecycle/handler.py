"""Lifecycle: what a version's state says to its callers; dates become headers once, at start."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from shared.errors.taxonomy import VersionRetired
from shared.gateway.kit import Headers
from shared.gateway.policies.lifecycle.config import Lifecycle, LifecycleState


def lifecycle_headers(config: Lifecycle) -> Headers:
    """Deprecation (RFC 9745), Sunset (RFC 8594) and Link as this state asks for them."""
    headers: Headers = []
    links: list[str] = []
    if config.deprecated_at is not None:
        headers.append((b"deprecation", f"@{int(config.deprecated_at.timestamp())}".encode()))
    if config.sunset_at is not None:
        headers.append((b"sunset", format_datetime(config.sunset_at.astimezone(UTC), usegmt=True).encode()))
    if config.successor is not None:
        links.append(f'<{config.successor}>; rel="successor-version"')
    if config.notice is not None:
        links += [f'<{config.notice}>; rel="{rel}"' for rel in ("deprecation", "sunset")]
    if links:
        headers.append((b"link", ", ".join(links).encode()))
    return headers


def is_retired(config: Lifecycle, now: datetime) -> bool:
    """Whether the version has stopped answering: by its state, or because its sunset has passed."""
    return config.state is LifecycleState.RETIRED or (config.sunset_at is not None and config.sunset_at <= now)


def retired(config: Lifecycle) -> VersionRetired:
    """The refusal that names the successor."""
    extra = {"successor": config.successor} if config.successor else {}
    moved = f" Use {config.successor} instead." if config.successor else ""
    return VersionRetired(f"This version of the API has been retired.{moved}", extra=extra)
