"""Faults on the wire of a simulator: which calls they hit, how often, and what happens then."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    LATENCY_AFTER = "latency_after"
    STATUS = "status"
    THROTTLED = "throttled"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    SESSION_EXPIRED = "session_expired"
    EXTRA_FIELDS = "extra_fields"
    MISSING_FIELD = "missing_field"


class Fault(BaseModel):
    """One rule: `route` is a regular expression searched in `METHOD /path?query` below the vendor's own root.

    `skip` matching calls pass unharmed first, then `times` calls are hit (None: all).
    `status`/`body`/`headers` serve `status`; the vendor's own answer serves `throttled`; `seconds` serves `latency`
    (before the vendor acts) and `latency_after` (it has acted, its answer tarries);
    `field` names the JSON member `missing_field` removes at any depth.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    route: str = Field(default="", max_length=500)
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    status: int = Field(default=503, ge=300, le=599)
    body: str = ""
    headers: dict[str, str] = {}
    field: str = ""

    @field_validator("route")
    @classmethod
    def _compiles(cls, route: str) -> str:
        re.compile(route)
        return route


class FaultBook:
    """The rules in force, in the order they were added; every rule counts its own calls."""

    def __init__(self) -> None:
        """Empty: everything works."""
        self._rules: list[tuple[Fault, re.Pattern[str]]] = []
        self._seen: dict[int, int] = {}

    def add(self, fault: Fault) -> Self:
        """Put a rule in force."""
        self._rules.append((fault, re.compile(fault.route)))
        return self

    def clear(self) -> None:
        """Everything works again."""
        self._rules.clear()
        self._seen.clear()

    def rules(self) -> list[Fault]:
        """What is in force."""
        return [fault for fault, _ in self._rules]

    def struck_times(self) -> list[int]:
        """How many calls each rule has hit so far, in the order of `rules`."""
        return [
            max(0, min(self._seen.get(id(fault), 0) - fault.skip, fault.times or self._seen.get(id(fault), 0)))
            for fault, _ in self._rules
        ]

    def struck(self, call: str) -> list[Fault]:
        """The faults that hit this call; counts it."""
        hit: list[Fault] = []
        for fault, pattern in self._rules:
            if not pattern.search(call):
                continue
            seen = self._seen.get(id(fault), 0)
            self._seen[id(fault)] = seen + 1
            if seen >= fault.skip and (fault.times is None or seen < fault.skip + fault.times):
                hit.append(fault)
        return hit
