"""Shapes what a client did into bars and rows; counts enter, coordinates leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Protocol

from shared.persistence.usage_store import Consumer, UsageOfHour

WIDTH, HEIGHT = 760, 190
_LEFT, _TOP, _BOTTOM = 46, 10, 24
_PLOT = HEIGHT - _TOP - _BOTTOM
_HOURS, _DAYS = 24, 30
_LABELS = 6


class Usage(Protocol):
    """Reads what was counted; stands at `app.state.usage`."""

    async def of_client(self, tenant: str, client_id: str, since: datetime) -> list[UsageOfHour]:
        """What one client did, oldest first."""
        ...

    async def of_api(self, api: str, version: str, since: datetime) -> list[Consumer]:
        """Who uses a version of an API, the busiest first."""
        ...


@dataclass(slots=True)
class Sum:
    """Counts of one bar or row: calls, of them refused, failed, and met by a limit."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    limited: int = 0

    @property
    def served(self) -> int:
        """What was answered as asked."""
        return max(0, self.calls - self.refused - self.failed)

    def add(self, one: UsageOfHour) -> None:
        """Count these too."""
        self.calls += one.counts.calls
        self.refused += one.counts.refused
        self.failed += one.counts.failed
        self.limited += one.counts.limited


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour or day."""

    begins_at: datetime
    label: str
    sum: Sum
    x: float
    width: float
    parts: tuple[Part, ...]
    limit_y: float | None
    is_labelled: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars with the lines behind them."""

    bars: tuple[Bar, ...]
    rules: tuple[tuple[float, int], ...]
    is_empty: bool
    total: Sum
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT


def since_of(period: str, now: datetime) -> datetime:
    """When the period of a chart begins."""
    if period == "day":
        return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS - 1)
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS - 1)


def chart(rows: Iterable[UsageOfHour], period: str, now: datetime) -> Chart:
    """The calls of the last 24 hours or 30 days, stacked by how they ended."""
    begins, step, number = since_of(period, now), timedelta(hours=1), _HOURS
    if period == "day":
        step, number = timedelta(days=1), _DAYS
    sums = [Sum() for _ in range(number)]
    total = Sum()
    for row in rows:
        at = int((row.key.hour.astimezone(UTC) - begins) / step)
        if 0 <= at < number:
            sums[at].add(row)
            total.add(row)
    most = _round_up(max((one.calls for one in sums), default=0))
    width = (WIDTH - _LEFT) / number
    every = ceil(number / _LABELS)
    bars = tuple(
        Bar(
            begins_at=begins + step * at,
            label=(begins + step * at).strftime("%H:%M" if period != "day" else "%m-%d"),
            sum=one,
            x=round(_LEFT + at * width + width * 0.14, 1),
            width=round(width * 0.72, 1),
            parts=tuple(_parts(one, most)),
            limit_y=round(_TOP + _PLOT * (1 - one.limited / most), 1) if one.limited else None,
            is_labelled=at % every == 0,
        )
        for at, one in enumerate(sums)
    )
    rules = tuple((round(_TOP + _PLOT * (1 - share), 1), int(most * share)) for share in (0.0, 0.5, 1.0))
    return Chart(bars=bars, rules=rules, is_empty=total.calls == 0, total=total)


def by_version(rows: Sequence[UsageOfHour]) -> list[tuple[str, str, Sum]]:
    """The counts per API and version, busiest first."""
    sums: dict[tuple[str, str], Sum] = {}
    for row in rows:
        sums.setdefault((row.key.api, row.key.version), Sum()).add(row)
    return [(api, version, one) for (api, version), one in sorted(sums.items(), key=lambda item: -item[1].calls)]


def _parts(one: Sum, most: int) -> Iterable[Part]:
    top = float(_TOP + _PLOT)
    for kind, number in (("ok", one.served), ("refused", one.refused), ("failed", one.failed)):
        height = _PLOT * number / most
        if height > 0:
            top -= height
            yield Part(kind, round(top, 1), round(height, 1))


def _round_up(most: int) -> int:
    """The top of the scale: 2, 4, 10, 20, 40, 100 and so on."""
    scale = 1
    while True:
        for factor in (2, 4, 10):
            if most <= factor * scale:
                return factor * scale
        scale *= 10
