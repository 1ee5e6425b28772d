"""Facts that travel between tiers: CloudEvents 1.0 envelope and the canonical bodies."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from shared.canonical.invoices import Payment
from shared.canonical.money import Money
from shared.canonical.references import CanonicalModel, Identifier, Ref


class OpportunityWon(CanonicalModel):
    """A deal was closed won; the reader asks the system tier for the record itself."""

    opportunity_id: Identifier
    revision: int
    reference: Ref


class OpportunityChanged(CanonicalModel):
    """A deal changed in a way that is not (newly) winning it."""

    opportunity_id: Identifier
    revision: int


class CustomerChanged(CanonicalModel):
    """A customer's record changed."""

    customer_id: Identifier


class ContractChanged(CanonicalModel):
    """A contract's record changed."""

    contract_id: Identifier
    opportunity_id: Identifier


class ReferenceDataChanged(CanonicalModel):
    """Catalog data of the ERP changed."""

    kind: Literal["legal_entity", "service_item", "rate_card"]


class WorkRecorded(CanonicalModel):
    """The PSA has new or changed time, expenses or milestones."""

    project_id: Identifier | None = None


class PaymentReceived(CanonicalModel):
    """The ERP booked a customer's payment."""

    payment: Payment


class ProjectActivated(CanonicalModel):
    """A deal's project stands in PSA and ERP."""

    opportunity_id: Identifier
    project_id: Identifier
    contract_id: Identifier


class InvoicePosted(CanonicalModel):
    """An invoice was posted in the ERP."""

    invoice_id: Identifier
    contract_id: Identifier
    period: str
    gross: Money


class InvoicePaid(CanonicalModel):
    """An invoice was paid, in part or whole."""

    invoice_id: Identifier
    paid: Money
    gross: Money


EVENT_TYPES: dict[str, type[CanonicalModel]] = {
    "opportunity.won.v1": OpportunityWon,
    "opportunity.changed.v1": OpportunityChanged,
    "customer.changed.v1": CustomerChanged,
    "contract.changed.v1": ContractChanged,
    "reference_data.changed.v1": ReferenceDataChanged,
    "work.recorded.v1": WorkRecorded,
    "payment.received.v1": PaymentReceived,
    "project.activated.v1": ProjectActivated,
    "invoice.posted.v1": InvoicePosted,
    "invoice.paid.v1": InvoicePaid,
}
_TYPE_OF = {body: name for name, body in EVENT_TYPES.items()}


class Event(CanonicalModel):
    """CloudEvents 1.0 envelope (structured mode, JSON) with our extensions `tenant`, `correlationid`, `traceparent`."""

    specversion: Literal["1.0"] = "1.0"
    id: Identifier = Field(description="Unique per source; deterministic where the fact has a natural key.")
    source: str = Field(max_length=200, examples=["/system/salesforce"])
    type: str = Field(max_length=100, examples=["opportunity.won.v1"])
    subject: Identifier = Field(description="Entity the fact is about; events of one subject keep their order.")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    tenant: Identifier
    correlationid: str | None = Field(default=None, max_length=120)
    traceparent: str | None = Field(default=None, max_length=60)
    data: dict[str, Any]

    def body(self) -> CanonicalModel:
        """The typed body; KeyError for a type this release does not know."""
        return EVENT_TYPES[self.type].model_validate(self.data)


def fact_id(kind: str, tenant: str, key: str) -> str:
    """Id of a fact: the same fact always has the same one, whether a webhook, a feed, a poll or a repeat told of it."""
    digest = hashlib.sha256(f"{kind}\x1f{tenant}\x1f{key}".encode()).digest()
    return f"evt_{b32encode(digest)[:24].decode().lower()}"


def event_type(body: CanonicalModel) -> str:
    """The versioned type name of a body."""
    return _TYPE_OF[type(body)]
