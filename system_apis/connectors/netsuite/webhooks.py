"""Change notices pushed by our user event script: signature, replay window, and the hints they carry."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated
from system_apis.connectors.netsuite.changes import REFERENCE_KINDS
from system_apis.connectors.netsuite.payloads import ChangeNotice
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, WebhookDelivery

WINDOW = timedelta(minutes=5)
_TRANSACTIONS: dict[str, ChangedEntity] = {"customerpayment": "payment", "invoice": "invoice"}


def open_intake(binding: Binding) -> NetSuiteIntake:
    """The intake of one tenant's account."""
    return NetSuiteIntake(binding.secret("webhook_secret"))


class NetSuiteIntake:
    """Reads deliveries signed as Standard Webhooks: HMAC-SHA256 over id, timestamp and body."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of one delivery; a record type we do not follow gives none."""
        number = self._verified(delivery)
        notice = _notice(delivery.body)
        record = notice.record_type.lower()
        if entity := _TRANSACTIONS.get(record):
            return [ChangeHint(entity, notice.id, number, notice.last_modified_date)]
        if kind := REFERENCE_KINDS.get(record):
            return [ChangeHint("reference_data", kind, number, notice.last_modified_date)]
        return []

    def _verified(self, delivery: WebhookDelivery) -> str:
        number = _header(delivery, "webhook-id")
        stamp = _header(delivery, "webhook-timestamp")
        given = _header(delivery, "webhook-signature")
        try:
            sent_at = datetime.fromtimestamp(int(stamp), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise _unsigned("webhook-timestamp", "is not a time") from error
        if abs(delivery.received_at - sent_at) > WINDOW:
            raise _unsigned("webhook-timestamp", "is outside the replay window")
        digest = hmac.new(self._secret, f"{number}.{stamp}.".encode() + delivery.body, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(digest).decode()}".encode()
        if not any(hmac.compare_digest(expected, one.encode()) for one in given.split()):
            raise _unsigned("webhook-signature", "does not fit the body")
        return number


def _header(delivery: WebhookDelivery, name: str) -> str:
    value = delivery.headers.get(name)
    if not value:
        raise _unsigned(name, "is missing")
    return value


def _unsigned(field: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated("The delivery is not signed as agreed.", findings=[FieldFinding(field, reason)])


def _notice(body: bytes) -> ChangeNotice:
    try:
        document: Any = json.loads(body)
        return ChangeNotice.model_validate(document)
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
    except ValueError:
        findings = [FieldFinding("body", "is not JSON")]
    raise InvalidRequest("The change notice cannot be read.", findings=findings)
