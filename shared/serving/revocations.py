"""Keeps a tier's list of revocations up to date: asks the issuer's feed in short turns; no decision is made here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import time
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from shared.errors.taxonomy import PlatformError
from shared.identity.revocations import Revocation, RevocationList, Withdrawn
from shared.outbound import ClientCredentials, Outbound, RetryPolicy, drift
from shared.serving.settings import TierSettings
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import gauge

POLL_SECONDS: Final = 2.0
FEED_PATH: Final = "/oauth/revocations"
FEED_SCOPE: Final = "revocations.read"
_PATIENCE: Final = 3.0
_PAGE: Final = 500
_log = get_logger("throughline.revocations")


class RevocationEntry(BaseModel):
    """One entry of the feed; tokens issued at or before `before` no longer count."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Annotated[Withdrawn, Field(description="What the entry takes back.", examples=["client"])]
    value: Annotated[
        str,
        Field(
            min_length=1,
            max_length=300,
            description="Token id, client id, subject, session id or key id.",
            examples=["acme-portal"],
        ),
    ]
    tenant: Annotated[str, Field(max_length=80, description="Tenant of a subject, else empty.", examples=[""])] = ""
    before: Annotated[
        float,
        Field(
            ge=0,
            le=1e11,
            description="Tokens issued up to this instant no longer count, in Unix seconds.",
            examples=[1795000000],
        ),
    ]
    until: Annotated[
        float,
        Field(ge=0, le=1e11, description="When the entry may be forgotten, in Unix seconds.", examples=[1795003600]),
    ]

    def revocation(self) -> Revocation:
        """As the list takes it."""
        return Revocation(self.kind, self.value, self.before, self.until, self.tenant)


class RevocationPage(BaseModel):
    """The entries after a place of the feed, oldest first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    items: Annotated[list[RevocationEntry], Field(max_length=1000, description="Entries, oldest first.")]
    next_cursor: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{1,18}$",
            max_length=18,
            description="Pass as `cursor` to read on; never null, for the feed has no end.",
            examples=["42"],
        ),
    ]
    has_more: Annotated[bool, Field(description="Whether to ask on at once.", examples=[False])] = False


Feed = Callable[[str], Awaitable[RevocationPage]]
"""Reads the feed after a cursor; errors are taxonomy errors."""


@dataclass
class Follower:
    """Reads the feed every few seconds into the list."""

    feed: Feed
    kept: RevocationList
    tier: str
    every: float = POLL_SECONDS
    cursor: str = "0"

    async def read_once(self) -> None:
        """Everything new since the last reading. Raises: the taxonomy's errors of the way to the issuer."""
        while True:
            page = await self.feed(self.cursor)
            self.kept.take((item.revocation() for item in page.items), now=time())
            self.cursor = page.next_cursor
            if not page.has_more:
                break
        self.kept.forget_ended(time())

    async def run(self) -> None:
        """Read until cancelled; trouble is told once per silence, and the list grows stale meanwhile."""
        entries = gauge(f"throughline_{self.tier}_revocations_entries", [], "Entries of the revocation list.")
        age = gauge(f"throughline_{self.tier}_revocations_age_seconds", [], "Since the feed was last read.")
        is_silent = False
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.read_once()
            except (PlatformError, TimeoutError) as error:
                if not is_silent:
                    _log.warning("revocations_not_read", reason=getattr(error, "message", type(error).__name__))
                is_silent = True
            else:
                is_silent = False
            entries.set(len(self.kept))
            age.set(max(0.0, time() - self.kept.confirmed_at))
            await asyncio.sleep(self.every)


@asynccontextmanager
async def following(feed: Feed | None, kept: RevocationList, tier: str) -> AsyncGenerator[None]:
    """Keep the list while the block lasts; without a feed it stays empty and never stale."""
    if feed is None:
        yield
        return
    kept.is_kept_since(time())
    task = asyncio.create_task(Follower(feed, kept, tier).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class IssuerFeed:
    """The feed over HTTP, read with the tier's own client."""

    def __init__(self, settings: TierSettings) -> None:
        issuer = settings.issuer_url.rstrip("/")
        self._outbound = Outbound(
            system="issuer-revocations",
            base_url=issuer,
            auth=ClientCredentials(
                token_url=f"{issuer}/oauth/token",
                client_id=settings.client_id,
                client_secret=settings.client_secret.get_secret_value(),
                scopes=[FEED_SCOPE],
                audience=settings.issuer_audience,
                system="issuer",
            ),
            timeout=_PATIENCE,
            retry=RetryPolicy(attempts=1, total=_PATIENCE),
        )

    async def __call__(self, cursor: str) -> RevocationPage:
        """Entries after the cursor."""
        answer = await self._outbound.read("GET", FEED_PATH, params={"cursor": cursor, "limit": str(_PAGE)})
        return drift("issuer", RevocationPage, answer.json())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()
