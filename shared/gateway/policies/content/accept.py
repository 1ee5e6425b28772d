"""Reads the Accept field: does a caller take one of some media types (RFC 9110, 12.5.1)."""

from __future__ import annotations

_MOST_REMEMBERED = 512


class Acceptance:
    """Answers from memory for values seen before: a client sends the same one all day."""

    def __init__(self, answers: tuple[str, ...]) -> None:
        self._answers = tuple(answer.lower() for answer in answers)
        self._known: dict[bytes, bool] = {}

    def admits(self, accept: bytes) -> bool:
        """Whether the most specific range that matches one of the answers has a weight above 0."""
        known = self._known.get(accept)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            ranges = dict(_range(part) for part in accept.decode("latin-1").lower().split(","))
            known = self._known[accept] = any(_weight(answer, ranges) > 0 for answer in self._answers)
        return known


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 1.0
    return name, 1.0


def _weight(answer: str, ranges: dict[str, float]) -> float:
    for name in (answer, f"{answer.partition('/')[0]}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
