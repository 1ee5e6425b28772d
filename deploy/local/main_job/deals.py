"""From won deals to active projects: waits for every deal, and has approvals given by two different people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deploy.local.firm import Firm, Row
from deploy.local.main_job.desk import Desk, Item
from deploy.local.main_job.progress import Display
from deploy.local.main_job.vendors import Vendors
from deploy.local.main_job.waiting import Patience

SETTLED = frozenset({"activated", "exception"})
FIXED_BY = {
    "product_alias": "service_code_unmapped",
    "contract_status": "contract_not_approved",
    "po_number": "purchase_order_missing",
    "billing_address": "bill_to_incomplete",
    "tax_id": "tax_id_missing",
}
_QUIET = 4.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the deals stand, by the reference people know them by."""

    states: Mapping[str, str]
    findings: Mapping[str, frozenset[str]]
    ids: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, deals: Sequence[Item], parked: Sequence[Item] = ()) -> Standing:
        """From the delivery office's board and, for findings, its exceptions."""
        codes = {item["opportunity_id"]: frozenset(item["codes"]) for item in parked}
        known = [deal for deal in deals if deal["reference"]]
        return cls(
            {deal["reference"]: deal["state"] for deal in known},
            {deal["reference"]: codes.get(deal["opportunity_id"], frozenset()) for deal in known},
            {deal["reference"]: deal["opportunity_id"] for deal in known},
        )

    def count(self, state: str) -> int:
        """How many deals are in a state."""
        return sum(1 for found in self.states.values() if found == state)

    def settled(self, references: Sequence[str]) -> int:
        """How many of these deals wait for a person outside, or are done."""
        return sum(1 for reference in references if self.states.get(reference) in SETTLED)


async def settle(firm: Firm, desk: Desk, vendors: Vendors, display: Display, fixed: Sequence[Row] = ()) -> Standing:
    """Wait until every won deal is active or parked; approve what asks for it meanwhile.

    After fixes a deal counts as settled once the finding its fix removes is gone. A fix that removes nothing is seen
    by quiet: nothing unread in the house, nothing moving.
    """
    references = [row["opportunity_id"] for row in firm.won()]
    hoped = _hoped_gone(firm, fixed)
    patience = Patience("deals")
    while True:
        if not vendors.tells_by_itself:
            await desk.poll()
        standing = Standing.of(await desk.deals())
        if standing.count("awaiting_approval"):
            await desk.approve_deals()
        done = standing.settled(references)
        note = f"{standing.count('activated')} activated, {standing.count('exception')} exceptions"
        display.show("deals settled", done, len(references), note)
        if done == len(references):
            standing = Standing.of(*await asyncio.gather(desk.deals(), desk.parked()))
            stale = [
                reference
                for reference, codes in hoped.items()
                if standing.states[reference] != "activated" and codes & standing.findings[reference]
            ]
            if not stale or (patience.still_for > _QUIET and await _is_quiet(desk, vendors)):
                return standing
        told = ", ".join(f"{count} {state}" for state, count in Counter(standing.states.values()).items())
        moved = (tuple(sorted(standing.states.items())), tuple(sorted(standing.findings.items())))
        await patience.pause(hash(moved), f"{len(references)} deals won, seen: {told or 'none'}")


async def read_up(desk: Desk, display: Display) -> None:
    """Wait until the system tier has read everything it was told of."""
    patience, most = Patience("first reading"), 1
    while unread := await desk.unread_hints():
        most = max(most, unread)
        display.show("records read", most - unread, most)
        await patience.pause(unread, f"{unread} changes are unread")
    display.show("records read", most, most)


async def _is_quiet(desk: Desk, vendors: Vendors) -> bool:
    return await vendors.waiting_deliveries() == 0 and await desk.unread_hints() == 0


def _hoped_gone(firm: Firm, fixed: Sequence[Row]) -> dict[str, set[str]]:
    """Deal → finding codes that its fixes are meant to remove."""
    hoped: dict[str, set[str]] = {}
    won = {row["opportunity_id"]: row for row in firm.won()}
    sold: dict[str, set[str]] = {}
    for line in firm["crm/opportunity_lines.csv"]:
        sold.setdefault(line["product_code"], set()).add(line["opportunity_id"])
    of_contract = {row["contract_id"]: row["opportunity_id"] for row in firm["clm/contracts.csv"]}
    for fix in fixed:
        kind, subject = fix["kind"], fix["subject"]
        if kind == "product_alias":
            deals = sold.get(subject, set())
        elif kind in {"contract_status", "po_number"}:
            deals = {of_contract[subject]}
        else:
            deals = {reference for reference, row in won.items() if row["account_id"] == subject}
        for reference in deals & won.keys():
            hoped.setdefault(reference, set()).add(FIXED_BY[kind])
    return hoped
