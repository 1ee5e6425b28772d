"""What the experience tier reads of the process tier is what the process tier says: the two may not drift apart."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from experience_apis.processes import models as told
from process_apis.approvals import models as approvals
from process_apis.exceptions import models as exceptions
from process_apis.quote_to_project import models as quote_to_project
from process_apis.time_to_bill import models as time_to_bill
from process_apis.views import models as views

PAIRS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (told.Finding, exceptions.Finding),
    (told.Deal, quote_to_project.Deal),
    (told.Approval, approvals.Approval),
    (told.DecisionOutcome, approvals.BulkOutcome),
    (told.DecisionOutcomes, approvals.BulkOutcomes),
    (told.ExceptionItem, exceptions.Item),
    (told.RemedyTaken, exceptions.RemedyTaken),
    (told.Invoice, time_to_bill.BilledInvoice),
    (told.InvoiceLine, time_to_bill.BilledInvoiceLine),
    (told.InvoiceDetail, time_to_bill.BilledInvoiceDetail),
    (told.BillingRun, time_to_bill.BillingRun),
    (told.WorkItem, time_to_bill.WorkItem),
    (told.WorkStateSum, time_to_bill.WorkStateSum),
    (told.JourneyDeal, views.JourneyDeal),
    (told.JourneyInvoice, views.JourneyInvoice),
    (told.JourneyWork, views.JourneyWork),
    (told.Journey, views.Journey),
    (told.Kpi, views.Kpi),
    (told.KpiPart, views.Part),
    (told.Kpis, views.Kpis),
]
NOT_SAID = {(views.JourneyDeal, "approval_kinds")}  # a journey tells the approvals themselves


def may_be_none(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_every_member_we_read_is_said_and_what_may_be_null_is_read_as_such(
    ours: type[BaseModel], theirs: type[BaseModel]
) -> None:
    for name, field in ours.model_fields.items():
        if (theirs, name) in NOT_SAID:
            continue
        said = theirs.model_fields.get(name)
        assert said is not None, f"{theirs.__name__} has no {name}"
        if may_be_none(said.annotation):
            assert may_be_none(field.annotation), f"{theirs.__name__}.{name} may be null"
