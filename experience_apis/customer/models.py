"""Shapes for a customer's own people: their projects and their invoices; nothing of how the firm works inside."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped
from shared.canonical.fields import Gross, InvoiceOn, Net, Paid, Tax
from shared.canonical.money import Amount, Money

Period = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
        max_length=7,
        description="Calendar month that is billed, as YYYY-MM.",
        examples=["2017-04"],
    ),
]


class CustomerProject(Shaped):
    """A project the firm delivers for the customer."""

    id: Annotated[
        Id | None,
        Field(description="Our id of the project; null until it is known.", examples=["prj_h4yvivbriyviclnaeuyy"]),
    ]
    name: Annotated[
        str | None,
        Field(max_length=1000, description="What was agreed.", examples=["Rangreen - Discovery workshop Mar 2017"]),
    ]
    customer_id: Annotated[
        Id | None,
        Field(description="Whose project it is, by our id of the customer.", examples=["cus_xmiet452yykyqwr5k7jc"]),
    ]
    state: Annotated[Code, Field(description="Where the project stands, for programs.", examples=["activated"])]
    state_label: Annotated[Label, Field(examples=["Active"])]
    activated_at: Annotated[
        datetime | None,
        Field(description="Since when it is worked on (UTC); null before.", examples=["2017-03-17T08:40:02Z"]),
    ]
    message: Annotated[Sentence, Field(examples=["The project is active."])]


class CustomerInvoice(Shaped):
    """An invoice the firm has sent."""

    id: Annotated[Id, Field(description="Our id of the invoice.", examples=["inv_fzlqoebb7e3kgqd7oyvq"])]
    number: Annotated[
        str | None, Field(max_length=255, description="Number in the firm's accounts.", examples=["48213"])
    ]
    contract_reference: Annotated[
        str, Field(max_length=255, description="Number of the statement of work.", examples=["SOW-E02EF8F1"])
    ]
    project_id: Annotated[
        Id, Field(description="Our id of the project; the same in every system.", examples=["prj_h4yvivbriyviclnaeuyy"])
    ]
    period: Annotated[Period, Field(examples=["2017-04"])]
    invoice_on: InvoiceOn
    net: Net
    tax: Tax
    gross: Gross
    paid: Paid
    due: Annotated[
        Money,
        Field(description="What is left to pay.", examples=[{"amount": "603.72", "currency": "EUR"}]),
    ]
    is_settled: Annotated[bool, Field(description="Whether nothing is left to pay.", examples=[False])]
    message: Annotated[Sentence, Field(examples=["Open."])]


class CustomerInvoiceLine(Shaped):
    """One line, as printed."""

    description: Annotated[
        str, Field(max_length=1000, description="What is billed.", examples=["Acceptance (006BE80E02EF8F1-1-M1)"])
    ]
    quantity: Annotated[Amount, Field(description="Hours for time, 1 otherwise.", examples=["1"])]
    rate: Annotated[
        Amount, Field(description="Price of one unit in the invoice's currency, before tax.", examples=["503.10"])
    ]
    net: Annotated[
        Money, Field(description="What the line adds to the net.", examples=[{"amount": "503.10", "currency": "EUR"}])
    ]


class CustomerInvoiceView(CustomerInvoice):
    """An invoice with its lines."""

    posted_on: Annotated[
        date | None, Field(description="When it was entered in the firm's accounts.", examples=["2017-05-02"])
    ]
    lines: Annotated[
        tuple[CustomerInvoiceLine, ...], Field(max_length=2000, description="Lines in the order of the invoice.")
    ]
