"""Execution contexts that webhook steps post to us, read as hints; the key first, the window second, content third."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from shared.errors.taxonomy import FieldFinding, NotAuthenticated
from system_apis.connectors.dynamics_sales.client import is_id
from system_apis.connectors.dynamics_sales.payloads import ContextPayload, KeyValue
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, WebhookDelivery
from system_apis.ports.deliveries import WINDOW, is_same, read_body, unreadable

_HEADER = "x-throughline-key"
_CONTEXT = "execution context"
_MOMENT = re.compile(r"^/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/$")
# Which record a table's rows tell of, and the lookup in the step's images that names it where it is not the row itself.
_ABOUT: dict[str, tuple[ChangedEntity, str | None]] = {
    "account": ("customer", None),
    "opportunity": ("opportunity", None),
    "opportunityproduct": ("opportunity", "opportunityid"),
    "thl_contract": ("contract", None),
    "thl_milestone": ("contract", "thl_contractid"),
}


class DynamicsSalesIntake:
    """WebhookIntake for one environment; the vendor signs nothing, so the step sends a key that only we know."""

    def __init__(self, binding: Binding) -> None:
        self._key = binding.secret("webhook_secret")
        self._header = (binding.settings.get("webhook_header") or _HEADER).lower()
        self._own_user = (binding.settings.get("application_user_id") or "").lower()

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of a context; none for our own writes, tables we do not follow, and children without a parent."""
        given = delivery.headers.get(self._header, "")
        if not given:
            raise _refused(self._header, "is missing")
        if not is_same(self._key, given):
            raise _refused(self._header, "is not the key")
        context = read_body(delivery.body, ContextPayload, _CONTEXT)
        at = _moment(context.created_on)
        if abs(delivery.received_at - at) > WINDOW:
            raise _refused("OperationCreatedOn", "is outside the replay window")
        about = _ABOUT.get(context.table.lower())
        if about is None or (self._own_user and context.user_id.lower() == self._own_user):
            return []
        entity, lookup = about
        ref = context.row_id.lower() if lookup is None else _parent(context, lookup)
        if ref is None or not is_id(ref):
            return []
        return [
            ChangeHint(entity, ref, f"{ref}@{context.correlation_id}-{context.message.lower()}-{context.row_id}", at)
        ]


def _refused(field: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated("The delivery does not come as agreed.", findings=[FieldFinding(field, reason)])


def _moment(text: str) -> datetime:
    match = _MOMENT.match(text)
    if match is None:
        raise unreadable(_CONTEXT, "OperationCreatedOn", "is not a time")
    try:
        return datetime.fromtimestamp(int(match[1]) / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise unreadable(_CONTEXT, "OperationCreatedOn", "is not a time") from error


def _parent(context: ContextPayload, lookup: str) -> str | None:
    """The parent in the images, else among the given columns; none in a message cut down: the feed makes up for it."""
    for pairs in (context.after, context.before, context.inputs):
        for pair in pairs:
            for name, value in _attributes(pair):
                if name == lookup and (found := value.get("Id")):
                    return str(found).lower()
    return None


def _attributes(pair: KeyValue) -> Iterable[tuple[str, dict[str, Any]]]:
    held = cast("dict[str, Any]", pair.value) if isinstance(pair.value, dict) else {}
    listed: Any = held.get("Attributes")
    for one in cast("list[Any]", listed) if isinstance(listed, list) else []:
        if isinstance(one, dict):
            attribute = cast("dict[str, Any]", one)
            value = attribute.get("value")
            if isinstance(value, dict):
                yield str(attribute.get("key")), cast("dict[str, Any]", value)


def open_intake(binding: Binding) -> DynamicsSalesIntake:
    """The intake of a tenant. Raises Misconfigured when the webhooks' key is missing."""
    return DynamicsSalesIntake(binding)
