"""The simulator put together: pod, setup, door, desk, the faulty wire, and its switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.switches import DELETED_FIELDS, deletable, flag, known, taken
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.oracle_fusion.address import Desk
from deploy.sandbox.oracle_fusion.errors import throttled
from deploy.sandbox.oracle_fusion.receivables import PERIOD_TEXTS
from deploy.sandbox.oracle_fusion.records import Records
from deploy.sandbox.oracle_fusion.schema import OWN
from deploy.sandbox.oracle_fusion.setup import Setup
from deploy.sandbox.oracle_fusion.state import Pod
from deploy.sandbox.oracle_fusion.tokens import Application, Door

CONNECTOR = Application("throughline-connector", "throughline-connector-secret")
USERS = {"integration.user": "integration-password", "finance.user": "finance-password"}


def simulator(
    *,
    applications: Mapping[str, Application] | None = None,
    users: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Simulator:
    """An empty pod that trusts these applications and users."""
    pod = Pod(clock)
    setup = Setup(pod)
    records = Records(pod, setup)
    apps = {CONNECTOR.client_id: CONNECTOR} if applications is None else applications
    door = Door(apps, USERS if users is None else users)
    desk = Desk(pod, setup, records, door)
    wire = Wire(desk.app(), throttled=lambda: throttled().response(is_structured=False), expire=door.expire)

    def reset() -> None:
        pod.reset()
        setup.reset()
        records.receivables.reset()
        door.expire()
        desk.requests_left = None

    return Simulator("oracle_fusion", wire, None, reset, pod.counts, _switches(setup, desk, door))


def _switches(setup: Setup, desk: Desk, door: Door) -> Callable[[dict[str, Any]], None]:
    """Periods `closed_periods`, `open_periods` ["2017-01"] · `language` en, de · `default_framework` 1 to 9 ·
    `structured_from` 4 · `shows_children` in answers to writes · `keeps_line_amounts` · `calculates_tax` ·
    `tax_drift` "0.01" · `lets_delete` · `applications_touch_receipts` · `matches_at_once` · `numbers_lines` ·
    `locked` ["contracts"] · `token_seconds` · `requests_left` (null: no limit) · `deleted_fields`
    {resource.child: [the customer's segment or attribute]}.
    """  # noqa: D205 - one sentence of switches

    def language(value: str) -> None:
        if value not in PERIOD_TEXTS:
            raise ValueError(f"language is one of {', '.join(sorted(PERIOD_TEXTS))}, not {value!r}")
        setup.language = value

    def flagged(name: str) -> Callable[[Any], None]:
        return lambda value: setattr(setup, name, flag(name, value))

    handlers: dict[str, Callable[[Any], None]] = {
        "closed_periods": lambda value: setup.set_periods(value, is_closed=True),
        "open_periods": lambda value: setup.set_periods(value, is_closed=False),
        "language": language,
        "default_framework": lambda value: setattr(desk, "default_framework", taken("default_framework", value, int)),
        "shows_children": lambda value: setattr(desk, "shows_children", flag("shows_children", value)),
        "structured_from": lambda value: setattr(desk, "structured_from", taken("structured_from", value, int)),
        "tax_drift": lambda value: setattr(setup, "tax_drift", Decimal(value)),
        "locked": lambda value: setattr(setup, "locked", set(value)),
        DELETED_FIELDS: lambda value: desk.pod.delete_fields(deletable(value, OWN)),
        "token_seconds": lambda value: setattr(door, "token_seconds", taken("token_seconds", value, int)),
        "requests_left": lambda value: setattr(
            desk, "requests_left", None if value is None else taken("requests_left", value, int)
        ),
        **{
            name: flagged(name)
            for name in (
                "keeps_line_amounts",
                "calculates_tax",
                "lets_delete",
                "applications_touch_receipts",
                "matches_at_once",
                "numbers_lines",
            )
        },
    }

    def configure(wanted: dict[str, Any]) -> None:
        known(wanted, handlers)
        for name, value in wanted.items():
            handlers[name](value)

    return configure
