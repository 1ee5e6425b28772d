"""Every error the platform raises, sorted by what its reader should do next.

    PlatformError
    ├── Refused        InvalidRequest 422 · NotAuthenticated 401 · NotPermitted 403 · NotFound 404 · Conflict 409
    │                  StaleVersion 412 · KeyReusedDifferently 422 · LimitExceeded 429 · TooManyAtOnce 429
    │                  RuleViolated 422 (QuoteNotWon, RateMissing, PeriodClosed, UnknownReference)
    ├── VendorTrouble  VendorUnavailable 503 · VendorThrottled 503 · VendorRejected 502 · VendorDrift 502
    │                  OutcomeUnknown 504 (DeadlineExceeded)
    ├── Overloaded     503
    ├── Misconfigured  503 (CredentialsRefused, ScopeMissing, MappingMissing)
    └── Defect         500

An error crosses a border once: vendor → connector's error table, tier → tier by problem document (`code` survives),
taxonomy → HTTP in `serving/problems`. `sentence` is for the caller; `detail` is internal and never carries a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Reaction(StrEnum):
    """What whoever meets the error should do next."""

    FIX_REQUEST = "fix_request"
    WAIT = "wait"
    RECONCILE = "reconcile"
    CALL_OPERATOR = "call_operator"
    REPORT_BUG = "report_bug"


class Effect(StrEnum):
    """What is known of the effect of the refused or broken act."""

    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldFinding:
    """One thing wrong with one field: where (JSON path such as `lines.0.amount`) and why."""

    field: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """The member of a problem document's `errors` list."""
        return {"field": self.field, "reason": self.reason}


class PlatformError(Exception):
    """Root of the tree; raise a leaf, never this."""

    code: ClassVar[str] = "defect"
    status: ClassVar[int] = 500
    reaction: ClassVar[Reaction] = Reaction.REPORT_BUG
    effect: ClassVar[Effect] = Effect.NONE
    sentence: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        findings: Sequence[FieldFinding] = (),
        detail: str | None = None,
        retry_after: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """`message` replaces the sentence for the caller; `detail` goes to the log only; `retry_after` in seconds."""
        super().__init__(message or self.sentence)
        self.message = message or self.sentence
        self.findings = tuple(findings)
        self.detail = detail
        self.retry_after = retry_after
        self.extra = dict(extra or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors survive being stored by the durable engine."""
        return (_rebuild, (type(self), self.message, self.findings, self.detail, self.retry_after, self.extra))


def _rebuild(
    kind: type[PlatformError],
    message: str,
    findings: tuple[FieldFinding, ...],
    detail: str | None,
    retry_after: float | None,
    extra: dict[str, Any],
) -> PlatformError:
    return kind(message, findings=findings, detail=detail, retry_after=retry_after, extra=extra)


class Refused(PlatformError):
    """The request itself cannot be served; asking again unchanged will not help."""

    status = 422
    code = "refused"
    reaction = Reaction.FIX_REQUEST
    sentence = "The request was refused."


class InvalidRequest(Refused):
    """A field is missing, mistyped or out of bounds."""

    code = "invalid_request"
    sentence = "The request is not valid."


class MalformedRequest(InvalidRequest):
    """The body cannot be read at all."""

    status = 400
    code = "malformed_request"
    sentence = "The request could not be read."


class NotAuthenticated(Refused):
    """No token, or one that does not count."""

    status = 401
    code = "not_authenticated"
    sentence = "A valid access token is required."


class NotPermitted(Refused):
    """Known caller, but not allowed to do this."""

    status = 403
    code = "not_permitted"
    sentence = "The caller may not do this."


class SameRequester(NotPermitted):
    """Segregation of duties: whoever asked may not approve."""

    code = "same_requester"
    sentence = "Whoever requested this may not approve it."


class SameApprover(NotPermitted):
    """Segregation of duties: one person may not give both approvals."""

    code = "same_approver"
    sentence = "One person may not give both approvals."


class NotFound(Refused):
    """There is no such thing, or the caller may not know of it."""

    status = 404
    code = "not_found"
    sentence = "There is no such resource."


class MethodNotAllowed(Refused):
    """The resource exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    sentence = "The resource does not support this method."


class Conflict(Refused):
    """The present state does not allow the act."""

    status = 409
    code = "conflict"
    sentence = "The present state of the resource does not allow this."


class AlreadyDecided(Conflict):
    """An approval or exception was decided before."""

    code = "already_decided"
    sentence = "This was decided already."


class StillRunning(Conflict):
    """The first request with this idempotency key has not ended."""

    code = "still_running"
    sentence = "A request with this Idempotency-Key is still running."


class StaleVersion(Refused):
    """If-Match names a version that is no longer the current one."""

    status = 412
    code = "stale_version"
    sentence = "The resource has changed since it was read."


class BodyTooLarge(Refused):
    """More bytes than the policy admits."""

    status = 413
    code = "body_too_large"
    sentence = "The request body is larger than allowed."


class UnsupportedContent(Refused):
    """The content type is not spoken here."""

    status = 415
    code = "unsupported_content"
    sentence = "The content type of the request is not supported."


class KeyReusedDifferently(Refused):
    """An idempotency key came again with another request."""

    code = "key_reused_differently"
    sentence = "This Idempotency-Key was used for a different request."


class LimitExceeded(Refused):
    """Too many requests in a window."""

    status = 429
    code = "limit_exceeded"
    reaction = Reaction.WAIT
    sentence = "Too many requests; wait and try again."


class TooManyAtOnce(Refused):
    """The caller has too many requests in progress; nothing was done for this one."""

    status = 429
    code = "too_many_at_once"
    reaction = Reaction.WAIT
    sentence = "Too many requests of this caller are in progress; wait until one has ended."


class VersionRetired(Refused):
    """The API version is gone; `Link` names its successor."""

    status = 410
    code = "version_retired"
    sentence = "This version of the API has been retired."


class RuleViolated(Refused):
    """A business rule stands against it."""

    code = "rule_violated"
    sentence = "A business rule does not allow this."


class QuoteNotWon(RuleViolated):
    """The opportunity is not closed won."""

    code = "quote_not_won"
    sentence = "The opportunity is not closed won."


class RateMissing(RuleViolated):
    """No rate on the card for that role and date."""

    code = "rate_missing"
    sentence = "There is no rate for this role on this date."


class PeriodClosed(RuleViolated):
    """The accounting period no longer takes postings."""

    code = "period_closed"
    sentence = "The accounting period is closed."


class UnknownReference(RuleViolated):
    """The request names something that the connected system does not hold."""

    code = "unknown_reference"
    sentence = "A value of the request names nothing that the connected system holds."


class VendorTrouble(PlatformError):
    """A connected system did not do its part."""

    status = 502
    code = "vendor_trouble"
    reaction = Reaction.WAIT
    sentence = "A connected system did not do its part."


class VendorUnavailable(VendorTrouble):
    """The system cannot be reached; surely nothing happened."""

    status = 503
    code = "vendor_unavailable"
    sentence = "A connected system is unavailable; nothing was changed there."


class CursorExpired(VendorUnavailable):
    """The system has forgotten how far a list was read; whoever reads it begins anew."""


class VendorThrottled(VendorTrouble):
    """The system (or our budget for it) asks for patience; surely nothing happened."""

    status = 503
    code = "vendor_throttled"
    sentence = "A connected system asks for patience; nothing was changed there."


class VendorRejected(VendorTrouble):
    """The system understood and said no."""

    code = "vendor_rejected"
    reaction = Reaction.FIX_REQUEST
    sentence = "A connected system rejected the request."


class VendorDrift(VendorTrouble):
    """The system answers in a shape we do not know; names vendor and field."""

    code = "vendor_drift"
    reaction = Reaction.CALL_OPERATOR
    sentence = "A connected system answered in an unexpected shape."


class OutcomeUnknown(VendorTrouble):
    """A write was sent and no readable answer came: look before trying again."""

    status = 504
    code = "outcome_unknown"
    reaction = Reaction.RECONCILE
    effect = Effect.UNKNOWN
    sentence = "A connected system did not say whether the change was made."


class DeadlineExceeded(OutcomeUnknown):
    """The time of a write ran out while it was under way."""

    code = "deadline_exceeded"
    sentence = "The time for this request ran out; whether the change was made is not known."


class TimeRanOut(DeadlineExceeded):
    """The time ran out, and surely nothing was changed: a read, or a write that was never begun."""

    reaction = Reaction.WAIT
    effect = Effect.NONE
    sentence = "The time for this request ran out; nothing was changed."


class Overloaded(PlatformError):
    """More work stands here than can be done soon; nothing was done for this request."""

    status = 503
    code = "overloaded"
    reaction = Reaction.WAIT
    sentence = "There is more to do here than can be done soon; nothing was done, try again shortly."


class Misconfigured(PlatformError):
    """Set-up is missing or wrong; an operator must act."""

    status = 503
    code = "misconfigured"
    reaction = Reaction.CALL_OPERATOR
    sentence = "The platform is not configured for this."


class CredentialsRefused(Misconfigured):
    """The vendor refuses our credentials."""

    code = "credentials_refused"
    sentence = "A connected system refuses our credentials."


class ScopeMissing(Misconfigured):
    """The vendor lets us in but not to this."""

    code = "scope_missing"
    sentence = "Our account in a connected system lacks a permission."


class MappingMissing(Misconfigured):
    """A value has no counterpart in the other system."""

    code = "mapping_missing"
    sentence = "A value has no mapping to the other system."


class Defect(PlatformError):
    """A bug of ours."""


def _leaves(kind: type[PlatformError]) -> list[type[PlatformError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _leaves(child))]


def error_named(code: str) -> type[PlatformError] | None:
    """The class whose `code` this is, or None: how a problem document of an inner tier becomes an error again."""
    return next((kind for kind in _leaves(PlatformError) if kind.code == code), None)
