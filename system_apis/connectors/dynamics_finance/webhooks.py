"""Business events, forwarded by the customer's relay, and the hints they carry."""

from __future__ import annotations

from collections.abc import Sequence

from system_apis.connectors.dynamics_finance.payloads import BusinessEvent
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import read_body, verified


def open_intake(binding: Binding) -> DynamicsFinanceIntake:
    """The intake of one tenant's environment."""
    return DynamicsFinanceIntake(binding.secret("webhook_secret"))


class DynamicsFinanceIntake:
    """Reads deliveries signed as Standard Webhooks.

    The product signs nothing itself; the relay (a flow or function at the event's endpoint) does.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of one delivery; an event that names neither invoice nor voucher gives none.

        The control number is the product's own and comes again when it delivers again.
        """
        verified(delivery, self._secret)
        event = read_body(delivery.body, BusinessEvent, "business event")
        company = event.company.lower()
        key = f"{event.event_id}:{event.control_number}"
        if event.invoice:
            return [ChangeHint("invoice", f"{company}:{event.invoice}", key, event.told_at)]
        if event.voucher:
            return [ChangeHint("payment", f"{company}:{event.voucher}", key, event.told_at)]
        return []
