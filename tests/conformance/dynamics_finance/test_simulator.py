"""The simulator speaks the product's wire: what its pages say, asked for without the connector."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from deploy.sandbox.dynamics_finance import packages
from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.dynamics_finance.set_up import companies_of
from deploy.sandbox.dynamics_finance.simulator import TENANT
from deploy.sandbox.kit.deliveries import Subscription
from system_apis.dialects import odata
from tests.conformance.dynamics_finance.conftest import CONNECTOR, LOADER
from tests.conformance.served import Mailbox, Sandbox

YES = f"{NAMESPACE}.NoYes'Yes'"
FRAMEWORK = f"/data/DataManagementDefinitionGroups/{NAMESPACE}"


class Wire:
    """Raw requests of the loader's application."""

    def __init__(self, root: str, http: httpx.AsyncClient) -> None:
        self.root = root
        self._http = http
        self.token = ""

    async def sign_in(self, **changed: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": LOADER.client_id,
            "client_secret": LOADER.secret,
            "scope": f"{self.root}/.default",
        }
        answer = await self._http.post(f"{self.root}/{TENANT}/oauth2/v2.0/token", data={**form, **changed})
        if answer.is_success:
            self.token = answer.json()["access_token"]
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
        return await self._http.request(method, self.root + path, json=body, headers=sent, content=content)


@pytest.fixture
async def wire(finance: Sandbox, http: httpx.AsyncClient, firm: DynamicsFinanceFirm) -> Wire:
    del firm  # the firm is loaded
    wire = Wire(finance.base_url, http)
    await wire.sign_in()
    return wire


def switch(finance: Sandbox, **switches: Any) -> None:
    assert finance.simulator.configure is not None
    finance.simulator.configure(switches)


def told(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["innererror"]["message"])


CUSTOMER = {
    "dataAreaId": "hcde",
    "CustomerAccount": "C-1",
    "CustomerGroupId": "TL",
    "OrganizationName": "Acme",
    "SalesCurrencyCode": "EUR",
}


# --- the door ------------------------------------------------------------------------------------------------------
async def test_entra_refuses_in_its_own_words(finance: Sandbox, http: httpx.AsyncClient) -> None:
    wire = Wire(finance.base_url, http)
    wrong = await wire.sign_in(client_secret="other")
    assert wrong.status_code == 401
    assert wrong.json()["error"] == "invalid_client"
    assert wrong.json()["error_description"].startswith("AADSTS7000215")
    slash = await wire.sign_in(scope=f"{finance.base_url}//.default")
    assert (slash.status_code, slash.json()["error"]) == (400, "invalid_scope")
    stranger = await wire.sign_in(client_id="nobody")
    assert stranger.json()["error"] == "unauthorized_client"


async def test_the_older_token_endpoint_takes_a_resource(finance: Sandbox, http: httpx.AsyncClient) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": LOADER.client_id,
        "client_secret": LOADER.secret,
        "resource": finance.base_url,
    }
    answer = await http.post(f"{finance.base_url}/{TENANT}/oauth2/token", data=form)
    assert answer.json()["token_type"] == "Bearer"


async def test_an_application_that_is_not_registered_inside_gets_an_empty_401(finance: Sandbox, wire: Wire) -> None:
    switch(finance, registered={LOADER.client_id: False})
    answer = await wire.ask("GET", "/data/LegalEntities")
    assert (answer.status_code, answer.content) == (401, b"")


# --- companies and keys --------------------------------------------------------------------------------------------
async def test_without_cross_company_only_the_default_company_is_seen(wire: Wire) -> None:
    created = await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    assert created.status_code == 201
    key = "/data/CustomersV3(dataAreaId='hcde',CustomerAccount='C-1')"
    assert (await wire.ask("GET", "/data/CustomersV3")).json()["value"] == []
    assert (await wire.ask("GET", key)).status_code == 404
    assert (await wire.ask("GET", f"{key}?cross-company=true")).json()["OrganizationName"] == "Acme"
    seen = await wire.ask("GET", "/data/CustomersV3?cross-company=true&$filter=dataAreaId eq 'hcde'")
    assert [row["CustomerAccount"] for row in seen.json()["value"]] == ["C-1"]


async def test_every_part_of_a_key_is_named(wire: Wire) -> None:
    await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    answer = await wire.ask("GET", "/data/CustomersV3(CustomerAccount='C-1')?cross-company=true")
    assert answer.status_code == 400
    assert "dataAreaId, CustomerAccount" in told(answer)


async def test_a_duplicate_is_a_400_with_an_infolog(wire: Wire) -> None:
    await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    again = await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    assert again.status_code == 400
    assert re.search(r"Infolog: Warning: .*already exists.*; Warning: validateWrite failed on data source", told(again))


async def test_the_server_fills_in_what_was_left_out(wire: Wire) -> None:
    row = (await wire.ask("POST", "/data/CustomersV3", CUSTOMER)).json()
    assert row["PartyNumber"].startswith("PTY-")
    assert row["OnHoldStatus"] == "No"
    minimal = {**CUSTOMER, "CustomerAccount": "C-2"}
    silent = await wire.ask("POST", "/data/CustomersV3", minimal, headers={"prefer": "return=minimal"})
    assert (silent.status_code, silent.content) == (204, b"")


async def test_a_row_carries_record_and_version_in_its_etag(wire: Wire) -> None:
    row = (await wire.ask("POST", "/data/CustomersV3", CUSTOMER)).json()
    inside = re.fullmatch(r'W/"(.+)"', row["@odata.etag"])
    assert inside
    assert re.fullmatch(r"'1,\d+'", base64.b64decode(inside.group(1)).decode())
    key = "/data/CustomersV3(dataAreaId='hcde',CustomerAccount='C-1')?cross-company=true"
    good = await wire.ask("PATCH", key, {"OrganizationName": "A"}, headers={"if-match": row["@odata.etag"]})
    stale = await wire.ask("PATCH", key, {"OrganizationName": "B"}, headers={"if-match": row["@odata.etag"]})
    careless = await wire.ask("PATCH", key, {"OrganizationName": "C"})
    assert [good.status_code, stale.status_code, careless.status_code] == [204, 412, 204]
    assert (await wire.ask("GET", key)).json()["OrganizationName"] == "C"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"Colour": "red"}, "does not exist on type"),
        ({"SalesCurrencyCode": "XXX"}, "Currency XXX does not exist"),
        ({"CustomerGroupId": "NONE"}, "CustomerGroups"),
        ({"OrganizationName": "x" * 101}, "longer than 100"),
        ({"OnHoldStatus": "Perhaps"}, "is not a member"),
        ({"CustomerGroupId": ""}, "must be filled in"),
        ({"dataAreaId": "zzzz"}, "Company zzzz does not exist"),
        ({"PartyNumber": "P"}, "not editable"),
    ],
)
async def test_a_row_that_breaks_a_rule_is_refused_whole(wire: Wire, body: dict[str, str], reason: str) -> None:
    answer = await wire.ask("POST", "/data/CustomersV3", {**CUSTOMER, **body})
    assert answer.status_code == 400
    assert reason in told(answer)
    count = await wire.ask("GET", "/data/CustomersV3/$count?cross-company=true")
    assert count.text == "0"


# --- queries -------------------------------------------------------------------------------------------------------
async def test_enumerations_are_compared_as_typed_members_only(wire: Wire) -> None:
    path = "/data/LegalEntities?$filter=TLIsApproved "
    good = await wire.ask("GET", f"{path}eq {YES}")
    assert {row["TLCode"] for row in good.json()["value"]} == {"HC-DE", "HC-JP"}
    for wrong in ("eq 'Yes'", f"gt {YES}", "eq Microsoft.Dynamics.DataEntities.NoYes'Maybe'"):
        assert (await wire.ask("GET", path + wrong)).status_code == 400


async def test_contains_is_written_as_a_wildcard_and_in_is_not_known(wire: Wire) -> None:
    found = await wire.ask("GET", "/data/LegalEntities?$filter=Name eq '*gmbh*'")
    assert [row["TLCode"] for row in found.json()["value"]] == ["HC-DE"]
    assert (await wire.ask("GET", "/data/LegalEntities?$filter=LegalEntityId in ('hcde')")).status_code == 400


async def test_pages_are_cut_by_the_server_and_linked(finance: Sandbox, wire: Wire) -> None:
    switch(finance, page_rows=2)
    path = "/data/PaymentTerms?cross-company=true&$count=true&$select=Name&$filter=dataAreaId eq 'hcde'"
    first = (await wire.ask("GET", path)).json()
    assert first["@odata.count"] == 12
    names, following = [row["Name"] for row in first["value"]], first["@odata.nextLink"]
    while following:
        page = (await wire.ask("GET", following.removeprefix(wire.root))).json()
        names += [row["Name"] for row in page["value"]]
        following = page.get("@odata.nextLink")
    assert len(names) == len(set(names)) == 12
    assert set(first["value"][0]) == {"@odata.etag", "Name"}


async def test_days_are_shown_at_noon_and_empty_ones_in_1900(wire: Wire) -> None:
    rows = (await wire.ask("GET", "/data/ProjHourSalesPricesV2?cross-company=true&$orderby=TransDate desc")).json()
    newest = rows["value"][0]
    assert newest["TransDate"] == "2026-07-01T12:00:00Z"
    assert newest["EndDate"] == "1900-01-01T12:00:00Z"


async def test_sets_and_options_that_are_not_there_are_told(finance: Sandbox, wire: Wire) -> None:
    assert (await wire.ask("GET", "/data/Nothing")).status_code == 404
    assert (await wire.ask("GET", "/data/LegalEntities?$apply=x")).status_code == 400
    switch(finance, forbidden_sets=["LegalEntities"])
    assert (await wire.ask("GET", "/data/LegalEntities")).status_code == 403


# --- change sets ---------------------------------------------------------------------------------------------------
async def test_a_change_set_is_done_whole_or_not_at_all(wire: Wire) -> None:
    parts = [
        odata.Part("POST", f"{wire.root}/data/CustomersV3", {**CUSTOMER, "CustomerAccount": name})
        for name in ("A", "B", "A")
    ]
    for wanted, statuses, rows in ((parts, [400], "0"), (parts[:2], [201, 201], "2")):
        content, kind = odata.compose_batch([wanted])
        answer = await wire.ask("POST", "/data/$batch", headers={"content-type": kind}, content=content)
        answers = odata.read_batch(answer.content, answer.headers["content-type"], "finance")
        assert [one.status for one in answers] == statuses
        assert (await wire.ask("GET", "/data/CustomersV3/$count?cross-company=true")).text == rows


# --- data packages -------------------------------------------------------------------------------------------------
async def act(wire: Wire, action: str, **body: Any) -> httpx.Response:
    return await wire.ask("POST", f"{FRAMEWORK}.{action}", body)


async def uploaded(wire: Wire, http: httpx.AsyncClient, content: bytes) -> str:
    place = json.loads((await act(wire, "GetAzureWriteUrl", uniqueFileName="a.zip")).json()["value"])
    assert set(place) == {"BlobId", "BlobUrl"}
    bare = await http.put(place["BlobUrl"], content=content)
    assert bare.status_code == 400  # the storage wants to be told the kind of blob
    unsigned = await http.put(place["BlobUrl"].partition("?")[0], content=content)
    assert unsigned.status_code == 403
    await http.put(place["BlobUrl"], content=content, headers={"x-ms-blob-type": "BlockBlob"})
    return str(place["BlobUrl"])


def order(url: str) -> dict[str, Any]:
    return {
        "packageUrl": url,
        "definitionGroupId": "Test",
        "executionId": "",
        "execute": True,
        "overwrite": True,
        "legalEntityId": "hcde",
    }


async def test_a_package_runs_in_the_background_and_tells_its_bad_rows(wire: Wire, http: httpx.AsyncClient) -> None:
    rows = [{**CUSTOMER, "CustomerAccount": "C-1"}, {**CUSTOMER, "CustomerAccount": "C-2", "CustomerGroupId": "NO"}]
    url = await uploaded(wire, http, packages.compose("Test", {"Customers V3": rows}))
    execution = (await act(wire, "ImportFromPackage", **order(url))).json()["value"]
    meanwhile = await act(wire, "ImportFromPackage", **order(url))
    assert meanwhile.status_code == 500  # one at a time
    states = [(await act(wire, "GetExecutionSummaryStatus", executionId=execution)).json()["value"] for _ in range(3)]
    assert states == ["Executing", "PartiallySucceeded", "PartiallySucceeded"]
    errors = json.loads((await act(wire, "GetExecutionErrors", executionId=execution)).json()["value"])
    assert "CustomerGroups" in errors[0]["ErrorMessage"]
    about = {"executionId": execution, "entityName": "Customers V3"}
    assert (await act(wire, "GenerateImportTargetErrorKeysFile", **about)).json()["value"] is True
    keys = await http.get((await act(wire, "GetImportTargetErrorKeysFileUrl", **about)).json()["value"])
    assert "hcde,C-2" in keys.text
    assert (await wire.ask("GET", "/data/CustomersV3/$count?cross-company=true")).text == "1"


async def test_a_package_the_framework_cannot_read_is_refused(wire: Wire, http: httpx.AsyncClient) -> None:
    good = packages.compose("Test", {"Customers V3": [CUSTOMER]})
    assert (await act(wire, "ImportFromPackage", **order(await uploaded(wire, http, b"no zip")))).status_code == 400
    strange = packages.compose("Test", {"Spaceships": [CUSTOMER]})
    answer = await act(wire, "ImportFromPackage", **order(await uploaded(wire, http, strange)))
    assert "Spaceships does not exist" in told(answer)
    unknown = await act(wire, "GetExecutionSummaryStatus", executionId="none")
    assert unknown.status_code == 400
    assert packages.read(good)[0].rows[0]["CUSTOMERACCOUNT"] == "C-1"


async def test_an_export_with_change_tracking_brings_only_what_changed(wire: Wire, http: httpx.AsyncClient) -> None:
    await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    seen: list[list[str]] = []
    for account in ("C-2", ""):
        body = {"definitionGroupId": "Customers V3", "packageName": "p", "executionId": "", "reExecute": True}
        execution = (await act(wire, "ExportToPackage", **body, legalEntityId="hcde")).json()["value"]
        for _ in range(2):
            await act(wire, "GetExecutionSummaryStatus", executionId=execution)
        url = (await act(wire, "GetExportedPackageUrl", executionId=execution)).json()["value"]
        parts = packages.read((await http.get(url)).content)
        seen.append([row["CUSTOMERACCOUNT"] for part in parts for row in part.rows])
        if account:
            await wire.ask("POST", "/data/CustomersV3", {**CUSTOMER, "CustomerAccount": account})
    assert seen[0] == ["C-1"]
    assert "C-2" in seen[1]


# --- limits, periods, events ---------------------------------------------------------------------------------------
async def test_a_short_service_refuses_low_priority_first_and_asks_for_more_patience(
    finance: Sandbox, wire: Wire
) -> None:
    switch(finance, load=70, retry_after=1)
    waits = [(await wire.ask("GET", "/data/LegalEntities")).headers["retry-after"] for _ in range(3)]
    assert waits == ["1", "2", "4"]
    switch(finance, priorities={LOADER.client_id: "high"})
    assert (await wire.ask("GET", "/data/LegalEntities")).status_code == 200
    switch(finance, load=99, retry_after=None)
    bare = await wire.ask("GET", "/data/LegalEntities")
    assert (bare.status_code, "retry-after" in bare.headers) == (429, False)
    assert CONNECTOR.priority == "high"


async def test_classic_projects_mind_the_calendar_and_the_new_ones_the_integration(wire: Wire) -> None:
    await wire.ask("POST", "/data/ProjectContracts", {"dataAreaId": "hcde", "ProjectContractID": "K"})
    project = {
        "dataAreaId": "hcde",
        "ProjectID": "P",
        "ProjectGroup": "TL-TM",
        "ProjectContractID": "K",
        "StartDate1": "2026-10-03T12:00:00Z",
    }
    assert "not a working date" in told(await wire.ask("POST", "/data/Projects", project))
    new = {"dataAreaId": "hcde", "ProjectId": "P", "ProjectGroupId": "TL-TM", "ProjectContractId": "K"}
    assert "has not turned on Project Operations Integration" in told(await wire.ask("POST", "/data/ProjectsV2", new))
    numberless = {name: value for name, value in project.items() if name != "ProjectID"}
    assert "must be filled in" in told(await wire.ask("POST", "/data/Projects", numberless))


async def invoice(wire: Wire, amount: float = 10.0) -> int:
    await wire.ask("POST", "/data/CustomersV3", CUSTOMER)
    header = {
        "dataAreaId": "hcde",
        "CustomerAccount": "C-1",
        "CurrencyCode": "EUR",
        "InvoiceDate": "2026-10-28T00:00:00Z",
    }
    number = (await wire.ask("POST", "/data/FreeTextInvoiceHeaders", header)).json()["InvoiceIdentifier"]
    line = {
        "dataAreaId": "hcde",
        "ParentRecId": number,
        "LineNumber": 1,
        "MainAccountDisplayValue": "40020-001",
        "TransactionCurrencyAmount": amount,
        "SalesTaxGroupId": "TL-STD",
    }
    assert (await wire.ask("POST", "/data/FreeTextInvoiceLines", line)).status_code == 201
    return int(number)


async def post(wire: Wire, number: int) -> dict[str, str]:
    body = {"documentType": "FreeTextInvoice", "company": "hcde", "document": str(number)}
    answer = await wire.ask("POST", "/api/services/TLServices/TLPostingService/post", body)
    return dict(answer.json())


async def test_a_closed_period_takes_no_postings_and_nothing_is_half_posted(finance: Sandbox, wire: Wire) -> None:
    number = await invoice(wire)
    switch(finance, closed_periods=["2026-10"])
    said = await post(wire, number)
    assert said["IsPosted"] == "No"
    assert "is not open" in said["Infolog"]
    assert finance.simulator.counts()["CustTransactions"] == 0
    switch(finance, open_periods=["2026-10"])
    assert (await post(wire, number))["IsPosted"] == "Yes"


async def test_a_posted_invoice_is_a_voucher_that_nobody_changes(wire: Wire) -> None:
    number = await invoice(wire)
    await post(wire, number)
    key = f"/data/FreeTextInvoiceHeaders(dataAreaId='hcde',InvoiceIdentifier={number})?cross-company=true"
    row = (await wire.ask("GET", key)).json()
    assert (row["IsPosted"], row["InvoiceId"]) == ("Yes", "FTI-00000001")
    assert (await wire.ask("PATCH", key, {"CustomerReference": "x"})).status_code == 400
    assert (await wire.ask("DELETE", key)).status_code == 400
    totals = (await wire.ask("GET", "/data/SalesInvoiceHeadersV2?cross-company=true")).json()["value"][0]
    assert (totals["TotalInvoiceAmount"], totals["TotalTaxAmount"]) == (11.9, 1.9)


async def test_a_business_event_is_small_and_numbered(finance: Sandbox, wire: Wire, mail: Mailbox) -> None:
    assert finance.simulator.deliveries is not None
    finance.simulator.deliveries.subscription = Subscription(url=mail.url, secret="a-secret-of-the-relay")
    await post(wire, await invoice(wire))
    event = json.loads((await mail.first()).body)
    assert event["BusinessEventId"] == "CustFreeTextInvoicePostedBusinessEvent"
    assert (event["BusinessEventLegalEntity"], event["InvoiceId"]) == ("hcde", "FTI-00000001")
    assert re.fullmatch(r"/Date\(\d+\)/", event["EventTime"])
    assert event["ControlNumber"] > 0


async def test_metadata_tells_sets_types_and_enumerations(finance: Sandbox, wire: Wire) -> None:
    model = ET.fromstring((await wire.ask("GET", "/data/$metadata")).content)  # noqa: S314 - our own simulator's
    names = {one.get("Name") for one in model.iter("{http://docs.oasis-open.org/odata/ns/edm}EntitySet")}
    assert {"CustomersV3", "ProjectsV2", "ProjectInvoiceProposalHeaders"} <= names
    entity = (await wire.ask("GET", "/metadata/PublicEntities('CustomerV3')")).json()
    duties = {one["Name"] for one in entity["Properties"] if one["IsMandatory"]}
    assert duties == {"CustomerGroupId", "SalesCurrencyCode"}
    listed = (await wire.ask("GET", "/metadata/DataEntities")).json()["value"]
    assert {"Name": "CustCustomerV3Entity", "PublicCollectionName": "CustomersV3"}.items() <= next(
        one for one in listed if one["PublicEntityName"] == "CustomerV3"
    ).items()
    enumeration = (await wire.ask("GET", "/metadata/PublicEnumerations('NoYes')")).json()
    assert [one["Name"] for one in enumeration["Members"]] == ["No", "Yes"]
    switch(finance, proposals="absent")
    assert b"ProjectInvoiceProposalHeaders" not in (await wire.ask("GET", "/data/$metadata")).content


def test_company_ids_are_short_and_distinct() -> None:
    found = companies_of(["HC-DE", "HC-US", "H/C-DE", "Lisbon", "Dat", "x"])
    assert found["HC-DE"] == "hcde"
    assert len(set(found.values())) == len(found)
    assert all(len(name) <= 4 and name != "dat" for name in found.values())
