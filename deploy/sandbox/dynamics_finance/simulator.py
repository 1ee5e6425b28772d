"""The Dynamics 365 Finance simulator put together: environment, door, desk, the faulty wire, business events."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from deploy.sandbox.dynamics_finance.address import Desk
from deploy.sandbox.dynamics_finance.entities import Entities
from deploy.sandbox.dynamics_finance.jobs import Jobs
from deploy.sandbox.dynamics_finance.posting import Posting
from deploy.sandbox.dynamics_finance.rules import Rules, Ways
from deploy.sandbox.dynamics_finance.state import Environment
from deploy.sandbox.dynamics_finance.switches import Switches
from deploy.sandbox.dynamics_finance.tokens import Application, Door
from deploy.sandbox.dynamics_finance.values import Row, instant
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries
from deploy.sandbox.kit.wire import Wire

TENANT: Final = "6f1c0b52-0000-4000-8000-000000000365"
_FIRST_CONTROL: Final = 5637144576
_GAP: Final = 3


def simulator(
    *,
    applications: Mapping[str, Application],
    tenant: str = TENANT,
    retry_after: int | None = 1,
    clock: Callable[[], datetime] | None = None,
    standing_tokens: Mapping[str, str] | None = None,
) -> Simulator:
    """An empty environment that these applications of the directory may enter."""
    deliveries = Deliveries("dynamics_finance")
    numbers = count(_FIRST_CONTROL, _GAP)

    def told(event: str, company: str, facts: Row) -> None:
        if deliveries.subscription is not None:
            deliveries.emit(_business_event(event, company, facts, next(numbers), environment.clock()))

    environment = Environment(clock)
    ways = Ways()
    entities = Entities(environment, Rules(environment, ways))
    posting = Posting(environment, ways, told)
    jobs = Jobs(entities)
    door = Door(tenant, applications, standing_tokens)
    desk = Desk(door, entities, posting, jobs)
    desk.retry_after = retry_after
    wire = Wire(desk.app(), throttled=desk.throttled, expire=door.expire)

    def reset() -> None:
        environment.reset()
        posting.closed_periods.clear()
        door.expire()
        desk.reset()
        switches.set_up_operations()

    switches = Switches(desk)
    return Simulator("dynamics_finance", wire, deliveries, reset, environment.counts, switches.configure)


def _business_event(event: str, company: str, facts: Row, number: int, now: datetime) -> dict[str, Any]:
    return {
        "BusinessEventId": event,
        "BusinessEventLegalEntity": company,
        "ContextRecordSubject": "",
        "ControlNumber": number,
        "EventId": str(uuid.uuid4()).upper(),
        "EventTime": f"/Date({int(now.timestamp() * 1000)})/",
        "EventTimeIso8601": instant(now.astimezone(UTC)),
        "InitiatingUserAADObjectId": "{00000000-0000-0000-0000-000000000000}",
        "MajorVersion": 0,
        "MinorVersion": 0,
        "ParentContextRecordSubjects": [],
        **facts,
    }
