"""What vendors' deliveries have in common: headers that must be there, replay window, signature, a body to be read."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotAuthenticated
from system_apis.ports.changes import WebhookDelivery
from system_apis.ports.outcomes import misfits

WINDOW: Final = timedelta(minutes=5)
"""How far the sender's clock may be from ours: a delivery heard later is a replay."""
_MOST_DIGITS: Final = 15
Model = TypeVar("Model", bound=BaseModel)


def verified(delivery: WebhookDelivery, secret: str) -> str:
    """The id of a delivery signed as Standard Webhooks: HMAC-SHA256 over id, time and body. Raises NotAuthenticated."""
    number = header(delivery, "webhook-id")
    stamp = header(delivery, "webhook-timestamp")
    given = header(delivery, "webhook-signature")
    check_time(delivery, "webhook-timestamp")
    expected = f"v1,{signature(secret, f'{number}.{stamp}.'.encode() + delivery.body)}"
    if not any(is_same(expected, one) for one in given.split()):
        raise unsigned("webhook-signature", "does not fit the body")
    return number


def signature(secret: str, signed: bytes) -> str:
    """HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def is_same(expected: str, given: str) -> bool:
    """Whether a secret text is the given one, without telling by the time it takes how much of it is right."""
    return hmac.compare_digest(expected.encode(), given.encode())


def header(delivery: WebhookDelivery, name: str) -> str:
    """A header that must be there. Raises NotAuthenticated."""
    value = delivery.headers.get(name)
    if not value:
        raise unsigned(name, "is missing")
    return value


def check_time(delivery: WebhookDelivery, name: str, *, per_second: int = 1) -> None:
    """Whether the header says, in so many parts of a second, that the delivery is new. Raises NotAuthenticated."""
    stamp = header(delivery, name)
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > _MOST_DIGITS:
        raise unsigned(name, "is not a time")
    if abs(delivery.received_at.timestamp() - int(stamp) / per_second) > WINDOW.total_seconds():
        raise unsigned(name, "is outside the replay window")


def unsigned(field: str, reason: str) -> NotAuthenticated:
    """The delivery does not show who sent it; field and reason say where that fails."""
    return NotAuthenticated("The delivery is not signed as agreed.", findings=[FieldFinding(field, reason)])


def read_body(body: bytes, model: type[Model], what: str) -> Model:
    """A body as `model`; `what` it is, in a word. Raises InvalidRequest naming every field that does not fit."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise unreadable(what, "body", "is not JSON") from error
        raise InvalidRequest(f"The {what} cannot be read.", findings=misfits(error, whole="body")) from error


def unreadable(what: str, field: str, reason: str) -> InvalidRequest:
    """The delivery comes from where it should, but cannot be read; field and reason say where that fails."""
    return InvalidRequest(f"The {what} cannot be read.", findings=[FieldFinding(field, reason)])
