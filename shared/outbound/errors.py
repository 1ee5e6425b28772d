"""From an answer of 400 and more to our error tree: by problem document, else by the error table, else by status."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from shared.errors.taxonomy import (
    Conflict,
    CredentialsRefused,
    CursorExpired,
    DeadlineExceeded,
    Defect,
    Effect,
    FieldFinding,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    PlatformError,
    RuleViolated,
    ScopeMissing,
    StaleVersion,
    TimeRanOut,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
    error_named,
)
from shared.telemetry.logging import without_secrets

BodyCode = Callable[[Any], "str | tuple[str | None, str | None] | None"]
SESSION_EXPIRED: Final = "session_expired"
_SHOWN: Final = 500
_MESSAGE: Final = 300

_MEANS: Final[dict[str, type[PlatformError]]] = {
    "invalid_request": InvalidRequest,
    "not_found": NotFound,
    "conflict": Conflict,
    "stale_version": StaleVersion,
    "rule_violated": RuleViolated,
    "period_closed": PeriodClosed,
    "vendor_unavailable": VendorUnavailable,
    "vendor_throttled": VendorThrottled,
    "vendor_rejected": VendorRejected,
    "cursor_expired": CursorExpired,
    SESSION_EXPIRED: CredentialsRefused,
    "credentials_refused": CredentialsRefused,
    "scope_missing": ScopeMissing,
}
_MEANT_BY_TIERS: Final[dict[str, str]] = {
    "not_authenticated": SESSION_EXPIRED,
    "limit_exceeded": "vendor_throttled",
    "too_many_at_once": "vendor_throttled",
    "overloaded": "vendor_throttled",
}
_BY_STATUS: Final[dict[int, str]] = {
    400: "vendor_rejected",
    401: SESSION_EXPIRED,
    403: "scope_missing",
    404: "not_found",
    409: "conflict",
    412: "stale_version",
    429: "vendor_throttled",
}


class ErrorRow(Protocol):
    """A row of the manifest's error table."""

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        ...

    @property
    def body_code(self) -> str | None:
        """The vendor's own code; None matches any."""
        ...

    @property
    def message_contains(self) -> str | None:
        """Words of the message, case ignored; None matches any."""
        ...

    @property
    def means(self) -> str:
        """The reaction it maps to."""
        ...

    @property
    def vouches(self) -> bool:
        """Whether the vendor thereby says that surely nothing was written."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What an error answer says: what it means, whether it vouches for no effect, the vendor's code and message."""

    means: str
    vouches: bool
    body_code: str | None = None
    message: str | None = None
    problem: PlatformError | None = None


class ErrorTable:
    """A system's error table; rows with a body code are tried first, then rows by status, each in written order."""

    def __init__(self, system: str, rows: Sequence[ErrorRow] = (), read_body_code: BodyCode | None = None) -> None:
        self._system = system
        self._rows = [row for row in rows if row.body_code] + [row for row in rows if not row.body_code]
        self._read_body_code = read_body_code

    def lists(self, status: int) -> bool:
        """Whether a row names this status: some vendors report failure below 400."""
        return any(row.status == status for row in self._rows)

    def read(self, status: int, headers: Mapping[str, str], content: bytes) -> Reading | None:
        """What the answer means; None when it is below 400 and no row matches."""
        body = _json(content)
        if headers.get("content-type", "").startswith("application/problem+json"):
            problem = problem_of(body, self._system)
            if problem is not None:
                return _reading_of(problem)
        code, message = self._code_and_message(body)
        text = message if message is not None else content.decode("utf-8", errors="replace")
        for row in self._rows:
            if (
                row.status == status
                and (row.body_code is None or row.body_code == code)
                and (row.message_contains is None or row.message_contains.lower() in text.lower())
            ):
                return Reading(row.means, row.vouches, code, message)
        if status < 400:  # noqa: PLR2004 - the border of HTTP's failures
            return None
        if status >= 500:  # noqa: PLR2004
            return Reading("vendor_unavailable", vouches=False, body_code=code, message=message)
        return Reading(_BY_STATUS.get(status, "vendor_rejected"), vouches=True, body_code=code, message=message)

    def error(
        self, reading: Reading, *, is_write: bool, retry_after: float | None = None, detail: str | None = None
    ) -> PlatformError:
        """The error of our tree that a reading stands for."""
        shown = without_secrets(detail or "")[:_SHOWN] or None
        extra: dict[str, Any] = {"system": self._system}
        if reading.body_code:
            extra["vendor_code"] = reading.body_code
        if is_write and not reading.vouches:
            return OutcomeUnknown(f"{self._system} did not say whether the change was made.", detail=shown, extra=extra)
        if reading.problem is not None:
            return _as_asked(reading.problem, is_write=is_write)
        kind = _MEANS[reading.means]
        said = ": ".join(part for part in (reading.body_code, reading.message) if part)
        said = without_secrets(said)[:_MESSAGE]
        return kind(
            f"{self._system}: {said}" if said else f"{self._system}: {kind.sentence}",
            detail=shown,
            retry_after=retry_after,
            extra=extra,
        )

    def _code_and_message(self, body: Any) -> tuple[str | None, str | None]:
        if self._read_body_code is None or body is None:
            return None, None
        try:
            found = self._read_body_code(body)
        except (LookupError, TypeError, AttributeError, ValueError):
            return None, None  # an error body of another shape than documented is still an error
        return found if isinstance(found, tuple) else (found, None)


def problem_of(body: Any, system: str) -> PlatformError | None:
    """The error that an inner tier's problem document names by `code`; None when it names none of ours."""
    if not isinstance(body, dict):
        return None
    document = cast("dict[str, Any]", body)
    kind = error_named(str(document.get("code", "")))
    if kind is None:
        return None
    kind = Defect if kind is PlatformError else kind
    reserved = {"type", "title", "status", "detail", "code", "instance", "errors", "correlation_id", "retry_after"}
    wait = document.get("retry_after")
    return kind(
        str(document.get("detail") or kind.sentence),
        findings=list(_findings(document.get("errors"))),
        detail=f"answered by {system}",
        retry_after=float(wait) if isinstance(wait, int | float) else None,
        extra={name: value for name, value in document.items() if name not in reserved},
    )


def _findings(listed: Any) -> Iterable[FieldFinding]:
    entries: list[Any] = cast("list[Any]", listed) if isinstance(listed, list) else []
    for entry in entries:
        if isinstance(entry, dict):
            finding = cast("dict[str, Any]", entry)
            yield FieldFinding(str(finding.get("field", "")), str(finding.get("reason", "")))


def _reading_of(problem: PlatformError) -> Reading:
    means = _MEANT_BY_TIERS.get(problem.code, problem.code)
    return Reading(means, vouches=problem.code != "defect", body_code=problem.code, problem=problem)


def _as_asked(problem: PlatformError, *, is_write: bool) -> PlatformError:
    """An inner tier whose time ran out has changed nothing when it was only asked to read, or says so."""
    if isinstance(problem, DeadlineExceeded) and (not is_write or problem.extra.get("effect") == Effect.NONE):
        return TimeRanOut(detail=problem.detail, extra=problem.extra)
    return problem


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
