"""The order in which the policies of every request run, written once; names only."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What a part of the chain is for."""

    RECEIVE = "receive"
    VERSION = "version"
    AUTHENTICATE = "authenticate"
    AUTHORISE = "authorise"
    ADMIT = "admit"
    REMEMBER = "remember"
    ANSWER = "answer"
    DRESS = "dress"
    AFTER = "after"


ORDER: dict[Phase, tuple[str, ...]] = {
    Phase.RECEIVE: (
        "correlation",
        "proxies",
        "load_shedding",
        "ip_filter",
        "deadline",  # before the body is read: a slow one takes from the same time
        "size_limit",
        "content",
        "json_limits",
    ),
    Phase.VERSION: ("lifecycle",),
    Phase.AUTHENTICATE: ("jwt",),
    Phase.AUTHORISE: ("scopes",),
    Phase.ADMIT: ("rate_limit", "concurrency"),
    Phase.REMEMBER: ("idempotency",),
    Phase.ANSWER: ("masking",),
    Phase.DRESS: ("security_headers", "cors"),
    Phase.AFTER: ("access_log", "audit", "usage"),
}
EVERYWHERE = ("correlation", "proxies", "load_shedding", "ip_filter")
"""Policies that also hold for requests no operation is declared for."""
