"""The vendor's own client library, unmodified, at the simulator: an independent witness of its shapes."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.sandbox.hubspot.events import signature_v1, signature_v3
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP, PEOPLE
from tests.conformance.served import Sandbox

hubspot: Any = pytest.importorskip("hubspot", reason="the client library is not installed")


def _people(box: Sandbox) -> Any:
    return hubspot.HubSpot(access_token=PEOPLE.token, host=box.base_url, base_url=box.base_url)


def _company(name: str) -> Any:
    from hubspot.crm.companies import SimplePublicObjectInputForCreate  # noqa: PLC0415 - only where it is installed

    return SimplePublicObjectInputForCreate(properties={"name": name})


def test_records_are_made_read_changed_and_archived(blocking_sandbox: Sandbox) -> None:
    from hubspot.crm.companies import SimplePublicObjectInput  # noqa: PLC0415

    api = _people(blocking_sandbox).crm.companies
    made = api.basic_api.create(_company("Rangreen"))
    assert made.properties["name"] == "Rangreen"
    assert made.archived is False
    api.basic_api.update(made.id, SimplePublicObjectInput(properties={"city": "Kiel"}))
    read = api.basic_api.get_by_id(made.id, properties=["city", "address"])
    assert read.properties["city"] == "Kiel"
    assert read.properties["address"] is None
    assert read.updated_at > read.created_at
    api.basic_api.archive(made.id)
    with pytest.raises(hubspot.crm.companies.ApiException) as caught:
        api.basic_api.get_by_id(made.id)
    assert caught.value.status == 404
    assert [one.id for one in api.get_all(archived=True)] == [made.id]


def test_lists_and_searches_are_paged(blocking_sandbox: Sandbox) -> None:
    from hubspot.crm.companies import PublicObjectSearchRequest  # noqa: PLC0415

    api = _people(blocking_sandbox).crm.companies
    made = [api.basic_api.create(_company(f"C{n}")).id for n in range(5)]
    page = api.basic_api.get_page(limit=2)
    assert page.paging.next.after
    assert [one.id for one in api.get_all()] == made
    asked = {
        "filter_groups": [{"filters": [{"propertyName": "name", "operator": "IN", "values": ["C1", "C2", "C3"]}]}],
        "sorts": ["-name"],
        "limit": 2,
    }
    found = api.search_api.do_search(PublicObjectSearchRequest(**asked, properties=["name"]))
    assert found.total == 3
    assert [one.properties["name"] for one in found.results] == ["C3", "C2"]
    rest = api.search_api.do_search(PublicObjectSearchRequest(**asked, after=found.paging.next.after))
    assert [one.id for one in rest.results] == [made[1]]
    assert rest.paging is None


def test_batches_tell_of_what_failed(blocking_sandbox: Sandbox) -> None:
    from hubspot.crm.companies import BatchReadInputSimplePublicObjectId  # noqa: PLC0415

    api = _people(blocking_sandbox).crm.companies
    made = api.basic_api.create(_company("Rangreen"))
    wanted = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": made.id}, {"id": "1"}], properties=["name"], properties_with_history=[]
    )
    answer = api.batch_api.read(wanted)
    assert [one.id for one in answer.results] == [made.id]
    assert answer.num_errors == 1
    assert answer.errors[0].category == "OBJECT_NOT_FOUND"
    assert answer.errors[0].context == {"ids": ["1"]}


def test_associations_are_labelled_and_read_in_batches(blocking_sandbox: Sandbox) -> None:
    from hubspot.crm.associations.v4 import AssociationSpec, BatchInputPublicFetchAssociationsBatchRequest  # noqa: PLC0415
    from hubspot.crm.deals import SimplePublicObjectInputForCreate  # noqa: PLC0415

    client = _people(blocking_sandbox)
    company = client.crm.companies.basic_api.create(_company("Rangreen")).id
    values = {"dealname": "Harbour", "dealstage": "closedwon", "amount": "12.50"}
    deal = client.crm.deals.basic_api.create(SimplePublicObjectInputForCreate(properties=values))
    v4 = client.crm.associations.v4
    v4.basic_api.create_default("deals", deal.id, "companies", company)
    spec = AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=5)
    v4.basic_api.create("deals", deal.id, "companies", company, [spec])
    page = v4.basic_api.get_page("deals", deal.id, "companies")
    assert [(one.type_id, one.label) for one in page.results[0].association_types] == [(5, "Primary"), (341, None)]
    wanted = BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": deal.id}])
    row = v4.batch_api.get_page("deals", "companies", wanted).results[0]
    assert row._from.id == deal.id
    assert str(row.to[0].to_object_id) == company
    read = client.crm.deals.basic_api.get_by_id(deal.id, associations=["companies"])
    assert read.associations["companies"].results[0].id == company


def test_pipelines_owners_properties_and_schemas_are_understood(blocking_sandbox: Sandbox) -> None:
    from hubspot.crm.schemas import ObjectSchemaEgg  # noqa: PLC0415

    client = _people(blocking_sandbox)
    won = client.crm.pipelines.pipelines_api.get_by_id("deals", "default").stages[5]
    assert (won.id, won.metadata) == ("closedwon", {"isClosed": "true", "probability": "1.0"})
    assert [owner.email for owner in client.crm.owners.get_all()] == ["ada@harbour.example", "grace@harbour.example"]
    amount = client.crm.properties.core_api.get_by_name("deals", "amount")
    assert (amount.type, amount.field_type, amount.has_unique_value) == ("number", "number", False)
    properties = [{"name": "tl_reference", "label": "Reference", "type": "string", "fieldType": "text"}]
    egg = ObjectSchemaEgg(
        name="tl_contract",
        labels={"singular": "Contract", "plural": "Contracts"},
        required_properties=["tl_reference"],
        properties=properties,
        associated_objects=["deals"],
    )
    made = client.crm.schemas.core_api.create(egg)
    assert made.object_type_id == "2-30000001"
    assert made.fully_qualified_name == "p62515_tl_contract"
    assert [one.name for one in client.crm.schemas.core_api.get_all().results] == ["tl_contract"]
    assert {one.from_object_type_id for one in made.associations} == {"2-30000001", "0-3"}


def test_a_refresh_token_gives_half_an_hour(blocking_sandbox: Sandbox) -> None:
    client = hubspot.HubSpot(host=blocking_sandbox.base_url)
    given = client.oauth.tokens_api.create(
        grant_type="refresh_token",
        client_id=CONNECTOR_APP.client_id,
        client_secret=CONNECTOR_APP.client_secret,
        refresh_token=CONNECTOR_APP.refresh_token,
    )
    assert given.expires_in == 1800
    assert len(given.access_token) > 300
    reader = hubspot.HubSpot(access_token=given.access_token, host=blocking_sandbox.base_url)
    assert reader.crm.deals.basic_api.get_page().results == []


def test_the_clients_own_check_accepts_the_signatures() -> None:
    from hubspot.utils.signature import Signature  # noqa: PLC0415

    secret, url, body = "yyyyyyyy-yyyy", "https://www.example.com/webhook_uri?portal=62515", '[{"eventId":1}]'
    told = {"client_secret": secret, "request_body": body}
    v3 = Signature.get_signature(**told, http_uri=url, signature_version="v3", timestamp="1700000000000")
    assert signature_v3(secret, "POST", url, body.encode(), "1700000000000") == v3
    assert signature_v1(secret, body.encode()) == Signature.get_signature(**told, signature_version="v1")
