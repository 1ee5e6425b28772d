"""The judge: reads at the vendors' own wires what exists, and how often; never asks our own tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import cast

import httpx

from deploy.local.installation import Installation
from deploy.local.main_job.vendors import Vendors
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from tests.factories.little_deals import EXPECTED, MILESTONES, WORKSTREAMS, Billed, LittleDeal

COUNTED = {
    "kantata": ("workspaces", "stories", "billing_milestones", "invoices"),
    "netsuite": ("customer", "job", "projectTask", "salesOrder", "billingSchedule", "invoice", "customerPayment"),
    "salesforce": ("Invoice_Status__c",),
}
SET_UP = Counter(
    {
        "kantata workspaces": 1,
        "kantata stories": WORKSTREAMS + MILESTONES,
        "kantata billing_milestones": MILESTONES,
        "netsuite customer": 1,
        "netsuite job": 1,
        "netsuite projectTask": WORKSTREAMS,
        "netsuite salesOrder": 1,
        "netsuite billingSchedule": 1,
    }
)
"""What one deal adds to the vendors when it is set up."""
BILLED = Counter({"kantata invoices": 2, "netsuite invoice": 2, "salesforce Invoice_Status__c": 2})
"""What one deal adds when it is billed."""
_ORDERS = (
    "SELECT t.id, t.custbody_tl_contract, t.foreigntotal FROM transaction t WHERE t.type = 'SalesOrd' ORDER BY t.id"
)


class Auditor:
    """Asks the three vendors."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        """`http` is used for all three."""
        self._vendors = Vendors(installation, http)
        self._books = cast("NetSuiteFirm", self._vendors.erps["netsuite"])
        self._sandbox = installation.url("sandbox")
        self._http = http

    async def count(self) -> Counter[str]:
        """How many records of each kind that we make exist."""
        found: Counter[str] = Counter()
        for vendor, kinds in COUNTED.items():
            answer = await self._http.get(f"{self._sandbox}/_control/{vendor}/counts")
            counts = answer.raise_for_status().json()
            found.update({f"{vendor} {kind}": int(counts.get(kind, 0)) for kind in kinds})
        return found

    async def project_id(self, deal: LittleDeal) -> str | None:
        """The deal's project as the CRM names it."""
        return (await self._vendors.crm.read_deals())[deal.reference].project_id

    async def is_billed(self, deal: LittleDeal) -> bool:
        """Whether as many invoices as expected are posted, marked and told."""
        project = await self.project_id(deal)
        invoices = {row.invoice_id for row in await self._vendors.erp_invoices() if row.project_id == project}
        marked = {row.invoice_id for row in await self._vendors.psa.read_invoices()}
        told = {row.invoice_id for row in await self._vendors.crm.read_invoice_statuses()}
        return len(invoices & marked & told) == len(EXPECTED)

    async def is_paid(self, deal: LittleDeal) -> bool:
        """Whether the CRM shows every invoice of the deal as paid."""
        statuses = [
            row for row in await self._vendors.crm.read_invoice_statuses() if row.opportunity_id == deal.reference
        ]
        return len(statuses) == len(EXPECTED) and all(row.paid == row.gross for row in statuses)

    async def _read_orders(self) -> list[dict[str, str]]:
        """Every sales order of the ERP with its sum."""
        answer = await self._books.ask(
            "POST", "/query/v1/suiteql", params={"limit": "1000"}, headers={"prefer": "transient"}, body={"q": _ORDERS}
        )
        return answer["items"]

    async def _read_schedule_sums(self) -> list[Decimal]:
        """The sum of every billing schedule of the ERP."""
        ask = self._books.ask
        listed = await ask("GET", "/record/v1/billingSchedule", params={"limit": "1000"})
        sums: list[Decimal] = []
        for item in listed["items"]:
            path = f"/record/v1/billingSchedule/{item['id']}"
            record = await ask("GET", path, params={"expandSubResources": "true"})
            amounts = (line["milestoneAmount"] for line in record["milestone"]["items"])
            sums.append(sum((Decimal(str(amount)) for amount in amounts), Decimal(0)))
        return sums

    async def assert_set_up_once(self, deals: Iterable[LittleDeal], before: Counter[str]) -> None:
        """Each deal's project, its parts, its customer, contract, schedule and CRM status stand exactly once."""
        listed = list(deals)
        wanted = Counter({kind: number * len(listed) for kind, number in SET_UP.items()})
        assert await self.count() - before == wanted
        shown = await self._vendors.crm.read_deals()
        projects = await self._vendors.psa.read_projects()
        jobs = await self._vendors.erp_projects()
        orders = await self._read_orders()
        for deal in listed:
            row = shown[deal.reference]
            assert (row.delivery_stage, bool(row.project_id)) == ("activated", True)
            mine = {ref: project for ref, project in projects.items() if project.project_id == row.project_id}
            assert list(mine) == [row.project_ref]
            project = mine[str(row.project_ref)]
            assert not project.is_archived
            assert len(project.workstreams) == len(set(project.workstreams)) == WORKSTREAMS
            assert len(project.milestones) == len(set(project.milestones)) == MILESTONES
            assert row.project_id in jobs
        contracts = Counter(order["custbody_tl_contract"] for order in orders)
        assert set(contracts.values()) == {1}
        assert {Decimal(order["foreigntotal"]) for order in orders} == {Decimal(5750)}
        assert set(await self._read_schedule_sums()) == {Decimal(750)}

    async def assert_billed_once(
        self, deals: Iterable[LittleDeal], before: Counter[str], *, is_paid: bool = False
    ) -> None:
        """Each deal's invoices, billing marks and invoice statuses stand exactly once, with the sums expected."""
        listed = list(deals)
        wanted = Counter({kind: number * len(listed) for kind, number in BILLED.items()})
        assert await self.count() - before == wanted
        shown = await self._vendors.crm.read_deals()
        posted = await self._vendors.erp_invoices()
        marks = await self._vendors.psa.read_invoices()
        statuses = await self._vendors.crm.read_invoice_statuses()
        for deal in listed:
            row = shown[deal.reference]
            mine = sorted((one for one in posted if one.project_id == row.project_id), key=lambda one: one.period)
            marked = {one.invoice_id: one for one in marks if one.workspace_id == row.project_ref}
            told = {one.invoice_id: one for one in statuses if one.opportunity_id == deal.reference}
            assert [one.invoice_id for one in mine] == sorted(told, key=lambda number: str(told[number].period))
            assert set(marked) == set(told)
            found = [
                Billed(
                    one.period,
                    one.net,
                    one.tax,
                    one.gross,
                    marked[one.invoice_id].time_entries,
                    marked[one.invoice_id].milestones,
                )
                for one in mine
            ]
            assert found == list(EXPECTED)
            for one in mine:
                status = told[one.invoice_id]
                paid = one.gross if is_paid else Decimal(0)
                assert (one.paid, status.gross, status.paid) == (paid, one.gross, paid)
                assert status.stage == ("paid" if is_paid else "posted")
