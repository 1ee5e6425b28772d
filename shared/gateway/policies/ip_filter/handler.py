"""IP filter: is this network let in; looks at the address only."""

from __future__ import annotations

from shared.gateway.kit import Kit
from shared.gateway.policies.ip_filter.config import IpFilter
from shared.gateway.policies.ip_filter.networks import Networks
from shared.gateway.refusals import AddressNotPermitted


class IpFilterHandler:
    """Asks `deny` first, then `allow`; every address is looked up once and remembered."""

    def __init__(self, config: IpFilter) -> None:
        self._deny = Networks(config.deny) if config.deny else None
        self._allow = None if config.allow is None else Networks(config.allow)

    def enter(self, kit: Kit) -> None:
        """Refuse an address that is denied, or not among those allowed."""
        address = kit.address
        if (self._deny is not None and self._deny.hold(address)) or (
            self._allow is not None and not self._allow.hold(address)
        ):
            raise AddressNotPermitted(detail=f"address {address}")
