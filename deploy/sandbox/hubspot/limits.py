"""Limits: requests in ten seconds, searches in a second, requests in a day; what headers tell of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_TEN_SECONDS, _SECOND, _DAY = 10_000, 1000, 86_400_000


@dataclass(slots=True)
class Limits:
    """What was asked lately. A limit of None is told but not enforced."""

    ten_seconds: int | None = None
    searches: int | None = None
    daily: int | None = None
    shows_daily: bool = True
    used_today: int = 0
    today: int = 0
    refused: int = 0
    _recent: deque[int] = field(default_factory=deque[int])
    _searched: deque[int] = field(default_factory=deque[int])

    def refuse(self, now: int, *, is_search: bool) -> str | None:
        """The policy that stands against one more request; counts it otherwise."""
        self._roll(now)
        policy = self._exhausted(is_search=is_search)
        if policy:
            self.refused += 1
            return policy
        self.used_today += 1
        (self._searched if is_search else self._recent).append(now)
        return None

    def headers(self, *, is_search: bool) -> dict[str, str]:
        """What an answer tells; nothing on searches."""
        if is_search:
            return {}
        most = self.ten_seconds or 190
        told = {
            "X-HubSpot-RateLimit-Max": str(most),
            "X-HubSpot-RateLimit-Remaining": str(max(0, most - len(self._recent))),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(_TEN_SECONDS),
        }
        if self.shows_daily:
            daily = self.daily or 650_000
            told["X-HubSpot-RateLimit-Daily"] = str(daily)
            told["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(0, daily - self.used_today))
        return told

    def _exhausted(self, *, is_search: bool) -> str | None:
        if self.daily is not None and self.used_today >= self.daily:
            return "DAILY"
        if is_search:
            return "SECONDLY" if self.searches is not None and len(self._searched) >= self.searches else None
        is_full = self.ten_seconds is not None and len(self._recent) >= self.ten_seconds
        return "TEN_SECONDLY_ROLLING" if is_full else None

    def _roll(self, now: int) -> None:
        while self._recent and self._recent[0] <= now - _TEN_SECONDS:
            self._recent.popleft()
        while self._searched and self._searched[0] <= now - _SECOND:
            self._searched.popleft()
        if now // _DAY != self.today:
            self.today, self.used_today = now // _DAY, 0
