"""Business events, forwarded by the customer's relay: signature, replay window, and the hints they carry."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated
from system_apis.connectors.dynamics_finance.payloads import BusinessEvent
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery

WINDOW: Final = timedelta(minutes=5)


def open_intake(binding: Binding) -> DynamicsFinanceIntake:
    """The intake of one tenant's environment."""
    return DynamicsFinanceIntake(binding.secret("webhook_secret"))


class DynamicsFinanceIntake:
    """Reads deliveries signed as Standard Webhooks: HMAC-SHA256 over id, timestamp and body.

    The product signs nothing itself; the relay (a flow or function at the event's endpoint) does.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of one delivery; an event that names neither invoice nor voucher gives none.

        The control number is the product's own and comes again when it delivers again.
        """
        self._verify(delivery)
        event = _event(delivery.body)
        company = event.company.lower()
        key = f"{event.event_id}:{event.control_number}"
        if event.invoice:
            return [ChangeHint("invoice", f"{company}:{event.invoice}", key, event.told_at)]
        if event.voucher:
            return [ChangeHint("payment", f"{company}:{event.voucher}", key, event.told_at)]
        return []

    def _verify(self, delivery: WebhookDelivery) -> None:
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


def _header(delivery: WebhookDelivery, name: str) -> str:
    value = delivery.headers.get(name)
    if not value:
        raise _unsigned(name, "is missing")
    return value


def _unsigned(field: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated("The delivery is not signed as agreed.", findings=[FieldFinding(field, reason)])


def _event(body: bytes) -> BusinessEvent:
    try:
        return BusinessEvent.model_validate_json(body)
    except ValidationError as error:
        findings = [
            FieldFinding(".".join(map(str, e["loc"])) or "body", e["msg"]) for e in error.errors(include_url=False)
        ]
    raise InvalidRequest("The business event cannot be read.", findings=findings)
