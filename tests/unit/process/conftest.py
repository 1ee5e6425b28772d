"""A furnished process tier on fake systems: real PostgreSQL, real durable engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from process_apis.approvals.models import Approval, ApprovalKind, ApprovalState, Decider, DecisionBody
from process_apis.approvals.routes import ApprovalDesk
from process_apis.approvals.store import Approvals
from process_apis.durable import engine
from process_apis.durable.store import as_database_trouble
from process_apis.exceptions.models import Item, ItemState
from process_apis.exceptions.routes import ExceptionDesk
from process_apis.exceptions.store import Exceptions
from process_apis.journal.store import Journal
from process_apis.quote_to_project.models import Deal, DealRequest, DealState
from process_apis.quote_to_project.store import Deals
from process_apis.quote_to_project.workflow import quote_to_project
from process_apis.rooms import Rooms, furnish
from process_apis.tenants import Tenants
from shared.canonical.opportunities import DeliveryStatus
from shared.persistence import Database, EventLog, upgrade
from tests.unit.process.fake_systems import TENANT, FakeSystems

TENANTS = Path(__file__).parents[3] / "deploy/local/tenants"
EVERYTHING = frozenset(ApprovalKind)


@dataclass
class House:
    """The tier as a test sees it."""

    rooms: Rooms
    systems: FakeSystems
    approvals: ApprovalDesk
    exceptions: ExceptionDesk
    url: str

    async def wins(self, number: str = "1", revision: int = 1) -> DealRequest:
        request = DealRequest(
            tenant=TENANT, opportunity_id=f"opp_{number}", revision=revision, won_at=datetime.now(UTC)
        )
        await engine.start(quote_to_project, request.run_id, request)
        return request

    async def deal(self, request: DealRequest) -> Deal:
        async with self.rooms.database.transaction() as conn:
            found = await Deals().find(conn, TENANT, request.run_id)
        assert found is not None
        return found

    async def reaches(self, request: DealRequest, state: DealState, seconds: float = 15) -> Deal:
        async def there() -> Deal | None:
            async with self.rooms.database.transaction() as conn:
                found = await Deals().find(conn, TENANT, request.run_id)
            return found if found is not None and found.state is state else None

        return await until(there, seconds)

    async def open_approvals(self, request: DealRequest, count: int) -> list[Approval]:
        async def there() -> list[Approval] | None:
            async with self.rooms.database.transaction() as conn:
                found = await self.rooms.approvals.of_subject(conn, TENANT, request.opportunity_id)
            still = [each for each in found if each.state is ApprovalState.OPEN and each.run_id == request.run_id]
            return still if len(still) == count else None

        return await until(there)

    async def decides(self, approval: Approval, who: str, decision: str = "approve") -> Approval:
        body = DecisionBody.model_validate({"decision": decision})
        decider = Decider(who=who, through="test", kinds=EVERYTHING)
        return await self.approvals.decide(TENANT, approval.id, body, decider)

    async def approves_all(self, request: DealRequest, count: int = 2) -> None:
        for number, approval in enumerate(await self.open_approvals(request, count)):
            await self.decides(approval, f"person-{number}")

    async def items(self, request: DealRequest, state: ItemState = ItemState.OPEN) -> list[Item]:
        async with self.rooms.database.transaction() as conn:
            found = await self.rooms.exceptions.of_subject(conn, TENANT, request.opportunity_id)
        return [each for each in found if each.state is state]

    async def retries(self, request: DealRequest) -> None:
        item = (await self.items(request))[0]
        async with self.rooms.database.transaction() as conn:
            waiting = await self.rooms.exceptions.wake_item(conn, TENANT, item.id, who="olga", because="fixed")
        await self.exceptions.wake(waiting)

    async def last_told(self, opportunity_id: str) -> DeliveryStatus:
        async def there() -> DeliveryStatus | None:
            told = self.systems.crm.told.get(opportunity_id)
            return told[-1] if told else None

        return await until(there)

    async def sentences(self, request: DealRequest) -> list[str]:
        async with self.rooms.database.transaction() as conn:
            return [line.sentence for line in await self.rooms.journal.read(conn, TENANT, request.opportunity_id)]

    async def events(self) -> list[str]:
        async with self.rooms.database.transaction() as conn:
            return [logged.event.type for logged in await self.rooms.events.list_events(conn, TENANT)]


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.03)


@pytest.fixture
async def house(postgres_url: str) -> AsyncIterator[House]:
    await asyncio.to_thread(upgrade, postgres_url, "process_apis")
    database = Database(postgres_url, pool=10)
    systems = FakeSystems()
    rooms = Rooms(
        database=database,
        systems=systems,
        tenants=Tenants.read(TENANTS),
        events=EventLog(),
        journal=Journal(),
        approvals=Approvals(),
        exceptions=Exceptions(),
    )
    furnish(rooms)
    engine.declare_transient(as_database_trouble)
    async with engine.running(engine.EngineSettings(postgres_url, executor_id="process-test")):
        yield House(
            rooms=rooms,
            systems=systems,
            approvals=ApprovalDesk(database, rooms.approvals, engine.notify),
            exceptions=ExceptionDesk(database, rooms.exceptions, engine.notify),
            url=postgres_url,
        )
    await database.aclose()
