"""Change events that a relay of the org's event bus posts to us, read as hints; signature first, content second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from system_apis.connectors.salesforce.events import followed
from system_apis.connectors.salesforce.payloads import CLIENT_NAME
from system_apis.dialects.salesforce.capture import ChangeEvent, is_record
from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.fields import load_fields
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import read_body, verified


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
        verified(delivery, self._secret)
        event = read_body(delivery.body, _Message, "change event").data.payload
        header = event.header
        one = self._followed.get(header.entity)
        if one is None or header.is_from(CLIENT_NAME):
            return []
        refs = header.record_ids if one.speaks_of_itself else [event.value(one.parent)]
        at = header.committed_at
        return [ChangeHint(one.entity, ref, hint_key(ref, at), at) for ref in refs if is_record(ref)]


def open_intake(binding: Binding) -> SalesforceIntake:
    """The intake of a tenant. Raises Misconfigured when the webhook secret is missing."""
    return SalesforceIntake(binding)
