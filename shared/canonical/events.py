"""Facts that travel between tiers: CloudEvents 1.0 envelope and the canonical bodies."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from shared.canonical.fields import (
    ContractId,
    CustomerId,
    Gross,
    InvoiceId,
    OpportunityId,
    OpportunityReference,
    Paid,
    Period,
    ProjectId,
    Revision,
)
from shared.canonical.invoices import Payment
from shared.canonical.references import CanonicalModel, Identifier


class OpportunityWon(CanonicalModel):
    """A deal was closed won; the reader asks the system tier for the record itself."""

    opportunity_id: OpportunityId
    revision: Revision
    reference: OpportunityReference


class OpportunityChanged(CanonicalModel):
    """A deal changed in a way that is not (newly) winning it."""

    opportunity_id: OpportunityId
    revision: Revision


class CustomerChanged(CanonicalModel):
    """A customer's record changed."""

    customer_id: CustomerId


class ContractChanged(CanonicalModel):
    """A contract's record changed."""

    contract_id: ContractId
    opportunity_id: OpportunityId


class ReferenceDataChanged(CanonicalModel):
    """Catalog data of the ERP changed."""

    kind: Literal["legal_entity", "service_item", "rate_card"] = Field(
        description="Which catalog is to be read again.", examples=["rate_card"]
    )


class WorkRecorded(CanonicalModel):
    """The PSA has new or changed time, expenses or milestones."""

    project_id: ProjectId | None = None


class PaymentReceived(CanonicalModel):
    """The ERP booked a customer's payment."""

    payment: Payment = Field(description="The payment as the ERP holds it now.")


class ProjectActivated(CanonicalModel):
    """A deal's project stands in PSA and ERP."""

    opportunity_id: OpportunityId
    project_id: ProjectId
    contract_id: ContractId
    customer_id: CustomerId | None = None


class InvoicePosted(CanonicalModel):
    """An invoice was posted in the ERP."""

    invoice_id: InvoiceId
    contract_id: ContractId
    period: Period
    gross: Gross
    customer_id: CustomerId | None = None


class InvoicePaid(CanonicalModel):
    """An invoice was paid, in part or whole."""

    invoice_id: InvoiceId
    paid: Paid
    gross: Gross
    customer_id: CustomerId | None = None


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

    specversion: Literal["1.0"] = Field(default="1.0", description="Version of CloudEvents.", examples=["1.0"])
    id: Identifier = Field(
        description="Unique per source; deterministic where the fact has a natural key.",
        examples=["evt_m5xk3ta4r7c2m5xk3ta4r7c2"],
    )
    source: str = Field(
        max_length=200, description="Who stated the fact: tier and system.", examples=["/system/salesforce"]
    )
    type: str = Field(
        max_length=100, description="What happened, with the version of its body.", examples=["opportunity.won.v1"]
    )
    subject: Identifier = Field(
        description="Entity the fact is about; events of one subject keep their order.",
        examples=["opp_uowvshkezju2kbbqurcu"],
    )
    time: datetime = Field(description="When it happened (UTC).", examples=["2017-03-16T09:12:30Z"])
    datacontenttype: Literal["application/json"] = Field(
        default="application/json", description="Media type of `data`.", examples=["application/json"]
    )
    tenant: Identifier = Field(description="The firm the fact belongs to.", examples=["harbour"])
    correlationid: str | None = Field(
        default=None,
        max_length=120,
        description="Correlation id of the request or run that led to it.",
        examples=["0b6f2f6c4f1d4c0f9e1b7a52d3c8e914"],
    )
    traceparent: str | None = Field(
        default=None,
        max_length=60,
        description="W3C trace context of whoever stated it.",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    )
    data: dict[str, Any] = Field(
        max_length=100,
        description="The body; its schema is named by `type`.",
        examples=[
            {"opportunity_id": "opp_uowvshkezju2kbbqurcu", "revision": 1, "reference": "006BE80E02EF8F1"},
        ],
    )

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
