"""Proxies: settles which address and scheme the caller used; believes declared proxies only."""

from __future__ import annotations

import re
from ipaddress import ip_address

from shared.gateway.kit import Kit
from shared.gateway.policies.ip_filter.networks import Networks
from shared.gateway.policies.proxies.config import Proxies

_PARAMETER = re.compile(r'(?:^|[;,])\s*(for|proto)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)
_MOST_HOPS = 20


class ProxiesHandler:
    """Walks the chain of addresses from the nearest to the first that is not one of our proxies."""

    def __init__(self, config: Proxies) -> None:
        self._trusted = Networks(config.trusted)
        self._is_standard = config.header == "forwarded"
        self._header = config.header.encode()

    def enter(self, kit: Kit) -> None:
        """Replace address and scheme by what a trusted proxy says of them; a stranger's word changes nothing."""
        if not self._trusted.hold(kit.address):
            return
        told = ",".join(value.decode("latin-1") for name, value in kit.scope["headers"] if name == self._header)
        if not told:
            return
        hops = _standard_hops(told) if self._is_standard else [(part.strip(), None) for part in told.split(",")]
        scheme: str | None = None
        for node, proto in reversed(hops[-_MOST_HOPS:]):
            address = bare_address(node)
            if address is None:  # "unknown", an obfuscated name or nonsense: nothing before it can be believed
                break
            kit.address = address
            scheme = proto or scheme
            if not self._trusted.hold(address):
                break
        if not self._is_standard:
            given = kit.header(b"x-forwarded-proto")
            scheme = given.rpartition(b",")[2].strip().decode("latin-1").lower() if given else None
        if scheme in {"http", "https"}:
            kit.scope["scheme"] = scheme


def bare_address(node: str) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`; None when there is none."""
    node = node.strip().strip('"')
    if node.startswith("["):
        node = node[1:].partition("]")[0]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    try:
        return str(ip_address(node))
    except ValueError:
        return None


def _standard_hops(told: str) -> list[tuple[str, str | None]]:
    hops: list[tuple[str, str | None]] = []
    for element in _elements(told):
        found = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(element)}
        hops.append((found.get("for", "unknown"), found.get("proto", "").lower() or None))
    return hops


def _elements(told: str) -> list[str]:
    """Split at commas outside of quotes."""
    return re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^",])+', told)
