"""The process tier as the audiences see it: one connection, its typed clients, and how routes reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from experience_apis.processes.approvals import Approvals
from experience_apis.processes.billing import Billing
from experience_apis.processes.deals import Deals
from experience_apis.processes.exceptions import Exceptions
from experience_apis.processes.wire import ProcessWire


@dataclass(frozen=True, slots=True)
class ProcessTier:
    """Typed clients of the process tier."""

    deals: Deals
    approvals: Approvals
    exceptions: Exceptions
    billing: Billing

    @classmethod
    def over(cls, wire: ProcessWire) -> ProcessTier:
        """The clients over one connection."""
        return cls(deals=Deals(wire), approvals=Approvals(wire), exceptions=Exceptions(wire), billing=Billing(wire))


async def process_tier(request: Request) -> ProcessTier:
    """The process tier of this application (`app.state.process_tier`)."""
    tier: ProcessTier = request.app.state.process_tier
    return tier


Processes = Annotated[ProcessTier, Depends(process_tier)]
