"""Webhook events of a portal and the headers by which their receiver knows who sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from deploy.sandbox.hubspot.kinds import Kind
from deploy.sandbox.hubspot.sessions import App
from deploy.sandbox.kit.deliveries import Subscription

Json = dict[str, Any]
_MOST = 100
SUBSCRIBED = frozenset(
    f"{kind}.{change}"
    for kind in ("deal", "company", "object")
    for change in ("creation", "deletion", "propertyChange", "associationChange")
)
# What the vendor decodes in an address before it signs it; everything else stays as it was called.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


def signed_address(url: str) -> str:
    """The address as it enters the signature."""
    for code, sign in _DECODED.items():
        url = url.replace(code, sign).replace(code.lower(), sign)
    return url


def signature_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """The value of `X-HubSpot-Signature-v3`."""
    signed = method.encode() + signed_address(url).encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def signature_v1(secret: str, body: bytes) -> str:
    """The value of `X-HubSpot-Signature` beside it."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


@dataclass(slots=True)
class Events:
    """Collects the events of a request and posts them as one list, in no particular order.

    `target_url` is the address the app has registered, which is signed even where a proxy carries the call elsewhere.
    """

    post: Callable[[list[Any]], None]
    now: Callable[[], int]
    portal_id: int
    target_url: str = ""
    subscribed: frozenset[str] = SUBSCRIBED
    type_member: str = "subscriptionType"
    _numbers: count[int] = field(default_factory=lambda: count(3_000_001))
    _open: list[Json] = field(default_factory=list[Json])

    def dress(self, target: Subscription, number: str, body: bytes) -> Mapping[str, str]:
        """The headers of one attempt."""
        del number
        stamp = str(self.now())
        url = self.target_url or target.url
        return {
            "User-Agent": "HubSpot Connect 2.0",
            "X-HubSpot-Signature": signature_v1(target.secret, body),
            "X-HubSpot-Signature-Version": "v1",
            "X-HubSpot-Signature-v3": signature_v3(target.secret, "POST", url, body, stamp),
            "X-HubSpot-Request-Timestamp": stamp,
        }

    def note(self, kind: Kind, record_id: int, change: str, at: int, app: App, **more: Any) -> None:
        """Something happened to a record."""
        name = f"{kind.singular}.{change}"
        if name not in self.subscribed:
            return
        event: Json = {
            "eventId": next(self._numbers),
            "subscriptionId": 1_000 + sorted(self.subscribed).index(name),
            "portalId": self.portal_id,
            "appId": app.app_id,
            "occurredAt": at,
            self.type_member: name,
            "attemptNumber": 0,
            "objectId": record_id,
            "changeSource": app.source,
            "sourceId": str(app.app_id),
            **more,
        }
        if kind.is_custom:
            event["objectTypeId"] = kind.type_id
        if change == "associationChange":
            del event["objectId"]
        self._open.append(event)

    def commit(self) -> None:
        """Post what was collected; the vendor promises no order, so none is kept."""
        waiting, self._open = self._open, []
        random.Random(len(waiting)).shuffle(waiting)  # noqa: S311 - disorder, not secrecy
        for start in range(0, len(waiting), _MOST):
            self.post(waiting[start : start + _MOST])

    def reset(self) -> None:
        """Back to how a new app is subscribed."""
        self.subscribed, self.type_member, self.target_url = SUBSCRIBED, "subscriptionType", ""
        self._open.clear()

    def drop(self) -> None:
        """The request was refused: nothing happened."""
        self._open.clear()


def is_address(url: str) -> bool:
    """Whether an app could register it."""
    return urlsplit(url).scheme in {"http", "https"}
