"""Change notices pushed by our user event script, and the hints they carry."""

from __future__ import annotations

from collections.abc import Sequence

from system_apis.connectors.netsuite.changes import REFERENCE_KINDS
from system_apis.connectors.netsuite.payloads import ChangeNotice
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import read_body, verified

_TRANSACTIONS: dict[str, ChangedEntity] = {"customerpayment": "payment", "invoice": "invoice"}


def open_intake(binding: Binding) -> NetSuiteIntake:
    """The intake of one tenant's account."""
    return NetSuiteIntake(binding.secret("webhook_secret"))


class NetSuiteIntake:
    """Reads deliveries signed as Standard Webhooks."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of one delivery; a record type we do not follow gives none."""
        number = verified(delivery, self._secret)
        notice = read_body(delivery.body, ChangeNotice, "change notice")
        record = notice.record_type.lower()
        if entity := _TRANSACTIONS.get(record):
            return [ChangeHint(entity, notice.id, number, notice.last_modified_date)]
        if kind := REFERENCE_KINDS.get(record):
            return [ChangeHint("reference_data", kind, number, notice.last_modified_date)]
        return []
