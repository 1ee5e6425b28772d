"""The simulator driven by SAP's own client library for OData 2 (pyodata), unmodified, with its parser of metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pyodata
import pytest
import requests
from pyodata.exceptions import HttpError

from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.schema import load_services
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER
from system_apis.connectors.s4hana.connector import S4Connector
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.served import Sandbox

PATHS = {name: service.path for name, service in load_services().items() if service.version == 2}


Open = Callable[[str], Awaitable[Any]]


@pytest.fixture
def opened(s4hana: Sandbox) -> Iterator[Open]:
    """As pyodata's documents say: the token is fetched by the caller's session, which keeps the cookies."""
    with ExitStack() as stack:

        def client(service: str) -> Any:
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            session.auth = (CONNECTOR_USER.name, CONNECTOR_USER.password)
            url = f"{s4hana.base_url}{PATHS[service]}/"
            answer = session.head(url, headers={"x-csrf-token": "fetch"}, timeout=30)
            session.headers.update({"x-csrf-token": answer.headers["x-csrf-token"]})
            return pyodata.Client(url, session)

        async def opener(service: str) -> Any:
            return await asyncio.to_thread(client, service)

        yield opener


@pytest.mark.parametrize("service", sorted(PATHS))
async def test_it_reads_the_metadata_of_every_service(opened: Open, service: str) -> None:
    client = await opened(service)
    ours = load_services()[service]
    assert {one.name for one in client.schema.entity_sets} == set(ours.sets)
    assert {one.name for one in client.schema.function_imports} == set(ours.functions)
    for entity in ours.sets.values():
        told = client.schema.entity_type(entity.type_name)
        assert {one.name for one in told.proprties()} == set(entity.properties)
        assert [one.name for one in told.key_proprties] == list(entity.key)


async def test_it_makes_reads_changes_and_filters_partners(opened: Open) -> None:
    client = await opened("API_BUSINESS_PARTNER")

    def work() -> tuple[Any, ...]:
        sets = client.entity_sets
        made = (
            sets.A_BusinessPartner.create_entity()
            .set(
                BusinessPartnerCategory="2",
                OrganizationBPName1="Acme",
                to_BusinessPartnerRole=[{"BusinessPartnerRole": "FLCU01"}],
            )
            .execute()
        )
        read = sets.A_BusinessPartner.get_entity(made.BusinessPartner).expand("to_BusinessPartnerRole").execute()
        change = sets.A_BusinessPartner.update_entity(made.BusinessPartner).set(SearchTerm1="ACME")
        with pytest.raises(HttpError) as refused:
            change.execute()
        assert refused.value.response.status_code == 428
        guarded = sets.A_BusinessPartner.update_entity(made.BusinessPartner).set(SearchTerm1="ACME")
        guarded.add_headers({"If-Match": made.etag})
        guarded.execute()
        found = sets.A_BusinessPartner.get_entities().filter("SearchTerm1 eq 'ACME'").count(inline=True).execute()
        counted = sets.A_BusinessPartner.get_entities().count().execute()
        return made, read, found, counted

    made, read, found, counted = await asyncio.to_thread(work)
    assert made.BusinessPartner == "10100001"
    assert [role.BusinessPartnerRole for role in read.to_BusinessPartnerRole] == ["FLCU01"]
    assert (found.total_count, counted, found[0].OrganizationBPName1) == (1, 1, "Acme")
    assert read.CreationDate.tzinfo is not None


async def test_it_sends_change_sets(opened: Open) -> None:
    client = await opened("API_BUSINESS_PARTNER")

    def work() -> int:
        changes = client.create_changeset("c1")
        for name in ("Acme", "Bolt"):
            request = client.entity_sets.A_BusinessPartner.create_entity()
            changes.add_request(request.set(BusinessPartnerCategory="2", OrganizationBPName1=name))
        batch = client.create_batch("b1")
        batch.add_request(changes)
        batch.execute()
        return int(client.entity_sets.A_BusinessPartner.get_entities().count().execute())

    assert await asyncio.to_thread(work) == 2


async def test_it_reads_and_cancels_what_our_connector_billed(
    opened: Open, connector: S4Connector, firm: S4Firm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    posted = await connector.create_invoice(draft())
    client = await opened("API_BILLING_DOCUMENT_SRV")

    def work() -> Any:
        document = client.entity_sets.A_BillingDocument.get_entity(posted.source.ref).execute()
        cancel = client.functions.Cancel.parameter("BillingDocument", posted.source.ref)
        with pytest.raises(KeyError, match="EntitySet None"):  # it cannot read answers that are no entities
            cancel.execute()
        return document

    document = await asyncio.to_thread(work)
    assert Decimal(document.TotalGrossAmount) == posted.gross.amount
    assert document.BillingDocumentDate.date() == posted.invoice_on
    assert await firm.read_invoices() == []


async def test_it_releases_a_project_by_its_function(opened: Open) -> None:
    client = await opened("API_ENTERPRISE_PROJECT_SRV")

    def work() -> tuple[str, str]:
        request = client.entity_sets.A_EnterpriseProject.create_entity()
        made = request.set(
            Project="PRJ_PY",
            ProjectDescription="By pyodata",
            ProjectProfileCode="YP05",
            ProjectStartDate="2026-01-01T00:00:00",
            ResponsibleCostCenter="10101301",
        ).execute()
        function = client.functions.ChangeEntProjProcgStatus
        released = function.parameter("ProjectUUID", made.ProjectUUID).parameter("ProcessingStatus", "10").execute()
        return made.ProcessingStatus, released.ProcessingStatus

    assert await asyncio.to_thread(work) == ("00", "10")
