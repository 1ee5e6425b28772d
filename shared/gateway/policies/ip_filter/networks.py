"""A set of networks that is asked for every request; addresses only, no policy."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

_MOST_REMEMBERED = 4096


class Networks:
    """Answers from memory for addresses seen before; IPv4 mapped into IPv6 counts as the IPv4 it is."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def hold(self, address: str) -> bool:
        """Whether the address lies in one of them; what is no address (a Unix socket's peer) lies in none."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._look_up(address)
        return known

    def _look_up(self, address: str) -> bool:
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found.version == network.version and found in network for network in self._networks)
