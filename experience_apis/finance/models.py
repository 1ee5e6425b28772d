"""Shapes of the finance workbench."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped
from shared.canonical.fields import InvoiceOn
from shared.canonical.money import Amount, Hours, Money
from shared.canonical.references import Identifier, Name

Period = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
        max_length=7,
        description="Calendar month that is billed, as YYYY-MM.",
        examples=["2017-04"],
    ),
]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Reference = Annotated[str, Field(max_length=255, description="As people know it.")]


class BillingOrder(Shaped):
    """What to bill; nothing given: everything that is ready."""

    through: Annotated[
        Period | None, Field(description="Bill work up to the end of this month.", examples=["2017-04"])
    ] = None
    contract_id: Annotated[
        Identifier | None, Field(description="Bill only this contract.", examples=["con_lbrnl2pkbpchp6ss2ffg"])
    ] = None


class BillingRunCard(Shaped):
    """A billing run and how far it is."""

    id: Annotated[
        Id,
        Field(description="Id of the run; ask for it to see how far it is.", examples=["bill-20170502070000-9f2c11ab"]),
    ]
    state: Annotated[Code, Field(description="Where the run stands, for programs.", examples=["running"])]
    state_label: Annotated[Label, Field(examples=["Running"])]
    requested_by: Annotated[
        str, Field(max_length=1000, description="Who started it; may not approve its drafts.", examples=["fiona"])
    ]
    requested_at: Annotated[
        datetime, Field(description="When it was started (UTC).", examples=["2017-05-02T07:00:00Z"])
    ]
    finished_at: Annotated[
        datetime | None,
        Field(description="When it ended (UTC); null while it runs.", examples=["2017-05-02T07:00:09Z"]),
    ]
    through: Annotated[
        Period | None,
        Field(description="Work up to the end of this month is billed; null: all that is ready.", examples=["2017-04"]),
    ]
    contract_id: Annotated[
        Id | None, Field(description="The only contract it bills; null: all.", examples=["con_lbrnl2pkbpchp6ss2ffg"])
    ]
    collected: Annotated[Count, Field(description="Source entries read.", examples=[212])]
    invoices: Annotated[Count, Field(description="Invoices drafted.", examples=[3])]
    message: Annotated[Sentence, Field(examples=["3 invoices wait for approval."])]


class InvoiceCard(Shaped):
    """An invoice from draft to paid."""

    id: Annotated[
        Id, Field(description="Our id of the invoice; the same in every system.", examples=["inv_fzlqoebb7e3kgqd7oyvq"])
    ]
    title: Annotated[
        str, Field(max_length=600, description="Contract and month, as one line.", examples=["SOW-E02EF8F1 - 2017-04"])
    ]
    state: Annotated[Code, Field(description="Where the invoice stands, for programs.", examples=["draft"])]
    state_label: Annotated[Label, Field(examples=["Draft"])]
    customer: Annotated[
        str, Field(max_length=255, description="The customer as the CRM calls it.", examples=["Rangreen"])
    ]
    deal_reference: Annotated[
        Reference, Field(description="Reference people know the deal by.", examples=["006BE80E02EF8F1"])
    ]
    contract_reference: Annotated[
        Reference, Field(description="Number of the statement of work.", examples=["SOW-E02EF8F1"])
    ]
    opportunity_id: Annotated[
        Id,
        Field(
            description="Our id of the opportunity; the same in every system.", examples=["opp_uowvshkezju2kbbqurcu"]
        ),
    ]
    project_id: Annotated[
        Id, Field(description="Our id of the project; the same in every system.", examples=["prj_h4yvivbriyviclnaeuyy"])
    ]
    legal_entity: Annotated[
        str, Field(max_length=255, description="Company of the firm that invoices, by its code.", examples=["HC-DE"])
    ]
    period: Annotated[Period, Field(examples=["2017-04"])]
    invoice_on: InvoiceOn
    net: Annotated[
        Money | None,
        Field(
            description="Sum of the lines before tax; null without `amounts.read`, as all amounts here.",
            examples=[{"amount": "503.10", "currency": "EUR"}],
        ),
    ]
    tax: Annotated[
        Money | None,
        Field(description="Tax on the net, rounded once.", examples=[{"amount": "95.59", "currency": "EUR"}]),
    ]
    gross: Annotated[
        Money | None,
        Field(description="Net plus tax: what the customer owes.", examples=[{"amount": "598.69", "currency": "EUR"}]),
    ]
    paid: Annotated[
        Money | None,
        Field(
            description="What of the gross has been paid so far.", examples=[{"amount": "598.69", "currency": "EUR"}]
        ),
    ]
    time_entries: Annotated[Count, Field(description="Time entries on it.", examples=[0])]
    milestones: Annotated[Count, Field(description="Milestones on it.", examples=[1])]
    erp_reference: Annotated[
        str | None,
        Field(max_length=255, description="The invoice's id in the ERP; null until it is posted.", examples=["48213"]),
    ]
    approval_id: Annotated[
        Id | None, Field(description="The decision it waits for or was given.", examples=["apr_4r7c2m5xk3ta"])
    ]
    requested_by: Annotated[
        str, Field(max_length=1000, description="Who had it drafted; may not approve it.", examples=["fiona"])
    ]
    message: Annotated[Sentence, Field(examples=["Waits for approval."])]


class InvoiceLineRow(Shaped):
    """One line of an invoice."""

    id: Annotated[Id, Field(description="Our id of the line.", examples=["inv_fzlqoebb7e3kgqd7oyvq-1"])]
    kind: Annotated[Code, Field(description="What the line bills, for programs.", examples=["milestone"])]
    kind_label: Annotated[Label, Field(examples=["Milestone"])]
    item_code: Annotated[
        str, Field(max_length=255, description="Service item of the ERP that is invoiced.", examples=["SVC-DISC"])
    ]
    description: Annotated[
        str, Field(max_length=1000, description="The line as printed.", examples=["Acceptance (006BE80E02EF8F1-1-M1)"])
    ]
    quantity: Annotated[Amount, Field(description="Hours for time, 1 otherwise.", examples=["1"])]
    rate: Annotated[
        Amount | None,
        Field(description="Price of one unit in the invoice's currency, before tax.", examples=["503.10"]),
    ]
    net: Annotated[
        Money | None,
        Field(description="What the line adds to the net.", examples=[{"amount": "503.10", "currency": "EUR"}]),
    ]
    entries: Annotated[Count, Field(description="Entries of the ledger the line consumed.", examples=[1])]


class InvoiceView(InvoiceCard):
    """An invoice with its lines."""

    drafted_at: Annotated[datetime, Field(description="When it was drafted (UTC).", examples=["2017-05-02T07:00:00Z"])]
    approved_at: Annotated[
        datetime | None,
        Field(description="When it was approved (UTC); null until then.", examples=["2017-05-02T09:30:00Z"]),
    ]
    posted_at: Annotated[
        datetime | None,
        Field(description="When the ERP took it (UTC); null until then.", examples=["2017-05-02T09:30:04Z"]),
    ]
    lines: Annotated[
        tuple[InvoiceLineRow, ...], Field(max_length=5000, description="What it bills; their nets add up to its net.")
    ]


class WorkSum(Shaped):
    """Entries of one kind in one state."""

    kind: Annotated[Code, Field(description="What was recorded, for programs.", examples=["time"])]
    kind_label: Annotated[Label, Field(examples=["Time"])]
    state: Annotated[Code, Field(description="State the entries are in, for programs.", examples=["awaiting_rate"])]
    state_label: Annotated[Label, Field(examples=["Without a rate"])]
    entries: Annotated[Count, Field(description="Entries of that kind in that state.", examples=[12])]
    hours: Annotated[
        Amount, Field(description="Their hours together; 0 for expenses and milestones.", examples=["91.20"])
    ]
    rows: Annotated[
        str,
        Field(
            max_length=300,
            description="Where to read the entries (path and query).",
            examples=["/finance/v1/work-in-progress/rows?state=awaiting_rate"],
        ),
    ]


class WorkRow(Shaped):
    """One entry of the billing ledger."""

    id: Annotated[Id, Field(description="Our id of the entry.", examples=["tim_k3xopf37jg6rtl6cnp3p"])]
    reference: Annotated[
        Reference, Field(description="Reference people know the entry by.", examples=["2EF8F1-2080-1"])
    ]
    kind: Annotated[Code, Field(description="What was recorded, for programs.", examples=["time"])]
    kind_label: Annotated[Label, Field(examples=["Time"])]
    state: Annotated[Code, Field(description="Where the entry stands, for programs.", examples=["billed"])]
    state_label: Annotated[Label, Field(examples=["Billed"])]
    project_id: Annotated[
        Id, Field(description="Our id of the project; the same in every system.", examples=["prj_h4yvivbriyviclnaeuyy"])
    ]
    contract_id: Annotated[
        Id | None,
        Field(
            description="Our id of the contract; null until the project is known.",
            examples=["con_lbrnl2pkbpchp6ss2ffg"],
        ),
    ]
    invoice_id: Annotated[
        Id | None,
        Field(
            description="Our id of the invoice it stands on; null until then.", examples=["inv_fzlqoebb7e3kgqd7oyvq"]
        ),
    ]
    work_on: Annotated[
        date, Field(description="Day the work was done, or the milestone reached.", examples=["2017-07-18"])
    ]
    hours: Hours
    role: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Role worked in, as the rate card names it; null: unknown.",
            examples=["Business Analyst"],
        ),
    ]
    rate: Annotated[
        Amount | None,
        Field(
            description="Price of one hour, in the currency of `amount`; null until it is rated.", examples=["60.94"]
        ),
    ]
    amount: Annotated[
        Money | None,
        Field(
            description="What it adds to an invoice before tax; null until it is rated.",
            examples=[{"amount": "463.14", "currency": "EUR"}],
        ),
    ]
    message: Annotated[
        Sentence, Field(description="Why it stands where it stands.", examples=["Billed on SOW-E02EF8F1 - 2017-07."])
    ]


class RemedyOrder(Shaped):
    """A mapping that was missing: the product sold as `subject` is the catalog's `value`."""

    kind: Annotated[
        Literal["product_alias"], Field(description="What kind of mapping is supplied.", examples=["product_alias"])
    ]
    subject: Annotated[Name, Field(description="Product code as it was sold.", examples=["GTXPro"])]
    value: Annotated[Name, Field(description="Product code the ERP catalog knows.", examples=["GTX Pro"])]


class RemedyResult(Shaped):
    """What the mapping set in motion."""

    kind: Annotated[Code, Field(description="What kind of mapping was supplied.", examples=["product_alias"])]
    subject: Annotated[Name, Field(description="Product code as it was sold.", examples=["GTXPro"])]
    value: Annotated[Name, Field(description="Product code the ERP catalog knows.", examples=["GTX Pro"])]
    woken: Annotated[Count, Field(description="Parked deals that are checked again.", examples=[7])]
    message: Annotated[Sentence, Field(examples=["7 deals are checked again."])]
