"""Schema of the IP filter; only declared facts may enter."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class IpFilter(PolicyFacts):
    """Which networks are let in. `deny` is asked first; with `allow` unset everybody else may come.

    The address is the caller's own: behind proxies it is what the policy `proxies` settled.
    """

    allow: tuple[IPv4Network | IPv6Network, ...] | None = Field(
        default=None,
        description="Only these networks; unset: all.",
        examples=[["127.0.0.0/8", "10.0.0.0/8", "::1/128"]],
    )
    deny: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Never these networks.", examples=[["203.0.113.0/24"]]
    )
