"""The S/4HANA Cloud simulator put together: tenant, door, desk, the faulty wire and the forwarded events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries
from deploy.sandbox.kit.switches import DELETED_FIELDS, deletable, flag, known, taken
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.s4hana.address import FrontDesk
from deploy.sandbox.s4hana.customizing import CompanyCode, Switches
from deploy.sandbox.s4hana.errors import too_many
from deploy.sandbox.s4hana.events import emitter
from deploy.sandbox.s4hana.masters import plant_company_codes
from deploy.sandbox.s4hana.schema import read_property
from deploy.sandbox.s4hana.sessions import CommunicationUser, Door
from deploy.sandbox.s4hana.state import Clock, Tenant

CONNECTOR_USER = CommunicationUser("TL_CONNECTOR", "sandbox-s4hana-connector-password")
FIRM_USER = CommunicationUser("TL_FIRM", "sandbox-s4hana-firm-password")


def simulator(
    *, users: tuple[CommunicationUser, ...] = (CONNECTOR_USER, FIRM_USER), clock: Clock | None = None, **switches: Any
) -> Simulator:
    """An empty tenant that knows these communication users; `switches` are those of `configure`."""
    deliveries = Deliveries("s4hana")
    tenant = Tenant(clock, emitter(deliveries))
    door = Door(users, tenant.customizing.switches, tenant.now)
    desk = FrontDesk(tenant, door)
    wire = Wire(desk, throttled=too_many, expire=door.expire)

    def reset() -> None:
        tenant.reset()
        door.expire()
        plant_company_codes(tenant)

    configure = _switches(tenant, door)
    reset()
    configure(switches)
    for one in fields(Switches):
        setattr(tenant.customizing.seeded, one.name, getattr(tenant.customizing.switches, one.name))
    return Simulator("s4hana", wire, deliveries, reset, tenant.counts, configure)


def _kind(name: str) -> type[Any]:
    value: object = getattr(Switches(), name)
    return type(value)


def _switches(tenant: Tenant, door: Door) -> Callable[[dict[str, Any]], None]:
    """What `configure` takes.

    The fields of `Switches` · `closed_periods`, `open_periods` ["2026-10"] · `locked`, `unlocked` first keys of rows ·
    `custom_fields` {set: {name: "String(40)"}} · `deleted_fields` {set: [name]}, taken out of that API ·
    `company_codes` [{code, name, country, currency}] ·
    `end_sessions` true: CSRF tokens become stale · `users` {name: password}.
    """
    plain: Mapping[str, type[Any]] = {one.name: _kind(one.name) for one in fields(Switches)}
    handlers = _handlers(tenant, door)

    def configure(wanted: dict[str, Any]) -> None:
        known(wanted, {**handlers, **plain})
        for name, value in wanted.items():
            if name in plain:
                taken(name, value, plain[name])
        for name, value in wanted.items():
            if name in plain:
                setattr(tenant.customizing.switches, name, value)
            else:
                handlers[name](value)

    return configure


def _handlers(tenant: Tenant, door: Door) -> Mapping[str, Callable[[Any], object]]:
    custom = tenant.customizing

    def fields_of(sets: dict[str, dict[str, str]]) -> None:
        for name, added in sets.items():
            for field_name, spec in added.items():
                tenant.add_field(name, read_property(field_name, f"{spec} custom"))

    def companies(given: list[dict[str, str]]) -> None:
        custom.company_codes.update({one["code"]: CompanyCode(**one) for one in given})
        plant_company_codes(tenant)

    def delete(fields: Any) -> None:
        tenant.delete_fields(deletable(fields, {name: entity.custom for name, entity in tenant.sets.items()}))

    return {
        "closed_periods": custom.closed_periods.update,
        "open_periods": custom.closed_periods.difference_update,
        "locked": custom.locked.update,
        "unlocked": custom.locked.difference_update,
        "custom_fields": fields_of,
        DELETED_FIELDS: delete,
        "company_codes": companies,
        "end_sessions": lambda wanted: door.end_sessions() if flag("end_sessions", wanted) else None,
        "users": lambda given: door.users.update({n: CommunicationUser(n, p) for n, p in given.items()}),
    }
