"""What a rule is and what it finds; no rule of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deploy.openapi_rules.reading import Document


class Severity(StrEnum):
    """Whether a document with the finding may be published."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """Which documents a rule reads."""

    OPENAPI = "openapi"
    ASYNCAPI = "asyncapi"


Fault = tuple[str, str]
"""Where (JSON pointer without the leading `#`) and why."""
Check = Callable[[Document], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence that holds for every document of its kind."""

    id: str
    sentence: str
    severity: Severity
    kind: Kind
    check: Check


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place where a rule does not hold."""

    file: str
    place: str
    rule: str
    reason: str
    severity: Severity

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {
            "file": self.file,
            "place": self.place,
            "rule": self.rule,
            "reason": self.reason,
            "severity": self.severity.value,
        }

    def __str__(self) -> str:
        """`system-crm.v1.yaml:/paths/… rule: reason`."""
        return f"{self.file}:{self.place} {self.rule}: {self.reason}"


class RuleSet:
    """Rules in the order they are declared; `rule(...)` above a check adds one."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def rule(
        self, name: str, sentence: str, *, severity: Severity = Severity.ERROR, kind: Kind = Kind.OPENAPI
    ) -> Callable[[Check], Check]:
        """Declare the check below as a rule."""

        def add(check: Check) -> Check:
            if any(one.id == name for one in self.rules):
                raise ValueError(f"rule {name} is declared twice")
            self.rules.append(Rule(name, sentence, severity, kind, check))
            return check

        return add

    def apply(self, file: str, content: dict[str, Any]) -> list[Finding]:
        """Everything the rules of its kind find in one document."""
        kind = Kind.ASYNCAPI if "asyncapi" in content else Kind.OPENAPI
        document = Document(content)
        return sorted(
            Finding(file, place, rule.id, reason, rule.severity)
            for rule in self.rules
            if rule.kind is kind
            for place, reason in dict.fromkeys(rule.check(document))
        )
