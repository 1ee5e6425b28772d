"""Shapes endpoints and deliveries for their owner; no decision is made here."""

from __future__ import annotations

from collections.abc import Sequence

from experience_apis.webhooks.models import (
    AttemptRow,
    DeliveryCard,
    DeliveryView,
    EndpointCard,
    SecretCard,
    WebhookTypeCard,
)
from experience_apis.webhooks.records import Attempt, Delivery, Endpoint, EndpointState, Secret
from experience_apis.webhooks.rules import WebhookType
from experience_apis.wording.catalog import Wording


def type_card(kind: WebhookType) -> WebhookTypeCard:
    """A kind of fact."""
    return WebhookTypeCard(
        name=kind.name,
        description=kind.description,
        one_of_scopes=tuple(sorted(kind.one_of)),
        members=kind.members,
    )


def endpoint_card(endpoint: Endpoint, words: Wording) -> EndpointCard:
    """An endpoint."""
    is_failing = endpoint.state is EndpointState.ACTIVE and endpoint.failing_since is not None
    return EndpointCard(
        id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        event_types=endpoint.event_types,
        state=endpoint.state,
        disabled_because=endpoint.disabled_because,
        failing_since=endpoint.failing_since,
        version=endpoint.version,
        created_at=endpoint.created_at,
        changed_at=endpoint.changed_at,
        message=words.say(f"webhook_endpoint.{'failing' if is_failing else endpoint.state.value}"),
    )


def secret_card(secret: Secret) -> SecretCard:
    """A secret."""
    return SecretCard(secret=secret.value, created_at=secret.created_at, expires_at=secret.expires_at)


def delivery_card(delivery: Delivery) -> DeliveryCard:
    """A delivery."""
    return DeliveryCard(
        id=delivery.delivery_id,
        message_id=delivery.message_id,
        type=delivery.event_type,
        state=delivery.state,
        round=delivery.round,
        attempts=delivery.attempts,
        next_at=delivery.next_at,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
    )


def delivery_view(delivery: Delivery, attempts: Sequence[Attempt]) -> DeliveryView:
    """A delivery with its attempts."""
    tried = tuple(
        AttemptRow(
            number=one.number, at=one.attempted_at, status=one.status, ms=one.ms, error=one.error, answer=one.answer
        )
        for one in attempts
    )
    return DeliveryView(**dict(delivery_card(delivery)), tried=tried)
