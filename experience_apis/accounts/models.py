"""Shapes of the account team's view: the deal they sold, and how delivery and billing go."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped
from shared.canonical.fields import Gross, Paid
from shared.canonical.money import Money


class AccountDeal(Shaped):
    """A deal as the account team lists it."""

    opportunity_id: Annotated[
        Id,
        Field(
            description="Our id of the opportunity: how one deal is asked for.", examples=["opp_uowvshkezju2kbbqurcu"]
        ),
    ]
    reference: Annotated[
        str | None,
        Field(max_length=1000, description="Reference people know the deal by.", examples=["006BE80E02EF8F1"]),
    ]
    name: Annotated[
        str | None,
        Field(
            max_length=1000,
            description="The deal as the account team calls it.",
            examples=["Rangreen - Discovery workshop Mar 2017"],
        ),
    ]
    customer: Annotated[
        str | None, Field(max_length=1000, description="The customer as the CRM calls it.", examples=["Rangreen"])
    ]
    amount: Annotated[
        Money | None,
        Field(
            description="What the deal was sold for, before tax.", examples=[{"amount": "5757.30", "currency": "EUR"}]
        ),
    ]
    state: Annotated[Code, Field(description="Where the deal stands, for programs.", examples=["activated"])]
    state_label: Annotated[Label, Field(examples=["Active"])]
    project_id: Annotated[
        Id | None,
        Field(description="Our id of the project; null until there is one.", examples=["prj_h4yvivbriyviclnaeuyy"]),
    ]
    message: Annotated[Sentence, Field(examples=["The project is active."])]


class AskedOfYou(Shaped):
    """What the account team itself has to fix."""

    code: Annotated[Code, Field(description="Kind of finding; stable.", examples=["tax_id_missing"])]
    message: Annotated[Sentence, Field(examples=["Rangreen needs a tax id."])]
    remedy: Annotated[
        str,
        Field(
            max_length=1000,
            description="What to do about it, in one sentence.",
            examples=["Enter the tax id at the account in the CRM."],
        ),
    ]


class AccountInvoice(Shaped):
    """An invoice of the deal."""

    invoice_id: Annotated[
        Id, Field(description="Our id of the invoice; the same in every system.", examples=["inv_fzlqoebb7e3kgqd7oyvq"])
    ]
    period: Annotated[str, Field(max_length=7, description="Month it bills, as YYYY-MM.", examples=["2017-04"])]
    state: Annotated[Code, Field(description="Where the invoice stands, for programs.", examples=["posted"])]
    state_label: Annotated[Label, Field(examples=["Posted"])]
    gross: Gross
    paid: Paid


class Milestone(Shaped):
    """Something worth telling the customer."""

    at: Annotated[datetime, Field(description="When it happened (UTC).", examples=["2017-03-17T08:40:02Z"])]
    message: Annotated[Sentence, Field(examples=["The project was opened."])]


class AccountDealView(AccountDeal):
    """A deal with what is asked of the account team, its invoices and what happened last."""

    asked_of_you: Annotated[
        tuple[AskedOfYou, ...],
        Field(max_length=2000, description="What only the account team can fix; empty when nothing is."),
    ]
    invoices: Annotated[
        tuple[AccountInvoice, ...], Field(max_length=2000, description="Invoices of the deal, oldest first.")
    ]
    latest: Annotated[tuple[Milestone, ...], Field(max_length=10, description="Newest first.")]
