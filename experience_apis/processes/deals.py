"""Typed client of `/quote-to-project/v1`, `/journeys/v1` and `/kpis/v1`: deals, their way, and the numbers."""

from __future__ import annotations

from experience_apis.processes.models import Deal, Journey, Kpis, ToldPage
from experience_apis.processes.wire import Caller, ProcessWire


class Deals:
    """Deals from won to active."""

    def __init__(self, wire: ProcessWire) -> None:
        """Uses the tier's connection."""
        self._wire = wire

    async def list_deals(
        self,
        caller: Caller,
        *,
        state: str | None,
        cursor: str | None,
        limit: int,
        project_id: str | None = None,
        region: str | None = None,
    ) -> ToldPage[Deal]:
        """Deals with where they stand."""
        params = {"status": state, "project_id": project_id, "region": region, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, Deal, "/quote-to-project/v1/runs", params)

    async def get_journey(self, caller: Caller, opportunity_id: str) -> Journey:
        """A deal's whole way. Raises NotFound."""
        return await self._wire.get(caller, Journey, "/journeys/v1/opportunities/{id}", id=opportunity_id)

    async def get_kpis(self, caller: Caller) -> Kpis:
        """The key figures."""
        return await self._wire.get(caller, Kpis, "/kpis/v1/kpis")
