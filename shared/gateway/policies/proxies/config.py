"""Schema of the proxies policy; only declared facts may enter."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class Proxies(PolicyFacts):
    """Whose word about the caller's address and scheme is believed; nobody's by default.

    A policy of its own, so that an operation with another `ip_filter` cannot forget who the proxies are.
    """

    trusted: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Networks of our own proxies.", examples=[["10.0.0.0/8", "fd00::/8"]]
    )
    header: Literal["x-forwarded-for", "forwarded"] = Field(
        default="x-forwarded-for",
        description="The one field our proxies write; the other is never looked at. `x-forwarded-for` goes together "
        "with X-Forwarded-Proto, `forwarded` (RFC 7239) carries both.",
    )
