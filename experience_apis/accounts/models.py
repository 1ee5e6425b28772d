"""Shapes of the account team's view: the deal they sold, and how delivery and billing go."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped
from shared.canonical.money import Money


class AccountDeal(Shaped):
    """A deal as the account team lists it."""

    opportunity_id: Id
    reference: Annotated[str | None, Field(max_length=1000)]
    name: Annotated[str | None, Field(max_length=1000)]
    customer: Annotated[str | None, Field(max_length=1000)]
    amount: Money | None
    state: Annotated[Code, Field(examples=["activated"])]
    state_label: Label
    project_id: Id | None
    message: Sentence


class AskedOfYou(Shaped):
    """What the account team itself has to fix."""

    code: Code
    message: Sentence
    remedy: Annotated[str, Field(max_length=1000)]


class AccountInvoice(Shaped):
    """An invoice of the deal."""

    invoice_id: Id
    period: Annotated[str, Field(max_length=7, examples=["2026-10"])]
    state: Code
    state_label: Label
    gross: Money
    paid: Money


class Milestone(Shaped):
    """Something worth telling the customer."""

    at: datetime
    message: Sentence


class AccountDealView(AccountDeal):
    """A deal with what is asked of the account team, its invoices and what happened last."""

    asked_of_you: Annotated[tuple[AskedOfYou, ...], Field(max_length=2000)]
    invoices: Annotated[tuple[AccountInvoice, ...], Field(max_length=2000)]
    latest: Annotated[tuple[Milestone, ...], Field(max_length=10, description="Newest first.")]
