"""What a reading means: canonical records in, events with deterministic ids and cross-references out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.events import (
    ContractChanged,
    CustomerChanged,
    Event,
    OpportunityChanged,
    OpportunityWon,
    PaymentReceived,
    ReferenceDataChanged,
    WorkRecorded,
    event_type,
    fact_id,
)
from shared.canonical.invoices import Payment
from shared.canonical.opportunities import Opportunity
from shared.canonical.references import CanonicalModel, Entity
from shared.telemetry import correlation_id, new_correlation_id
from system_apis.crossref_store import CrossReference
from system_apis.intake_store import PendingHints
from system_apis.ports.changes import ChangeHint

WORK = frozenset({"time", "expense", "milestone"})


@dataclass(frozen=True, slots=True)
class Change:
    """That a record changed; to be told only when its content is another than when it was last told.

    Versions and stamps of the source do not count: what we write back to a record is no news to us.
    """

    entity: str
    id: str
    digest: str
    event: Event


@dataclass(frozen=True, slots=True)
class Reading:
    """What a re-read gives: facts to tell and cross-references to keep; a long one comes in several parts."""

    events: tuple[Event, ...] = ()
    change: Change | None = None
    references: tuple[CrossReference, ...] = ()
    payments_read_until: datetime | None = None
    note: str | None = None
    is_last: bool = True


def coalesced(hints: Sequence[ChangeHint]) -> list[ChangeHint]:
    """Work and payments are read by watermark, so all hints of a kind speak of one record: the feed itself."""
    return [
        replace(hint, entity="time", ref="work", key=f"{hint.entity}/{hint.key}")
        if hint.entity in WORK
        else replace(hint, ref="payments")
        if hint.entity == "payment"
        else hint
        for hint in hints
    ]


def opportunity_facts(opportunity: Opportunity) -> Reading:
    """A change of the deal, and once per revision that it is won."""
    tenant, system = opportunity.tenant, opportunity.source.system
    changed = OpportunityChanged(opportunity_id=opportunity.id, revision=opportunity.revision)
    events: tuple[Event, ...] = ()
    if opportunity.is_won:
        won = OpportunityWon(
            opportunity_id=opportunity.id, revision=opportunity.revision, reference=opportunity.reference
        )
        events = (_fact(tenant, system, won, opportunity.id, f"{opportunity.id}:won:{opportunity.revision}"),)
    return Reading(events, _change("opportunity", opportunity, changed), references_of_opportunity(opportunity))


def customer_facts(customer: Customer) -> Reading:
    """A change of the customer."""
    return Reading(
        change=_change("customer", customer, CustomerChanged(customer_id=customer.id)),
        references=(CrossReference("customer", customer.id, customer.source.system, customer.source.ref),),
    )


def contract_facts(contract: Contract) -> Reading:
    """A change of the contract or of its milestones."""
    body = ContractChanged(contract_id=contract.id, opportunity_id=contract.opportunity_id)
    return Reading(
        change=_change("contract", contract, body),
        references=(CrossReference("contract", contract.id, contract.source.system, contract.source.ref),),
    )


def payment_facts(tenant: str, system: str, payments: Sequence[Payment], *, is_last: bool) -> Reading:
    """One page of payments, and how far it reaches."""
    moments = [p.source.modified_at for p in payments if p.source.modified_at]
    return Reading(
        tuple(_fact(tenant, system, PaymentReceived(payment=p), p.id, f"{p.id}:{p.source.version}") for p in payments),
        payments_read_until=max(moments) if moments else None,
        is_last=is_last,
    )


def work_facts(hints: PendingHints) -> Reading:
    """There is work to be collected; whoever collects it reads by watermark."""
    number = hints.ids[-1]
    return Reading((_fact(hints.tenant, hints.system, WorkRecorded(), f"work-{number}", f"work:{number}"),))


def reference_facts(hints: PendingHints) -> Reading:
    """Reference data of a kind changed."""
    kind = hints.ref if hints.ref in {"legal_entity", "service_item", "rate_card"} else "service_item"
    body = ReferenceDataChanged.model_validate({"kind": kind})
    return Reading((_fact(hints.tenant, hints.system, body, kind, f"{kind}:{hints.ids[-1]}"),))


def references_of_opportunity(opportunity: Opportunity) -> tuple[CrossReference, ...]:
    """What reading a deal teaches the registry: the deal's and its customer's place."""
    system = opportunity.source.system
    return (
        CrossReference("opportunity", opportunity.id, system, opportunity.source.ref),
        CrossReference("customer", opportunity.customer_id, system, opportunity.customer_ref),
    )


def _change(kind: str, record: Entity, body: CanonicalModel) -> Change:
    digest = hashlib.sha256(record.model_dump_json(exclude={"source"}).encode()).hexdigest()
    key = f"{record.id}:{record.source.version}:{digest[:16]}"
    return Change(kind, record.id, digest, _fact(record.tenant, record.source.system, body, record.id, key))


def _fact(tenant: str, system: str, body: CanonicalModel, subject: str, key: str) -> Event:
    kind = event_type(body)
    return Event(
        id=fact_id(kind, tenant, key),
        source=f"/system/{system}",
        type=kind,
        subject=subject,
        time=datetime.now(UTC),
        tenant=tenant,
        correlationid=correlation_id.get() or new_correlation_id(),
        data=body.model_dump(mode="json"),
    )
