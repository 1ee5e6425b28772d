"""Runtime expressions, such as `$inputs.x`, `$steps.s.outputs.o`, `$response.body#/a/0`; nothing is sent here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from deploy.local.journeys.arazzo import Criterion
from deploy.local.journeys.conditions import NOTHING, holds
from deploy.local.journeys.jsonpath import found

_EMBEDDED: Final = re.compile(r"\{(\$[^{}]+)\}")
BODY: Final = "$response.body"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Scope:
    """What expressions can see."""

    inputs: Mapping[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    answer: Answer | None = None

    def value(self, expression: str) -> Any:
        """What an expression stands for; NOTHING where it leads nowhere."""
        if expression.startswith("$inputs."):
            return self.inputs.get(expression.removeprefix("$inputs."), NOTHING)
        if expression.startswith("$steps."):
            step, _, output = expression.removeprefix("$steps.").partition(".outputs.")
            return self.steps.get(step, {}).get(output, NOTHING)
        return NOTHING if self.answer is None else _of_answer(self.answer, expression)

    def _or_null(self, expression: str) -> Any:
        value = self.value(expression)
        return None if value is NOTHING else value

    def filled(self, told: Any) -> Any:
        """A value with its expressions replaced: a string that is one, or has some in curly brackets; at any depth."""
        if isinstance(told, dict):
            return {name: self.filled(value) for name, value in cast("dict[str, Any]", told).items()}
        if isinstance(told, list):
            return [self.filled(value) for value in cast("list[Any]", told)]
        if not isinstance(told, str):
            return told
        if told.startswith("$"):
            return self.value(told)
        return _EMBEDDED.sub(lambda match: str(self.value(match[1])), told)

    def meets(self, criterion: Criterion) -> bool:
        """Whether a criterion holds for the answer."""
        if criterion.language == "simple":
            return holds(criterion.condition, self._or_null)
        context = self.value(criterion.context or "")
        condition = _EMBEDDED.sub(lambda match: str(self.value(match[1])), criterion.condition)
        if criterion.language == "regex":
            return context is not NOTHING and re.search(condition, str(context)) is not None
        return context is not NOTHING and bool(found(condition, context))


def _of_answer(answer: Answer, expression: str) -> Any:
    if expression == "$statusCode":
        return answer.status
    if expression.startswith("$response.header."):
        return answer.headers.get(expression.removeprefix("$response.header.").lower(), NOTHING)
    if expression == BODY or expression.startswith(f"{BODY}#"):
        return pointed(answer.body, expression.removeprefix(BODY).removeprefix("#"))
    return NOTHING


def pointed(value: Any, pointer: str) -> Any:
    """What a JSON pointer leads to."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            many = cast("list[Any]", value)
            if not key.isdecimal() or int(key) >= len(many):
                return NOTHING
            value = many[int(key)]
        elif isinstance(value, dict) and key in value:
            value = cast("dict[str, Any]", value)[key]
        else:
            return NOTHING
    return value


def expressions_in(told: Any) -> list[str]:
    """Every expression in a value, at any depth."""
    if isinstance(told, dict):
        return [one for value in cast("dict[str, Any]", told).values() for one in expressions_in(value)]
    if isinstance(told, list):
        return [one for value in cast("list[Any]", told) for one in expressions_in(value)]
    if not isinstance(told, str):
        return []
    return [told] if told.startswith("$") else _EMBEDDED.findall(told)
