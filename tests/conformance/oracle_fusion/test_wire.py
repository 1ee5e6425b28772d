"""The simulator as its clients meet it: frameworks, queries, paging, change indicators, upserts, batches, refusals."""

from __future__ import annotations

import base64
import json
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm, code_of, receipt_number
from deploy.sandbox.oracle_fusion.simulator import USERS
from tests.conformance.oracle_fusion.pods import CLIENT, FINANCE, SECRET
from tests.conformance.served import Sandbox

ROOT = "fscmRestApi/resources/11.13.18.05"
ITEM = "application/vnd.oracle.adf.resourceitem+json"
BATCH = "application/vnd.oracle.adf.batch+json"


class Raw:
    """A client that adds nothing of its own but the password."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self.base_url = base_url
        self.http = http

    async def __call__(self, method: str, path: str, framework: int | None = 4, **kwargs: Any) -> httpx.Response:
        headers = {**({"REST-Framework-Version": str(framework)} if framework else {}), **kwargs.pop("headers", {})}
        if method in {"POST", "PATCH"}:
            headers.setdefault("Content-Type", ITEM)
        kwargs.setdefault("auth", (FINANCE, USERS[FINANCE]))
        return await self.http.request(method, f"{self.base_url}/{path}", headers=headers, **kwargs)


@pytest.fixture
async def raw(fusion: Sandbox, firm: OracleFusionFirm) -> Raw:
    return Raw(fusion.base_url, firm._http)


async def template(raw: Raw, **values: Any) -> httpx.Response:
    body = {"ProjectName": "P", "BusinessUnitName": "HC-DE Business Unit", "SourceTemplateNumber": "TL-SERVICES"}
    return await raw("POST", f"{ROOT}/projects", json={**body, **values})


# --- door ------------------------------------------------------------------------------------------------------------
async def test_the_identity_domain_speaks_oauth(raw: Raw) -> None:
    url, form = f"{raw.base_url}/oauth2/v1/token", {"grant_type": "client_credentials", "scope": "s"}
    good = await raw.http.post(url, data=form, auth=(CLIENT, SECRET))
    assert good.json()["token_type"] == "Bearer"
    assert good.json()["expires_in"] == 3600
    wrong = await raw.http.post(url, data=form, auth=(CLIENT, "wrong"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    strange = await raw.http.post(url, data={**form, "grant_type": "password"}, auth=(CLIENT, SECRET))
    assert (strange.status_code, strange.json()["error"]) == (400, "unsupported_grant_type")
    bare = await raw.http.post(url, data={"grant_type": "client_credentials"}, auth=(CLIENT, SECRET))
    assert bare.json()["error"] == "invalid_scope"
    assertion = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c", "scope": "s"}
    assert (await raw.http.post(url, data=assertion, auth=(CLIENT, SECRET))).json()["error"] == "invalid_grant"


async def test_nobody_comes_in_without_credentials(raw: Raw) -> None:
    answer = await raw.http.get(f"{raw.base_url}/{ROOT}/projects")
    assert answer.status_code == 401
    bearer = await raw.http.get(f"{raw.base_url}/{ROOT}/projects", headers={"Authorization": "Bearer made-up"})
    assert bearer.status_code == 401


# --- frameworks ------------------------------------------------------------------------------------------------------
async def test_the_context_root_tells_versions(raw: Raw) -> None:
    (version,) = (await raw("GET", "fscmRestApi/resources")).json()["items"]
    assert version["version"] == "11.13.18.05"
    assert version["adf:extension"]["allowedFrameworkVersions"][-1] == "9"
    assert (await raw("GET", "fscmRestApi/resources/latest/projects")).status_code == 200
    assert (await raw("GET", "fscmRestApi/resources/11.13.17.11/projects")).status_code == 404
    assert (await raw("GET", f"{ROOT}/projects", framework=10)).status_code == 400


async def test_q_is_an_example_in_framework_1_and_an_expression_from_2_on(raw: Raw) -> None:
    one = await raw("GET", f"{ROOT}/itemsV2", None, params={"q": "ItemNumber=SVC-IMPL;OrganizationCode=MASTER"})
    assert [item["ItemNumber"] for item in one.json()["items"]] == ["SVC-IMPL"]
    like = await raw("GET", f"{ROOT}/itemsV2", 1, params={"q": "ItemNumber like SVC-T*"})
    assert [item["ItemNumber"] for item in like.json()["items"]] == ["SVC-TRAIN"]
    two = await raw("GET", f"{ROOT}/itemsV2", 2, params={"q": "ItemNumber=SVC-IMPL;OrganizationCode=MASTER"})
    assert two.status_code == 400
    query = "(ItemNumber like 'SVC-T*' or ItemNumber in ('SVC-IMPL', 'X')) and OrganizationCode is not null"
    both = await raw("GET", f"{ROOT}/itemsV2", 2, params={"q": query})
    assert len(both.json()["items"]) == 2
    assert (await raw("GET", f"{ROOT}/itemsV2", 1, params={"q": query})).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["Nonsense = 1", "ItemNumber =", "ItemNumber ~ 'x'", "(ItemNumber = 'x'", "ItemNumber = 'x' 'y'", "ItemId = 'abc'",
     "ItemNumber in 'x'", "ItemNumber is empty"],
)  # fmt: skip
async def test_an_expression_that_cannot_be_read_is_refused(raw: Raw, query: str) -> None:
    assert (await raw("GET", f"{ROOT}/itemsV2", params={"q": query})).status_code == 400


async def test_children_are_lists_before_framework_3_and_pages_from_then_on(raw: Raw) -> None:
    path, expand = f"{ROOT}/standardLookups/THROUGHLINE_LEGAL_ENTITY", {"expand": "lookupCodes.lookupCodesDFF"}
    old = (await raw("GET", path, 2, params=expand)).json()
    assert isinstance(old["lookupCodes"], list)
    assert isinstance(old["lookupCodes"][0]["lookupCodesDFF"], list)
    new = (await raw("GET", path, 3, params=expand)).json()
    assert new["lookupCodes"]["hasMore"] is False
    assert new["lookupCodes"]["count"] == 3


async def test_errors_are_plain_text_until_framework_4_or_when_not_asked_for(raw: Raw) -> None:
    old = await raw("GET", f"{ROOT}/itemsV2", 3, params={"q": "Nonsense = 1"})
    assert old.headers["content-type"].startswith("text/plain")
    asked = {"Accept": "application/vnd.oracle.adf.error+json"}
    told = await raw("GET", f"{ROOT}/itemsV2", 3, params={"q": "Nonsense = 1"}, headers=asked)
    new = await raw("GET", f"{ROOT}/itemsV2", 4, params={"q": "Nonsense = 1"})
    for answer in (told, new):
        assert answer.headers["content-type"] == "application/vnd.oracle.adf.error+json"
        assert answer.json()["status"] == "400"
        assert answer.json()["o:errorDetails"][0]["o:errorCode"]


# --- collections -----------------------------------------------------------------------------------------------------
async def test_pages_hold_25_unless_asked_and_500_at_most(raw: Raw) -> None:
    page = (await raw("GET", f"{ROOT}/accountingPeriodStatusLOV", params={"totalResults": "true"})).json()
    assert (page["count"], page["limit"], page["offset"], page["hasMore"]) == (25, 25, 0, True)
    assert page["totalResults"] == 576
    large = (await raw("GET", f"{ROOT}/accountingPeriodStatusLOV", params={"limit": "9999"})).json()
    assert (large["count"], large["limit"]) == (500, 500)
    assert "totalResults" not in large
    last = (await raw("GET", f"{ROOT}/accountingPeriodStatusLOV", params={"limit": "500", "offset": "500"})).json()
    assert (last["count"], last["hasMore"]) == (76, False)
    for wrong in ({"limit": "x"}, {"limit": "0"}, {"offset": "-1"}):
        assert (await raw("GET", f"{ROOT}/itemsV2", params=wrong)).status_code == 400


async def test_fields_win_over_expand_and_onlydata_leaves_links_out(raw: Raw) -> None:
    params = {"fields": "ScheduleName;Rates:Rate", "expand": "all", "onlyData": "true"}
    card = (await raw("GET", f"{ROOT}/rateSchedules", params=params)).json()["items"][0]
    assert set(card) == {"ScheduleName", "Rates"}
    assert set(card["Rates"]["items"][0]) == {"Rate"}
    assert (await raw("GET", f"{ROOT}/rateSchedules", params={"fields": "Nonsense"})).status_code == 400
    assert (await raw("GET", f"{ROOT}/rateSchedules", params={"expand": "Nonsense"})).status_code == 400


async def test_rows_come_in_the_order_asked_for(raw: Raw) -> None:
    down = await raw("GET", f"{ROOT}/itemsV2", params={"orderBy": "ItemNumber:desc"})
    assert [item["ItemNumber"] for item in down.json()["items"]] == ["SVC-TRAIN", "SVC-IMPL"]
    assert (await raw("GET", f"{ROOT}/itemsV2", params={"orderBy": "Nonsense"})).status_code == 400


async def test_a_finder_finds_by_the_key(raw: Raw) -> None:
    item = (await raw("GET", f"{ROOT}/itemsV2")).json()["items"][0]
    finder = {"finder": f"PrimaryKey;ItemId={item['ItemId']}"}
    assert [one["ItemId"] for one in (await raw("GET", f"{ROOT}/itemsV2", params=finder)).json()["items"]] == [
        item["ItemId"]
    ]
    assert (await raw("GET", f"{ROOT}/itemsV2", params={"finder": "Nonsense;A=1"})).status_code == 400


# --- items -----------------------------------------------------------------------------------------------------------
async def test_links_carry_the_change_indicator_and_stale_writers_are_refused(raw: Raw) -> None:
    made = await template(raw)
    assert made.status_code == 201
    assert made.headers["content-type"] == ITEM
    link = next(link for link in made.json()["links"] if link["rel"] == "self")
    assert link["properties"]["changeIndicator"] == made.headers["etag"]
    path = f"{ROOT}/projects/{made.json()['ProjectId']}"
    first = await raw("PATCH", path, json={"ProjectDescription": "a"}, headers={"If-Match": made.headers["etag"]})
    assert first.status_code == 200
    stale = await raw("PATCH", path, json={"ProjectDescription": "b"}, headers={"If-Match": made.headers["etag"]})
    assert (stale.status_code, stale.headers["etag"]) == (412, first.headers["etag"])
    assert (await raw("GET", path)).json()["ProjectDescription"] == "a"


async def test_hash_keys_come_from_links_only(raw: Raw, firm: OracleFusionFirm) -> None:
    number = (await firm.rows("finBusinessUnitsLOV"))[0]["BusinessUnitId"]
    body = {"ContractTypeId": 300000000000001, "OrgId": number, "ContractNumber": "C-1"}
    made = await raw("POST", f"{ROOT}/contracts", json=body)
    href = next(link["href"] for link in made.json()["links"] if link["rel"] == "self")
    assert (await raw("GET", f"{ROOT}/contracts/{href.rsplit('/', 1)[1]}")).status_code == 200
    assert (await raw("GET", f"{ROOT}/contracts/{made.json()['ContractId']}")).status_code == 404


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"ProjectName": None}, "/ProjectName"),
        ({"ProjectName": "x" * 241}, "/ProjectName"),
        ({"ProjectId": 5}, "/ProjectId"),
        ({"Nonsense": 1}, "/Nonsense"),
        ({"ProjectStartDate": "1.2.2026"}, "/ProjectStartDate"),
        ({"ProjectDescription": 7}, "/ProjectDescription"),
        ({"SourceTemplateNumber": "NONE"}, "/SourceTemplateNumber"),
        ({"Tasks": [{"TaskNumber": "1", "TaskName": "T", "ParentTaskNumber": "9"}]}, "/ParentTaskNumber"),
        ({"Tasks": "none"}, "/Tasks"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_with_its_path(raw: Raw, values: dict[str, Any], path: str) -> None:
    answer = await template(raw, **values)
    assert answer.status_code == 400
    assert answer.json()["o:errorDetails"][0]["o:errorPath"] == path
    assert (await raw("GET", f"{ROOT}/projects")).json()["count"] == 0


async def test_names_and_numbers_of_projects_are_unique(raw: Raw) -> None:
    assert (await template(raw, ProjectNumber="7")).status_code == 201
    assert (await template(raw)).status_code == 400
    assert (await template(raw, ProjectName="Q", ProjectNumber="7")).status_code == 400


async def test_an_upsert_changes_what_it_matches(raw: Raw) -> None:
    upsert = {"Upsert-Mode": "true"}
    body = {"ItemNumber": "SVC-NEW", "ItemDescription": "one", "OrganizationCode": "MASTER"}
    made = await raw("POST", f"{ROOT}/itemsV2", json=body, headers=upsert)
    again = await raw("POST", f"{ROOT}/itemsV2", json={**body, "ItemDescription": "two"}, headers=upsert)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["ItemId"] == again.json()["ItemId"]
    assert again.json()["ItemDescription"] == "two"
    assert (await raw("POST", f"{ROOT}/itemsV2", json=body)).status_code == 400


async def test_media_types_are_looked_at(raw: Raw) -> None:
    xml = {"Content-Type": "application/xml"}
    assert (await raw("POST", f"{ROOT}/projects", content=b"<a/>", headers=xml)).status_code == 415
    assert (await raw("POST", f"{ROOT}/projects", content=b"{")).status_code == 400
    assert (await raw("POST", f"{ROOT}/projects", json=[])).status_code == 400
    plain = {"Content-Type": "application/json"}
    assert (await raw("POST", f"{ROOT}/itemsV2", json={"ItemNumber": "J"}, headers=plain)).status_code == 201


async def test_lists_of_values_take_nothing(raw: Raw) -> None:
    answer = await raw("POST", f"{ROOT}/memoLinesLOV", json={"MemoLineName": "x"})
    assert "Invalid operation" in answer.json()["o:errorDetails"][0]["detail"]
    assert (await raw("GET", f"{ROOT}/nonsense")).status_code == 404
    assert (await raw("GET", "crmRestApi/resources/11.13.18.05/projects")).status_code == 404


# --- batches ---------------------------------------------------------------------------------------------------------
async def test_a_batch_is_all_or_nothing_and_names_the_part_that_failed(raw: Raw) -> None:
    made = await template(raw)
    path = f"/projects/{made.json()['ProjectId']}"
    parts = [
        {"id": "a", "path": path, "operation": "update", "payload": {"ProjectDescription": "changed"}},
        {"id": "b", "path": f"{path}/child/Tasks", "operation": "create",
         "payload": {"TaskNumber": "1", "TaskName": "T"}},
        {"id": "c", "path": "/itemsV2", "operation": "upsert", "payload": {"ItemNumber": "BATCHED"}},
        {"id": "d", "path": f"{path}/child/Tasks", "operation": "create",
         "payload": {"TaskNumber": "1", "TaskName": "Double"}},
    ]  # fmt: skip
    media = {"Content-Type": BATCH}
    failed = await raw("POST", f"{ROOT}/", json={"parts": parts}, headers=media)
    assert failed.status_code == 400
    assert failed.headers["content-type"] == BATCH
    assert [part["id"] for part in failed.json()["parts"]] == ["d"]
    now = (await raw("GET", f"{ROOT}{path}", params={"expand": "Tasks"})).json()
    assert (now["ProjectDescription"], now["Tasks"]["count"]) == (None, 0)
    assert (await raw("GET", f"{ROOT}/itemsV2", params={"q": "ItemNumber='BATCHED'"})).json()["count"] == 0
    good = await raw("POST", f"{ROOT}/", json={"parts": parts[:3]}, headers=media)
    assert [part["id"] for part in good.json()["parts"]] == ["a", "b", "c"]
    stale = [{"id": "e", "path": path, "operation": "update", "payload": {}, "ifMatch": "00000001"}]
    assert (await raw("POST", f"{ROOT}/", json={"parts": stale}, headers=media)).status_code == 412


# --- receivables -----------------------------------------------------------------------------------------------------
async def account(firm: OracleFusionFirm, raw: Raw) -> None:
    body = {
        "PartyNumber": "cus_x",
        "OrganizationName": "X",
        "Address": [{"AddressNumber": "A1", "Address1": "Street", "Country": "DE"}],
    }
    party = await firm.ask("POST", "hubOrganizations", body=body, root="crmRestApi")
    lookups = await firm.rows("standardLookups/THROUGHLINE_LEGAL_ENTITY/child/lookupCodes", expand="lookupCodesDFF")
    sets = lookups[0]["lookupCodesDFF"]["items"][0]["customerSetId"]
    address = party["Address"]["items"][0]["AddressId"]
    assert (await merge(raw, party["PartyId"], address, sets)).status_code == 200


async def merge(raw: Raw, party: int, address: int, set_id: int, number: str = "cus_x") -> httpx.Response:
    space = "http://xmlns.oracle.com/apps/cdm/foundation/parties/customerAccountService/"
    content = (
        f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="{space}applicationModule/types/" '
        f'xmlns:c="{space}"><e:Body><t:mergeCustomerAccount><t:customerAccount><c:PartyId>{party}</c:PartyId>'
        f"<c:AccountNumber>{number}</c:AccountNumber><c:CustomerAccountSite><c:PartySiteId>{address}</c:PartySiteId>"
        f"<c:SetId>{set_id}</c:SetId><c:CustomerAccountSiteUse><c:SiteUseCode>BILL_TO</c:SiteUseCode>"
        "</c:CustomerAccountSiteUse></c:CustomerAccountSite></t:customerAccount></t:mergeCustomerAccount></e:Body></e:Envelope>"
    )
    media = {"Content-Type": "text/xml"}
    return await raw("POST", "crmService/CustomerAccountService", content=content.encode(), headers=media)


INVOICE: dict[str, Any] = {
    "BusinessUnit": "HC-DE Business Unit",
    "TransactionSource": "THROUGHLINE",
    "BillToCustomerNumber": "cus_x",
    "TransactionDate": "2026-10-28",
    "receivablesInvoiceLines": [{"Description": "Hours", "Quantity": 3, "UnitSellingPrice": 33.335}],
}


async def test_the_customer_service_answers_in_envelopes(raw: Raw, firm: OracleFusionFirm) -> None:
    await account(firm, raw)
    double = await merge(raw, 1, 1, 1)
    assert double.status_code == 500
    assert "JBO-25020" in double.text
    party = (await firm.ask("GET", "hubOrganizations", root="crmRestApi"))["items"][0]["PartyId"]
    again = await merge(raw, party, 1, 1)
    assert "JBO-26048" in again.text
    broken = await raw("POST", "crmService/CustomerAccountService", content=b"<a", headers={"Content-Type": "text/xml"})
    assert broken.status_code == 500


async def test_the_pod_calculates_what_nobody_states(raw: Raw, firm: OracleFusionFirm) -> None:
    await account(firm, raw)
    made = (await raw("POST", f"{ROOT}/receivablesInvoices", json=INVOICE)).json()
    line = made["receivablesInvoiceLines"]["items"][0]
    assert line["LineAmount"] == 100.01  # 3 x 33.335, rounded half up
    assert made["EnteredAmount"] == 119.01  # with the unit's 19 per cent
    assert (made["InvoiceStatus"], made["DueDate"]) == ("Complete", "2026-10-28")
    assert made["InvoiceBalanceAmount"] == 119.01


async def test_only_three_attributes_of_an_invoice_can_be_changed(raw: Raw, firm: OracleFusionFirm) -> None:
    await account(firm, raw)
    made = (await raw("POST", f"{ROOT}/receivablesInvoices", json=INVOICE)).json()
    path = f"{ROOT}/receivablesInvoices/{made['CustomerTransactionId']}"
    assert (await raw("PATCH", path, json={"Comments": "x"})).status_code == 400
    assert (await raw("DELETE", path)).status_code == 400
    opened = await raw("PATCH", path, json={"InvoiceStatus": "Incomplete"})
    assert opened.json()["InvoiceBalanceAmount"] == 0
    assert (await raw("DELETE", path)).status_code == 204
    assert (await raw("GET", path)).status_code == 404


async def test_an_invoice_with_money_on_it_stays_complete(raw: Raw, firm: OracleFusionFirm) -> None:
    await account(firm, raw)
    made = (await raw("POST", f"{ROOT}/receivablesInvoices", json=INVOICE)).json()
    await firm.pay(str(made["CustomerTransactionId"]), Decimal("10.00"), date(2026, 11, 1), "PAY-1")
    path = f"{ROOT}/receivablesInvoices/{made['CustomerTransactionId']}"
    assert (await raw("PATCH", path, json={"InvoiceStatus": "Incomplete"})).status_code == 400
    with pytest.raises(WireRefused, match="AR-855211"):
        await firm.pay(str(made["CustomerTransactionId"]), Decimal("1000.00"), date(2026, 11, 1), "PAY-2")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"BillToCustomerNumber": "1008"}, "AR-855060"),
        ({"BusinessUnit": "HC-JP Business Unit"}, "AR-855060"),
        ({"TransactionSource": "Unknown"}, "AR-855054"),
        ({"PaymentTerms": "7 Net"}, "AR-855054"),
        ({"receivablesInvoiceLines": []}, "AR-855040"),
        ({"receivablesInvoiceLines": [{"MemoLine": "None"}]}, "AR-855081"),
        ({"receivablesInvoiceLines": [{"receivablesInvoiceLineTaxLines": [{"TaxRateCode": "X"}]}]}, "ZX-885112"),
    ],
)
async def test_an_invoice_that_names_what_is_not_there_is_refused(
    raw: Raw, firm: OracleFusionFirm, values: dict[str, Any], code: str
) -> None:
    await account(firm, raw)
    answer = await raw("POST", f"{ROOT}/receivablesInvoices", json={**INVOICE, **values})
    assert answer.status_code == 400
    assert answer.json()["o:errorDetails"][0]["o:errorCode"] == code


async def test_setup_files_are_checked(raw: Raw) -> None:
    content = base64.b64encode(b"Nonsense\n1\n").decode()
    process = [{"FileContent": content}]
    for task, code in (("NO_SUCH_TASK", "ASM-40031"), ("AR_MANAGE_MEMO_LINES", "ASM-40033")):
        body = {"TaskCode": task, "SetupTaskCSVImportProcess": process}
        answer = await raw("POST", f"{ROOT}/setupTaskCSVImports", json=body)
        assert answer.json()["o:errorDetails"][0]["o:errorCode"] == code


# --- control ---------------------------------------------------------------------------------------------------------
async def test_switches_are_known_or_refused(raw: Raw, fusion: Sandbox) -> None:
    url = f"{fusion.server_url}/_control/oracle_fusion/switches"
    assert (await raw.http.post(url, json={"closed_periods": ["2026-10"], "language": "de"})).status_code == 204
    assert (await raw.http.post(url, json={"nonsense": 1})).status_code == 422
    assert (await raw.http.post(url, json={"language": "fr"})).status_code == 422
    assert (await raw.http.post(url, json={"closed_periods": ["October"]})).status_code == 422


async def test_a_pod_without_room_answers_429(raw: Raw, fusion: Sandbox) -> None:
    assert fusion.simulator.configure
    fusion.simulator.configure({"requests_left": 1})
    assert (await raw("GET", f"{ROOT}/itemsV2")).status_code == 200
    assert (await raw("GET", f"{ROOT}/itemsV2")).status_code == 429
    fusion.simulator.configure({"requests_left": None})
    assert (await raw("GET", f"{ROOT}/itemsV2")).status_code == 200


async def test_reset_empties_the_pod(raw: Raw, fusion: Sandbox) -> None:
    await raw.http.post(f"{fusion.server_url}/_control/oracle_fusion/reset")
    counts = json.loads((await raw.http.get(f"{fusion.server_url}/_control/oracle_fusion/counts")).content)
    assert not any(counts.values())


def test_codes_and_numbers_stay_short_and_apart() -> None:
    assert code_of("HC-DE") != code_of("HC DE")
    assert len(code_of("A product with a very long name of its own")) <= 30
    assert receipt_number("PAY-1") == "PAY-1"
    assert receipt_number("x" * 60) != receipt_number("x" * 61)
