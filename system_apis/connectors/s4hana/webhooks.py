"""Business events forwarded by the customer's integration flow, and the hints they carry.

Event Mesh itself shows who sends by a bearer token only; the flow between it and us signs as Standard Webhooks do.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors.taxonomy import FieldFinding, InvalidRequest
from system_apis.connectors.s4hana.payloads import EventNotice, unpadded
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import read_body, verified

_PAYMENT_KINDS = {"DZ"}


def open_intake(binding: Binding) -> S4Intake:
    """The intake of one tenant."""
    return S4Intake(binding.secret("webhook_secret"))


class S4Intake:
    """Reads deliveries signed as Standard Webhooks."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hint of one event; an event we do not follow gives none. The event's own id tells repeats apart."""
        verified(delivery, self._secret)
        return _hints(read_body(delivery.body, EventNotice, "business event"))


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
