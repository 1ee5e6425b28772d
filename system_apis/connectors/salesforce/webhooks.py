"""Change events that a relay of the org's event bus posts to us, read as hints; signature first, content second."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated
from system_apis.connectors.salesforce.payloads import CLIENT_NAME
from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, WebhookDelivery

_WINDOW_SECONDS = 300
_MOST_DIGITS = 12
# Which record an event is about, and the (enriched) field that names it where it is not the row itself.
_ABOUT: dict[str, tuple[ChangedEntity, str | None]] = {
    "Opportunity": ("opportunity", None),
    "OpportunityLineItem": ("opportunity", "OpportunityId"),
    "Account": ("customer", None),
    "Contract": ("contract", None),
    "Billing_Milestone__c": ("contract", "Contract__c"),
}


class _Header(BaseModel):
    model_config = ConfigDict(extra="ignore")

    entity: str = Field(alias="entityName")
    record_ids: list[str] = Field(alias="recordIds")
    origin: str = Field(alias="changeOrigin")
    committed_ms: int = Field(alias="commitTimestamp")


class _Change(BaseModel):
    model_config = ConfigDict(extra="allow")

    header: _Header = Field(alias="ChangeEventHeader")


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore")

    payload: _Change


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: _Data


class SalesforceIntake:
    """WebhookIntake for one org."""

    def __init__(self, binding: Binding) -> None:
        self._secret = binding.secret("webhook_secret")
        self._own = f"client={CLIENT_NAME}"

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of a change event; none for our own writes and for objects we do not follow."""
        self._check(delivery)
        change = _read(delivery.body)
        header = change.header
        about = _ABOUT.get(header.entity)
        if about is None or self._own in header.origin.split(";"):
            return []
        entity, parent_field = about
        refs = header.record_ids if parent_field is None else [_parent(change, parent_field)]
        at = datetime.fromtimestamp(header.committed_ms / 1000, UTC)
        return [ChangeHint(entity, ref, hint_key(ref, at), at) for ref in refs if _is_record(ref)]

    def _check(self, delivery: WebhookDelivery) -> None:
        number = _wanted(delivery.headers, "webhook-id")
        stamp = _wanted(delivery.headers, "webhook-timestamp")
        signatures = _wanted(delivery.headers, "webhook-signature")
        if not stamp.isdigit() or len(stamp) > _MOST_DIGITS:
            raise _refused("webhook-timestamp", "is not a time")
        if abs(delivery.received_at.timestamp() - int(stamp)) > _WINDOW_SECONDS:
            raise _refused("webhook-timestamp", "is outside the replay window")
        signed = f"{number}.{stamp}.".encode() + delivery.body
        digest = base64.b64encode(hmac.new(self._secret.encode(), signed, hashlib.sha256).digest()).decode()
        if not any(hmac.compare_digest(f"v1,{digest}", offered) for offered in signatures.split()):
            raise _refused("webhook-signature", "does not fit the body")


def _refused(field: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated("The delivery is not signed as agreed.", findings=[FieldFinding(field, reason)])


def _wanted(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value or not value.isascii():
        raise _refused(name, "is missing")
    return value


def _read(body: bytes) -> _Change:
    try:
        document: Any = json.loads(body)
        return _Message.model_validate(document).data.payload
    except ValidationError as error:
        listed = error.errors(include_url=False, include_input=False)
        findings = [FieldFinding(".".join(map(str, e["loc"])) or "(body)", e["msg"]) for e in listed]
        raise InvalidRequest("The change event cannot be read.", findings=findings) from error
    except ValueError as error:
        raise InvalidRequest(
            "The change event cannot be read.", findings=[FieldFinding("(body)", "is not JSON")]
        ) from error


def _parent(change: _Change, field: str) -> str:
    """The parent an event names; blank in events without fields (GAP), which the next poll makes up for."""
    return str((change.model_extra or {}).get(field) or "")


def _is_record(ref: str) -> bool:
    """A record id, and not a wildcard such as overflow events carry."""
    return ref.isalnum()


def open_intake(binding: Binding) -> SalesforceIntake:
    """The intake of a tenant. Raises Misconfigured when the webhook secret is missing."""
    return SalesforceIntake(binding)
