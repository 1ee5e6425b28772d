"""The Dynamics 365 Finance simulator put together: environment, door, desk, the faulty wire, business events."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from deploy.sandbox.dynamics_finance.address import Desk
from deploy.sandbox.dynamics_finance.entities import Entities
from deploy.sandbox.dynamics_finance.jobs import Jobs
from deploy.sandbox.dynamics_finance.posting import Posting
from deploy.sandbox.dynamics_finance.rules import Rules, Ways
from deploy.sandbox.dynamics_finance.state import Environment
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
    door = Door(tenant, applications)
    desk = Desk(door, entities, posting, jobs)
    desk.retry_after = retry_after
    wire = Wire(desk.app(), throttled=desk.throttled, expire=door.expire)

    def reset() -> None:
        environment.reset()
        posting.closed_periods.clear()
        door.expire()
        desk.reset()

    configure = _switches(desk, door, ways, posting)
    return Simulator("dynamics_finance", wire, deliveries, reset, environment.counts, configure)


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


def _switches(desk: Desk, door: Door, ways: Ways, posting: Posting) -> Callable[[dict[str, Any]], None]:
    """How the customer's environment is set up.

    Unconfirmed facts: `customer_numbers` manual, automatic · `project_operations` · `line_amounts` kept, priced ·
    `tax_override` · `proposals` writable, forbidden, absent · `working_days` · `settled_lines` kept, dropped ·
    `set_names` {documented: here} · `tax_by_line`.
    Operation: `closed_periods` ["2017-01"] · `open_periods` · `batch_every` requests (0: no job) · `posting_service` ·
    `load` 0–100 · `retry_after` seconds or None · `priorities` {client id: low, medium, high} · `registered`
    {client id: bool} · `forbidden_sets` · `update_conflicts` {set: times} · `page_rows` · `token_seconds` ·
    `job_polls` · `run_batch`.
    """
    entities = desk.entities

    def configure(wanted: dict[str, Any]) -> None:
        if strange := wanted.keys() - handlers.keys():
            raise KeyError(", ".join(sorted(strange)))
        for name, value in wanted.items():
            handlers[name](value)

    def project_operations(value: bool) -> None:
        ways.has_project_operations = value
        table = entities.environment.tables["ProjectParameterV2"]
        if value and not table.rows:
            entities.environment.insert("ProjectParameterV2", {"dataAreaId": "dat", "Key": 0})
        elif not value:
            table.rows.clear()

    def applications(field: str, values: Mapping[str, Any]) -> None:
        for client_id, value in values.items():
            door.applications[client_id] = replace(door.applications[client_id], **{field: value})

    def among(attribute: str, *allowed: str) -> Callable[[Any], None]:
        def choose(value: Any) -> None:
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
            setattr(ways, attribute, value)

        return choose

    handlers: dict[str, Callable[[Any], None]] = {
        "customer_numbers": among("customer_numbers", "manual", "automatic"),
        "project_operations": project_operations,
        "line_amounts": lambda value: setattr(ways, "keeps_line_amounts", value == "kept"),
        "tax_override": lambda value: setattr(ways, "honours_tax_override", bool(value)),
        "proposals": among("proposals", "writable", "forbidden", "absent"),
        "working_days": lambda value: setattr(ways, "checks_working_days", bool(value)),
        "settled_lines": lambda value: setattr(posting, "keeps_settled_lines", value == "kept"),
        "tax_by_line": lambda value: setattr(posting, "tax_by_line", bool(value)),
        "set_names": lambda value: entities.set_names.update(value),
        "closed_periods": posting.closed_periods.update,
        "open_periods": posting.closed_periods.difference_update,
        "batch_every": lambda value: setattr(desk, "batch_every", int(value)),
        "run_batch": lambda _: posting.run_batch(),
        "posting_service": lambda value: setattr(desk, "has_posting_service", bool(value)),
        "load": lambda value: setattr(desk, "load", int(value)),
        "retry_after": lambda value: setattr(desk, "retry_after", value),
        "priorities": lambda value: applications("priority", value),
        "registered": lambda value: applications("is_registered", value),
        "forbidden_sets": lambda value: setattr(entities, "forbidden", set(value)),
        "update_conflicts": lambda value: entities.conflicts.update(value),
        "page_rows": lambda value: setattr(entities, "page_rows", int(value)),
        "token_seconds": lambda value: setattr(door, "token_seconds", int(value)),
        "job_polls": lambda value: setattr(desk.jobs, "polls", int(value)),
    }
    return configure
