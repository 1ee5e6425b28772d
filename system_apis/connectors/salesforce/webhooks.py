"""Change events that a relay of the org's event bus posts to us, read as hints; signature first, content second."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated
from system_apis.connectors.salesforce.events import followed
from system_apis.connectors.salesforce.payloads import CLIENT_NAME
from system_apis.dialects.salesforce.capture import ChangeEvent, is_record
from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.fields import load_fields
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery

_WINDOW_SECONDS = 300
_MOST_DIGITS = 12


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore")

    payload: ChangeEvent


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: _Data


class SalesforceIntake:
    """WebhookIntake for one org."""

    def __init__(self, binding: Binding) -> None:
        self._secret = binding.secret("webhook_secret")
        fields = load_fields(Path(__file__).parent, binding.overrides)
        self._followed = {one.sobject: one for one in followed(fields)}

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of a change event; none for our own writes and for objects we do not follow.

        Lines and milestones whose event does not name their parent (GAP) are left to the feed and the poll.
        """
        self._check(delivery)
        event = _read(delivery.body)
        header = event.header
        one = self._followed.get(header.entity)
        if one is None or header.is_from(CLIENT_NAME):
            return []
        refs = header.record_ids if one.speaks_of_itself else [event.value(one.parent)]
        at = header.committed_at
        return [ChangeHint(one.entity, ref, hint_key(ref, at), at) for ref in refs if is_record(ref)]

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


def _read(body: bytes) -> ChangeEvent:
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


def open_intake(binding: Binding) -> SalesforceIntake:
    """The intake of a tenant. Raises Misconfigured when the webhook secret is missing."""
    return SalesforceIntake(binding)
