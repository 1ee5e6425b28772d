"""A client that others wrote works with the package's objects in the simulator, unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from deploy.sandbox.certinia import simulator
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT
from tests.conformance.salesforce.client_sessions import session_to
from tests.conformance.served import blocking


@pytest.fixture
def client() -> Iterator[Any]:
    login = {"consumer_key": LOADER_CLIENT.client_id, "consumer_secret": LOADER_CLIENT.secret}
    with blocking(simulator(page_size=200)) as sandbox, session_to(sandbox) as session:
        yield Salesforce(**login, domain="harbour.my", session=session)


def test_projects_are_made_changed_described_and_found(client: Any) -> None:
    project = getattr(client, "pse__Proj__c")  # noqa: B009 - two underscores would be mangled in a class
    made = project.create({"Name": "By another client", "pse__Is_Billable__c": True, "CurrencyIsoCode": "EUR"})
    assert made["success"]
    assert project.update(made["id"], {"pse__Stage__c": "In Progress"}) == 204
    assert project.upsert("Throughline_Id__c/prj_9", {"Name": "By its key"}) == 201
    assert project.get_by_custom_id("Throughline_Id__c", "prj_9")["Name"] == "By its key"
    described = {field["name"]: field for field in project.describe()["fields"]}
    assert described["pse__Account__c"]["referenceTo"] == ["Account"]
    found = client.query("SELECT Id, pse__Stage__c FROM pse__Proj__c WHERE Name = 'By another client'")
    assert [row["pse__Stage__c"] for row in found["records"]] == ["In Progress"]
    with pytest.raises(SalesforceMalformedRequest) as refused:
        project.update(made["id"], {"CurrencyIsoCode": "USD"})
    assert refused.value.content[0]["errorCode"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert refused.value.content[0]["fields"] == ["CurrencyIsoCode"]
    with pytest.raises(SalesforceResourceNotFound):
        project.get("a0PHb0000000999AAA")


def test_long_lists_are_read_to_their_end(client: Any) -> None:
    project = client.restful("sobjects/pse__Proj__c", method="POST", json={"Name": "P", "CurrencyIsoCode": "EUR"})["id"]
    for start in range(0, 600, 200):
        rows = [
            {
                "attributes": {"type": "pse__Milestone__c"},
                "Name": f"M{number:03d}",
                "pse__Project__c": project,
                "pse__Target_Date__c": "2026-03-01",
                "pse__Milestone_Amount__c": 10,
            }
            for number in range(start, start + 200)
        ]
        saved = client.restful("composite/sobjects", method="POST", json={"allOrNone": True, "records": rows})
        assert all(one["success"] for one in saved)
    found = client.query_all("SELECT Name, pse__Eligible_for_Billing__c FROM pse__Milestone__c ORDER BY Name")
    assert [row["Name"] for row in found["records"]] == [f"M{number:03d}" for number in range(600)]
    assert {row["pse__Eligible_for_Billing__c"] for row in found["records"]} == {"No"}


def test_a_packaged_action_is_run_through_the_plain_door(client: Any) -> None:
    account = client.Account.create({"Name": "Customer"})["id"]
    template = getattr(client, "pse__Proj__c").create({"Name": "T", "pse__Is_Template__c": True})["id"]  # noqa: B009 - as above
    inputs = {"AccountId": account, "TemplateProjectId": template, "StartDate": "2026-01-05"}
    (result,) = client.restful("actions/custom/apex/pse__ActionCPFTAccounts", method="POST", json={"inputs": [inputs]})
    assert result["isSuccess"]
    job = result["outputValues"]["QueuedJobId"]
    for _ in range(5):
        (row,) = client.query(f"SELECT Status, NumberOfErrors FROM AsyncApexJob WHERE Id = '{job}'")["records"]
    assert (row["Status"], row["NumberOfErrors"]) == ("Completed", 0)
