"""A client that others wrote is content with the simulator, unmodified."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.salesforce.org import INTEGRATION_USER
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT
from tests.conformance.salesforce.client_sessions import session_to
from tests.conformance.served import Sandbox


@pytest.fixture
def salesforce(blocking_sandbox: Sandbox) -> Any:
    session = session_to(blocking_sandbox)
    yield Salesforce(
        consumer_key=LOADER_CLIENT.client_id,
        consumer_secret=LOADER_CLIENT.secret,
        domain="harbour.my",
        session=session,
    )
    session.close()


def test_query_all_reads_more_than_three_pages(salesforce: Any, blocking_sandbox: Sandbox) -> None:
    for start in range(0, 900, 200):
        rows = [{"attributes": {"type": "Account"}, "Name": f"Customer {n:04d}"} for n in range(start, start + 200)]
        salesforce._call_salesforce(
            "POST", salesforce.base_url + "composite/sobjects", json={"allOrNone": True, "records": rows}
        )
    salesforce.headers["Sforce-Query-Options"] = "batchSize=200"
    found = salesforce.query_all("SELECT Id, Name FROM Account WHERE Name LIKE 'Customer %' ORDER BY Name")
    assert [row["Name"] for row in found["records"]] == [f"Customer {n:04d}" for n in range(1000)]
    assert blocking_sandbox.calls("GET /services/data/v59.0/query/0r8") == 4


def test_create_get_update_upsert_and_delete(salesforce: Any) -> None:
    made = salesforce.Account.create({"Name": "Acme", "BillingCity": "Kiel"})
    assert made["success"]
    assert len(made["id"]) == 18
    assert made["id"].startswith("001")
    assert salesforce.Account.update(made["id"], {"BillingCity": "Bremen"}) == 204
    assert salesforce.Account.get(made["id"])["BillingAddress"]["city"] == "Bremen"
    assert salesforce.Account.get(made["id"][:15])["Name"] == "Acme"
    assert salesforce.Account.upsert("Reference__c/A-1", {"Name": "New"}) == 201
    assert salesforce.Account.upsert("Reference__c/A-1", {"Name": "Newer"}) == 200
    assert salesforce.Account.get_by_custom_id("Reference__c", "A-1")["Name"] == "Newer"
    assert salesforce.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        salesforce.Account.get(made["id"])
    assert salesforce.query_all("SELECT Id FROM Account WHERE IsDeleted = TRUE", include_deleted=True)["totalSize"] == 1


def test_describe_tells_fields_as_they_behave(salesforce: Any) -> None:
    assert {o["name"] for o in salesforce.describe()["sobjects"]} >= {"Account", "Opportunity", "Invoice_Status__c"}
    fields = {f["name"]: f for f in salesforce.Opportunity.describe()["fields"]}
    assert fields["StageName"]["nillable"] is False
    assert fields["IsWon"]["createable"] is False
    assert fields["Reference__c"]["externalId"] is True
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    children = {c["relationshipName"] for c in salesforce.Opportunity.describe()["childRelationships"]}
    assert {"OpportunityLineItems", "Contracts__r"} <= children


def test_composite_through_restful(salesforce: Any) -> None:
    body = {
        "allOrNone": True,
        "compositeRequest": [
            {
                "method": "POST",
                "url": "/services/data/v59.0/sobjects/Account",
                "referenceId": "customer",
                "body": {"Name": "Acme"},
            },
            {
                "method": "POST",
                "url": "/services/data/v59.0/sobjects/Contact",
                "referenceId": "person",
                "body": {"LastName": "Ada", "AccountId": "@{customer.id}"},
            },
            {
                "method": "GET",
                "url": "/services/data/v59.0/query/?q=SELECT+Name,Account.Name+FROM+Contact",
                "referenceId": "seen",
            },
        ],
    }
    answer = salesforce.restful("composite", method="POST", json=body)["compositeResponse"]
    assert [part["httpStatusCode"] for part in answer] == [201, 201, 200]
    assert answer[2]["body"]["records"][0]["Account"]["Name"] == "Acme"


def test_refusals_become_the_clients_own_exceptions(salesforce: Any, blocking_sandbox: Sandbox) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        salesforce.Opportunity.create({"Name": "x"})
    with pytest.raises(SalesforceMalformedRequest, match="No such column"):
        salesforce.query("SELECT Nonsense FROM Account")
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Account.get("001000000000000AAA")
    for _ in range(2):
        salesforce.Contact.create({"LastName": "Twin", "Legacy_Id__c": "L1"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        salesforce.Contact.upsert("Legacy_Id__c/L1", {"LastName": "Which"})
    blocking_sandbox.fault(FaultKind.THROTTLED, "limits")
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        salesforce.limits()


def test_the_session_is_renewed_when_it_expired(salesforce: Any, blocking_sandbox: Sandbox) -> None:
    blocking_sandbox.fault(FaultKind.SESSION_EXPIRED, "query")
    assert salesforce.query("SELECT Id FROM Organization")["totalSize"] == 1
    assert blocking_sandbox.calls("POST /services/oauth2/token") == 2
    assert salesforce.api_usage["api-usage"].total == 100_000


def test_updated_and_deleted_tell_what_changed(salesforce: Any) -> None:
    made = salesforce.Account.create({"Name": "Acme"})["id"]
    gone = salesforce.Account.create({"Name": "Gone"})["id"]
    salesforce.Account.delete(gone)
    start, end = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
    assert salesforce.Account.updated(start, end)["ids"] == [made]
    assert [row["id"] for row in salesforce.Account.deleted(start, end)["deletedRecords"]] == [gone]
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_REPLICATION_DATE"):
        salesforce.Account.updated(end, start)


def test_wrong_secrets_and_unsigned_assertions_are_refused(blocking_sandbox: Sandbox) -> None:
    with session_to(blocking_sandbox) as session:
        with pytest.raises(SalesforceAuthenticationFailed, match="invalid client credentials"):
            Salesforce(consumer_key="firm-loader", consumer_secret="wrong", domain="harbour.my", session=session)
        key, other = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
        configure = blocking_sandbox.simulator.configure
        assert configure
        configure({"public_keys": {"throughline-connector": key.as_pem(private=False).decode()}})
        good = {"username": INTEGRATION_USER, "consumer_key": "throughline-connector", "session": session}
        entered = Salesforce(privatekey=key.as_pem(private=True).decode(), **good)
        assert entered.query("SELECT COUNT() FROM OpportunityStage WHERE IsWon = TRUE")["totalSize"] == 1
        with pytest.raises(SalesforceAuthenticationFailed, match="invalid assertion"):
            Salesforce(**good, privatekey=other.as_pem(private=True).decode())
        stranger = good | {"username": "stranger@harbour.example"}
        with (
            pytest.raises(SalesforceAuthenticationFailed, match="hasn't approved"),
            pytest.warns(UserWarning, match="self-authorize"),
        ):
            Salesforce(**stranger, privatekey=key.as_pem(private=True).decode())
