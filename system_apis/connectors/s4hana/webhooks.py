"""Business events forwarded by the customer's integration flow: signature, replay window, and the hints they carry.

Event Mesh itself shows who sends by a bearer token only; the flow between it and us signs as Standard Webhooks do.
"""

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
from system_apis.connectors.s4hana.payloads import EventNotice, unpadded
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery

WINDOW = timedelta(minutes=5)
_PAYMENT_KINDS = {"DZ"}


def open_intake(binding: Binding) -> S4Intake:
    """The intake of one tenant."""
    return S4Intake(binding.secret("webhook_secret"))


class S4Intake:
    """Reads deliveries signed as Standard Webhooks: HMAC-SHA256 over id, timestamp and body."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hint of one event; an event we do not follow gives none. The event's own id tells repeats apart."""
        self._verified(delivery)
        return _hints(_notice(delivery.body))

    def _verified(self, delivery: WebhookDelivery) -> None:
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


def _hints(notice: EventNotice) -> Sequence[ChangeHint]:
    kind = notice.type.removeprefix("sap.s4.beh.").split(".", 1)[0]
    data = notice.data
    if kind == "billingdocument":
        ref = unpadded(_key(data, "BillingDocument"))
        return [ChangeHint("invoice", ref, notice.id, notice.time)]
    if kind == "journalentry":
        if data.get("AccountingDocumentType") not in _PAYMENT_KINDS:
            return []
        parts = (_key(data, "CompanyCode"), _key(data, "FiscalYear"), unpadded(_key(data, "AccountingDocument")))
        return [ChangeHint("payment", "-".join(parts), notice.id, notice.time)]
    if kind == "product":
        return [ChangeHint("reference_data", "service_item", notice.id, notice.time)]
    return []


def _key(data: dict[str, str], name: str) -> str:
    value = data.get(name)
    if not value:
        findings = [FieldFinding(f"data.{name}", "is missing")]
        raise InvalidRequest("The business event names no record.", findings=findings)
    return value


def _header(delivery: WebhookDelivery, name: str) -> str:
    value = delivery.headers.get(name)
    if not value:
        raise _unsigned(name, "is missing")
    return value


def _unsigned(field: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated("The delivery is not signed as agreed.", findings=[FieldFinding(field, reason)])


def _notice(body: bytes) -> EventNotice:
    try:
        document: Any = json.loads(body)
        return EventNotice.model_validate(document)
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
    except ValueError:
        findings = [FieldFinding("body", "is not JSON")]
    raise InvalidRequest("The business event cannot be read.", findings=findings)
