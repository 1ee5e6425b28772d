"""A custom field that the org's administrator deletes is named by whoever needs it, however long the query is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date

import pytest

from shared.errors.taxonomy import ScopeMissing
from system_apis.connectors.certinia.connector import CertiniaConnector
from tests.conformance.certinia.conftest import Org
from tests.conformance.small_firm import read_on


@pytest.mark.parametrize(
    ("called", "field", "read"),
    [
        ("pse__Proj__c", "Throughline_Contract__c", lambda connector: connector.find_project("prj_1")),
        ("pse__Milestone__c", "Throughline_Reference__c", lambda connector: read_on(connector.list_milestones)),
        ("pse__Timecard_Header__c", "Sunday_Reference__c", lambda connector: read_on(connector.list_time_entries)),
    ],
)
async def test_the_reason_is_told_and_not_the_query(
    org: Org, called: str, field: str, read: Callable[[CertiniaConnector], Awaitable[object]]
) -> None:
    project = await org.project()
    await org.hands.card(project.source.ref, {date(2026, 2, 3): 7.5})
    await read(org.connector)
    org.switch(deleted_fields={called: [field]})
    with pytest.raises(ScopeMissing) as caught:
        await read(org.connector)
    assert caught.value.message.startswith(f"certinia: INVALID_FIELD: No such column '{field}'")
