"""The NetSuite simulator put together: account, door, desk, the faulty wire and the pushed change notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries
from deploy.sandbox.kit.switches import DELETED_FIELDS, deletable, flag, known, taken
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.netsuite.address import Desk
from deploy.sandbox.netsuite.errors import too_many_at_once
from deploy.sandbox.netsuite.schema import CUSTOM, RecordType
from deploy.sandbox.netsuite.signatures import AccessToken, Signatures
from deploy.sandbox.netsuite.state import Account, Row
from deploy.sandbox.netsuite.tokens import Certificate, Door

PUSHED = {"customerPayment", "invoice", "subsidiary", "serviceSaleItem", "billingRateCard", "customrecord_tl_rate"}
"""Record types whose user event script (ours, installed by the customer) posts change notices."""


_BEHAVIOUR: Mapping[str, type[Any]] = {
    "put_replaces": bool,
    "suite_tax": bool,
    "status_as": str,
    "milestone_type": str,
    "batch_expands": bool,
}


def simulator(
    *,
    certificates: Mapping[str, Certificate] | None = None,
    access_tokens: Iterable[AccessToken] = (),
    at_once: int = 15,
) -> Simulator:
    """An empty account that trusts these certificates (certificate id → certificate) and these access tokens."""
    deliveries = Deliveries("netsuite")

    def listener(record: RecordType, row: Row, event: str) -> None:
        if record.name in PUSHED and deliveries.subscription is not None:
            stamp = f"{row['lastModifiedDate']:%Y-%m-%dT%H:%M:%SZ}"
            notice = {"recordType": record.name, "id": str(row["id"]), "eventType": event, "lastModifiedDate": stamp}
            deliveries.emit(notice)

    account = Account(listener)
    door = Door(certificates or {})
    signatures = Signatures(access_tokens)
    desk = Desk(account, door, signatures, at_once=at_once)
    wire = Wire(desk.app(), throttled=too_many_at_once().response, expire=door.expire)

    def reset() -> None:
        account.reset()
        door.expire()
        signatures.forget()
        desk.reset()

    return Simulator("netsuite", wire, deliveries, reset, account.counts, _switches(account, door, desk))


def _switches(account: Account, door: Door, desk: Desk) -> Callable[[dict[str, Any]], None]:
    """`at_once` 15 · `others` in flight · `tells_limits` · `delay` seconds · `token_seconds` · `job_polls` ·
    `certificates` {id: {client_id, public_key}} · `access_tokens` [{consumer_key, consumer_secret, token_id,
    token_secret}], these and no others · `timestamp_window` seconds · `takes_sha1` signatures · `closed_periods` and
    `open_periods` ["2017-01"] · `deleted_fields` {record or record.sublist: [custom field]}: one definition, so it is
    gone from every record that has it · and `Behaviour`'s.
    """  # noqa: D205 - one sentence of switches

    def configure(wanted: dict[str, Any]) -> None:
        known(wanted, handlers)
        for name, value in wanted.items():
            handlers[name](value)

    def periods(months: list[str], *, closed: bool) -> None:
        for month in months:
            account.period_of(date.fromisoformat(f"{month}-01"))["closed"] = closed

    def behave(name: str, kind: type[Any]) -> Callable[[Any], None]:
        def take(value: Any) -> None:
            setattr(account.behaviour, name, taken(name, value, kind))

        return take

    def trust(certificates: dict[str, dict[str, str]]) -> None:
        door.certificates.update({number: Certificate(**facts) for number, facts in certificates.items()})

    def delete(fields: Any) -> None:
        desk.delete_fields(frozenset[str]().union(*deletable(fields, CUSTOM).values()))

    handlers: dict[str, Callable[[Any], None]] = {
        **{name: behave(name, kind) for name, kind in _BEHAVIOUR.items()},
        "at_once": lambda value: setattr(desk, "at_once", taken("at_once", value, int)),
        "others": lambda value: setattr(desk, "others", taken("others", value, int)),
        "tells_limits": lambda value: setattr(desk, "tells_limits", flag("tells_limits", value)),
        "job_polls": lambda value: setattr(desk.jobs, "polls", taken("job_polls", value, int)),
        "delay": lambda value: setattr(desk, "delay", taken("delay", value, float)),
        "token_seconds": lambda value: setattr(door, "token_seconds", taken("token_seconds", value, int)),
        "certificates": trust,
        "access_tokens": lambda value: desk.signatures.know(AccessToken(**facts) for facts in value),
        "timestamp_window": lambda value: setattr(desk.signatures, "window", taken("timestamp_window", value, int)),
        "takes_sha1": lambda value: setattr(desk.signatures, "takes_sha1", flag("takes_sha1", value)),
        "closed_periods": lambda value: periods(value, closed=True),
        "open_periods": lambda value: periods(value, closed=False),
        DELETED_FIELDS: delete,
    }
    return configure
