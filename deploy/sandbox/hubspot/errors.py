"""The vendor's refusals: categories, texts and the shapes they take on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """One property value that does not fit: the vendor's inner code, the property, and why."""

    code: str
    name: str
    message: str


class HubspotError(Exception):
    """A refusal as the API words it: HTTP status, category and message; `extra` are further members of the body."""

    def __init__(self, status: int, category: str, message: str, extra: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.extra = extra or {}

    def on_the_wire(self) -> Json:
        """The body of the answer."""
        return {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid4()),
            "category": self.category,
            **self.extra,
        }

    def in_a_batch(self, ids: Sequence[str], trace: str | None = None) -> Json:
        """The error as a batch answer carries it beside its results."""
        context: dict[str, list[str]] = {"ids": list(ids)}
        if trace is not None:
            context["objectWriteTraceId"] = [trace]
        return {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "errors": [],
            "context": context,
            "links": {},
        }


def not_valid(problems: Sequence[Problem], portal_id: int) -> HubspotError:
    """Values that do not fit; the vendor packs the list as JSON into the sentence."""
    listed = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.code,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": portal_id,
        }
        for problem in problems
    ]
    return HubspotError(400, "VALIDATION_ERROR", f"Property values were not valid: {json.dumps(listed)}")


def invalid(message: str) -> HubspotError:
    """A request that cannot be understood."""
    return HubspotError(400, "VALIDATION_ERROR", message)


def not_found(message: str = "resource not found") -> HubspotError:
    """No such record, property or path."""
    return HubspotError(404, "OBJECT_NOT_FOUND", message)


def conflict(kind: str, existing: int) -> HubspotError:
    """Another record has that unique value."""
    return HubspotError(409, "CONFLICT", f"{kind} already exists. Existing ID: {existing}")


def expired(seconds: int, ended_at: str) -> HubspotError:
    """An access token after its life."""
    message = f"The OAuth token used to make this call expired {seconds} second(s) ago."
    return HubspotError(401, "EXPIRED_AUTHENTICATION", message, {"context": {"expire time": [ended_at]}})


def unknown_caller() -> HubspotError:
    """No token, or one that never was one."""
    message = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
    return HubspotError(401, "INVALID_AUTHENTICATION", message)


def scopes_missing(scopes: Sequence[str]) -> HubspotError:
    """The app was not granted what the call needs."""
    message = "This app hasn't been granted all required scopes to make this call."
    error: Json = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return HubspotError(403, "MISSING_SCOPES", message, {"errors": [error]})


def locked() -> HubspotError:
    """The vendor works on these records itself."""
    return HubspotError(423, "LOCKED", "The record is locked by another process. Try again later.")


_LIMITS = {
    "TEN_SECONDLY_ROLLING": "ten_secondly_rolling",
    "SECONDLY": "secondly",
    "DAILY": "daily",
}


def limit_reached(policy: str) -> Json:
    """The body of a 429: it names the policy, and has `errorType` where other refusals have `category`."""
    return {
        "status": "error",
        "message": f"You have reached your {_LIMITS[policy]} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid4()),
        "policyName": policy,
        "requestId": uuid4().hex,
    }
