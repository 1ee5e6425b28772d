"""What a system answered, and its reading into payload models; an unreadable answer is an error of our tree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift

Payload = TypeVar("Payload")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and body of an answer below 400."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    system: str = ""
    was_write: bool = False

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON, fractions as Decimal. Unreadable: VendorDrift, on a write OutcomeUnknown."""
        try:
            return json.loads(self.content, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            shown = self.text[:_SHOWN]
            if self.was_write:
                raise OutcomeUnknown(f"{self.system} answered a change unreadably.", detail=shown) from error
            raise VendorDrift(f"{self.system} answered something that is not JSON.", detail=shown) from error


class AnsweredPart(Protocol):
    """One part of a batch's answer: status, headers (names in lower case) and JSON body of its own."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers."""
        ...

    @property
    def body(self) -> Any:
        """The JSON read; None where there is none."""
        ...


Parts = Callable[[Answer], Iterable[AnsweredPart]]


@lru_cache(maxsize=2000)
def _adapter(model: type[Payload]) -> TypeAdapter[Payload]:
    return TypeAdapter(model)


def drift(vendor: str, model: type[Payload], payload: Any) -> Payload:
    """The payload as `model` (a pydantic model or any type pydantic reads).

    Raises VendorDrift that names the vendor and every field path that does not fit.
    """
    try:
        return _adapter(model).validate_python(payload)
    except ValidationError as error:
        findings = [
            FieldFinding(".".join(str(step) for step in found["loc"]) or "(whole)", found["msg"])
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        name = getattr(model, "__name__", str(model))
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(f"{vendor} answered in an unexpected shape ({name}): {listed}", findings=findings) from error
