"""The firm's people at Throughline: what they see and do through the experience APIs; no vendor's wire."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from deploy.local.failures import JobFailed
from deploy.local.installation import Installation
from deploy.local.main_job.callers import Caller

_MOST_DECISIONS = 200
_PAGE = 200
_LATER = "overloaded"  # its turn did not come; the next look finds it open still
Item = Mapping[str, Any]


class DecisionsRefused(JobFailed):
    """Some decisions were not taken; the message says which and why."""


class Desk:
    """Dan decides for delivery, Fiona for finance, Paul runs the delivery office, Olga operates."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        """Everybody has a client and a token of their own."""

        def person(client_id: str, tier: str = "experience") -> Caller:
            return Caller(
                http,
                base_url=installation.url(tier),
                token_endpoint=f"{installation.url('experience')}/oauth/token",
                client_id=client_id,
                secret=installation.secrets.clients[client_id],
            )

        self.paul, self.dan, self.fiona, self.olga = map(person, ("pmo-paul", "dan", "fiona", "olga"))
        self.operator = person("sandbox-operator", "system")

    async def deals(self) -> Sequence[Item]:
        """The board of the delivery office: every deal and where it stands."""
        return await self.paul.all("/pmo/v1/board", limit=_PAGE)

    async def knows_deals(self) -> bool:
        """Whether the delivery office's board shows any deal."""
        return bool((await self.paul.get("/pmo/v1/board", limit=1))["items"])

    async def parked(self) -> Sequence[Item]:
        """Open exception items."""
        return await self.paul.all("/pmo/v1/exceptions", status="open", limit=_PAGE)

    async def stuck_invoices(self) -> Sequence[str]:
        """What finance is told about approved invoices that are not posted, each sentence once."""
        return sorted({str(item["message"]) for item in await self.invoices("approved")})

    async def given_approvals(self) -> Sequence[Item]:
        """Approvals of deals that were given."""
        kinds = ("delivery", "finance")
        lists = [self.paul.all("/pmo/v1/approvals", status="approved", kind=kind, limit=_PAGE) for kind in kinds]
        return [item for items in await asyncio.gather(*lists) for item in items]

    async def approve_deals(self) -> int:
        """Dan and Fiona approve what waits for them; how many decisions."""
        return sum(
            await asyncio.gather(
                self._approve(self.dan, "pmo", "delivery"), self._approve(self.fiona, "finance", "finance")
            )
        )

    async def approve_invoices(self) -> int:
        """Fiona approves the invoices that wait for her; how many."""
        return await self._approve(self.fiona, "finance", "invoice")

    async def start_billing(self) -> str:
        """Olga starts a billing run over everything that is ready; its id."""
        return str((await self.olga.post("/finance/v1/billing-runs", {}))["id"])

    async def billing_run(self, run_id: str) -> Item:
        """How far a billing run is."""
        return await self.olga.get(f"/finance/v1/billing-runs/{run_id}")

    async def invoices(self, status: str | None = None) -> Sequence[Item]:
        """Invoices as finance sees them."""
        return await self.fiona.all("/finance/v1/invoices", status=status, limit=_PAGE)

    async def time_states(self) -> Sequence[Item]:
        """Time and milestones by state."""
        return (await self.fiona.get("/finance/v1/work-in-progress"))["items"]

    async def supply_alias(self, sold: str, meant: str) -> None:
        """Olga tells which product of the catalog is meant."""
        await self.olga.post("/finance/v1/remedies", {"kind": "product_alias", "subject": sold, "value": meant})

    async def poll(self) -> None:
        """Every connector is asked what changed."""
        await self.operator.post("/intake/v1/polls")

    async def customers(self) -> Sequence[Item]:
        """The CRM's customers as our ids know them."""
        return await self.operator.all("/crm/v1/customers", limit=_PAGE)

    async def unread_hints(self) -> int:
        """Changes the system tier knows of and has not read yet."""
        page = await self.operator.get("/connectors/v1/connectors")
        return sum(int(item["hints"].get("pending", 0)) for item in page["items"])

    async def _approve(self, person: Caller, audience: str, kind: str) -> int:
        waiting = await person.all(f"/{audience}/v1/approvals", status="open", kind=kind, limit=_PAGE)
        ids = [str(item["id"]) for item in waiting]
        parts = [ids[start : start + _MOST_DECISIONS] for start in range(0, len(ids), _MOST_DECISIONS)]
        return sum([await _decide(person, audience, part) for part in parts])


async def _decide(person: Caller, audience: str, ids: Sequence[str]) -> int:
    decisions = [{"approval_id": number, "decision": "approve"} for number in ids]
    results = await person.post(f"/{audience}/v1/decisions", {"decisions": decisions})
    refused = [item for item in results["items"] if item["state"] != "approved" and item["code"] != _LATER]
    if refused:
        reasons = "; ".join(f"{item['approval_id']}: {item['code']} {item['message']}" for item in refused[:5])
        raise DecisionsRefused(f"{len(refused)} of {len(ids)} decisions of {person.client_id} were refused: {reasons}")
    return int(results["decided"])
