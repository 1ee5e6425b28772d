"""Usage: counts each request under its client when its answer has gone out; numbers only."""

from __future__ import annotations

from time import time

from shared.gateway.kit import Kit
from shared.gateway.policies.usage.recorder import Tallies, Tally
from shared.gateway.supplies import UsageTallies

_FIRST_BAD, _LIMITED, _FIRST_FAILED = 400, 429, 500
_HOUR = 3600


class UsageHandler:
    """Adds one to the tally of (tenant, client, operation, hour)."""

    def __init__(self, recorder: UsageTallies, api: str, version: str, operation: str) -> None:
        self._recorder = recorder
        self._tallies: Tallies = recorder.tallies(api, version, operation)

    def after(self, kit: Kit) -> None:
        """Count the request; one without a token counts under no client."""
        principal = kit.principal
        hour = int(time()) // _HOUR
        who = ("", "", hour) if principal is None else (principal.tenant, principal.client_id, hour)
        tally = self._tallies.get(who)
        if tally is None:
            tally = self._new(who)
        tally.calls += 1
        status = kit.status
        if status >= _FIRST_BAD:
            if status >= _FIRST_FAILED:
                tally.failed += 1
            else:
                tally.refused += 1
                if status == _LIMITED:
                    tally.limited += 1

    def _new(self, who: tuple[str, str, int]) -> Tally:
        if not self._recorder.has_room():
            who = ("", "(others)", who[2])
            if (others := self._tallies.get(who)) is not None:
                return others
        tally = self._tallies[who] = Tally()
        return tally
