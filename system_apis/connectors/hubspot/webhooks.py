"""Events that HubSpot posts to us, read as hints; signature first, content second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel

from system_apis.connectors.hubspot.mapping import hint_key
from system_apis.fields import load_fields
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import check_time, header, is_same, read_body, unreadable, unsigned
from system_apis.ports.deliveries import signature as signature_of

_STAMP, _SIGNATURE = "x-hubspot-request-timestamp", "x-hubspot-signature-v3"
_ABOUT: dict[str, ChangedEntity] = {"deal": "opportunity", "company": "customer"}
_CIRCLES: dict[ChangedEntity, frozenset[str]] = {
    "opportunity": frozenset({"line_item", "company"}),
    "customer": frozenset({"company"}),
}
# What the vendor decodes in an address before it signs it; all else stays as it is called.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


class _Event(BaseModel):
    """One event; the newer pages call its type `eventType`."""

    model_config = ConfigDict(extra="ignore")

    kind: str = Field(validation_alias=AliasChoices("subscriptionType", "eventType"))
    occurred_ms: int = Field(alias="occurredAt", ge=0, le=253_402_300_799_000)
    object_id: int | None = Field(default=None, alias="objectId")
    object_type: str | None = Field(default=None, alias="objectTypeId")
    property_name: str | None = Field(default=None, alias="propertyName")
    association: str = Field(default="", alias="associationType")
    from_id: int | None = Field(default=None, alias="fromObjectId")
    to_id: int | None = Field(default=None, alias="toObjectId")
    primary_id: int | None = Field(default=None, alias="primaryObjectId")
    merged_ids: list[int] = Field(default=[], alias="mergedObjectIds")
    new_id: int | None = Field(default=None, alias="newObjectId")


class _Events(RootModel[Annotated[list[_Event], Field(min_length=1, max_length=1000)]]):
    """What is posted at once."""


def signed_address(url: str) -> str:
    """The address as it enters the signature."""
    for code, sign in _DECODED.items():
        url = url.replace(code, sign).replace(code.lower(), sign)
    return url


def signature(secret: str, url: str, body: bytes, timestamp: str) -> str:
    """The v3 signature of a POST to an address."""
    return signature_of(secret, f"POST{signed_address(url)}".encode() + body + timestamp.encode())


class HubspotIntake:
    """WebhookIntake for one portal."""

    def __init__(self, binding: Binding) -> None:
        self._secret = binding.secret("webhook_secret")
        self._url = binding.setting("webhook_url")
        self._contract_type = binding.settings.get("contract_type_id")
        fields = load_fields(Path(__file__).parent, binding.overrides)["opportunity"]
        self._ours = {place.path for place in fields.places.values() if place.written}

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of a list of events; none for what we write ourselves and for objects we do not follow."""
        self._check(delivery)
        hints: dict[str, ChangeHint] = {}
        for event in read_body(delivery.body, _Events, "events").root:
            at = datetime.fromtimestamp(event.occurred_ms / 1000, UTC)
            for entity, ref in self._records(event):
                key = hint_key(entity, ref, at)
                hints[key] = ChangeHint(entity, ref, key, at)
        return list(hints.values())

    def _records(self, event: _Event) -> list[tuple[ChangedEntity, str]]:
        kind, _, change = event.kind.partition(".")
        entity = _ABOUT.get(kind)
        if kind == "object" and event.object_type and event.object_type == self._contract_type:
            entity = "contract"
        if change == "associationChange":
            return _linked(kind, event)
        if entity is None or event.property_name in self._ours:
            return []
        if change == "merge":
            ids = [event.primary_id, event.new_id, *event.merged_ids, event.object_id]
        elif event.object_id is None:
            raise unreadable("events", "objectId", "is missing")
        else:
            ids = [event.object_id]
        return [(entity, str(one)) for one in dict.fromkeys(ids) if one is not None]

    def _check(self, delivery: WebhookDelivery) -> None:
        stamp, offered = header(delivery, _STAMP), header(delivery, _SIGNATURE)
        check_time(delivery, _STAMP, per_second=1000)
        if not is_same(signature(self._secret, self._url, delivery.body, stamp), offered):
            raise unsigned(_SIGNATURE, "does not fit method, address, body and time")


def _linked(kind: str, event: _Event) -> list[tuple[ChangedEntity, str]]:
    """The deal whose lines or buyer, or the company whose hierarchy has changed; other associations say nothing."""
    entity = _ABOUT.get(kind)
    source, _, target = event.association.lower().partition("_to_")
    if entity is None or (event.association and _CIRCLES[entity].isdisjoint({source, target} - {kind} or {kind})):
        return []
    ref = event.to_id if source and source != kind else event.from_id
    return [] if ref is None else [(entity, str(ref))]


def open_intake(binding: Binding) -> HubspotIntake:
    """The intake of a tenant. Raises Misconfigured when the webhooks' secret or address is missing."""
    return HubspotIntake(binding)
