"""The simulator on the raw wire: sessions and tokens, typing of values, versions, pages, batches, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER, FIRM_USER
from system_apis.dialects.odata import Part, compose_batch, read_batch
from tests.conformance.served import Sandbox

ODATA = "/sap/opu/odata/sap"
PARTNERS = f"{ODATA}/API_BUSINESS_PARTNER"
AUTH = (CONNECTOR_USER.name, CONNECTOR_USER.password)
PARTNER = {
    "BusinessPartnerCategory": "2",
    "OrganizationBPName1": "Acme",
    "to_BusinessPartnerRole": {"results": [{"BusinessPartnerRole": "FLCU01"}]},
}


class Caller:
    """A client that fetches its token by hand, as the documents describe it."""

    def __init__(self, base_url: str, http: httpx.AsyncClient) -> None:
        self.base_url = base_url
        self.http = http
        self.pair: dict[str, str] = {}

    async def fetch(self) -> httpx.Response:
        self.http.cookies.clear()
        answer = await self.http.head(f"{self.base_url}{PARTNERS}/", headers={"x-csrf-token": "Fetch"}, auth=AUTH)
        cookies = [cookie.split(";", 1)[0] for cookie in answer.headers.get_list("set-cookie")]
        self.pair = {"x-csrf-token": answer.headers["x-csrf-token"], "cookie": "; ".join(cookies)}
        return answer

    async def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        url = path if "://" in path else f"{self.base_url}{path}"
        self.http.cookies.clear()  # only what is sent by hand counts
        return await self.http.request(method, url, json=body, headers={**self.pair, **(headers or {})}, auth=AUTH)


@pytest.fixture
async def caller(s4hana: Sandbox, http: httpx.AsyncClient) -> Caller:
    caller = Caller(s4hana.base_url, http)
    await caller.fetch()
    return caller


async def made_partner(caller: Caller) -> dict[str, Any]:
    answer = await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", PARTNER)
    assert answer.status_code == 201, answer.text
    return answer.json()["d"]


# --- sessions ------------------------------------------------------------------------------------------------------
async def test_a_write_needs_the_token_and_the_cookies_of_one_session(caller: Caller) -> None:
    whole = dict(caller.pair)
    other = (await caller.fetch()).headers["x-csrf-token"]
    for pair in (
        {},
        {"x-csrf-token": whole["x-csrf-token"]},
        {"cookie": whole["cookie"]},
        {"x-csrf-token": other, "cookie": whole["cookie"]},
    ):
        caller.pair = pair
        refused = await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", PARTNER)
        assert (refused.status_code, refused.headers["x-csrf-token"]) == (403, "Required")
        assert "CSRF token" in refused.text
    caller.pair = whole
    await made_partner(caller)


async def test_a_token_ends_with_its_session(s4hana: Sandbox, caller: Caller) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"end_sessions": True})
    assert (await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", PARTNER)).status_code == 403
    await caller.fetch()
    await made_partner(caller)


async def test_a_session_of_another_user_is_worth_nothing(caller: Caller, http: httpx.AsyncClient) -> None:
    answer = await http.post(
        f"{caller.base_url}{PARTNERS}/A_BusinessPartner",
        json=PARTNER,
        headers=caller.pair,
        auth=(FIRM_USER.name, FIRM_USER.password),
    )
    assert answer.status_code == 403


async def test_batches_and_the_v4_service_want_the_token_too(caller: Caller) -> None:
    caller.pair = {}
    for path in (
        f"{PARTNERS}/$batch",
        "/sap/opu/odata4/sap/api_billingdocument/srvd_a2x/sap/billingdocument/0001/BillingDocument/SAP__self.CreateFromSDDocument",
    ):
        assert (await caller.send("POST", path, {})).status_code == 403


async def test_client_credentials_give_a_bearer_token(s4hana: Sandbox, http: httpx.AsyncClient) -> None:
    url = f"{s4hana.base_url}/sap/bc/sec/oauth2/token"
    form = {"grant_type": "client_credentials", "scope": "API_ENTERPRISE_PROJECT_SRV_0002"}
    assert (await http.post(url, data=form, auth=(CONNECTOR_USER.name, "wrong"))).status_code == 401
    granted = (await http.post(url, data=form, auth=AUTH)).json()
    bearer = {"authorization": f"Bearer {granted['access_token']}"}
    assert (await http.get(f"{s4hana.base_url}{PARTNERS}/A_BusinessPartner", headers=bearer)).status_code == 200
    s4hana.simulator.wire.faults.clear()
    s4hana.fault(FaultKind.SESSION_EXPIRED)
    assert (await http.get(f"{s4hana.base_url}{PARTNERS}/A_BusinessPartner", headers=bearer)).status_code == 401


async def test_nobody_unknown_is_let_in(s4hana: Sandbox, http: httpx.AsyncClient) -> None:
    refused = await http.get(f"{s4hana.base_url}{PARTNERS}/A_BusinessPartner", auth=(CONNECTOR_USER.name, "wrong"))
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")


async def test_too_many_at_once_are_told_to_wait(s4hana: Sandbox, http: httpx.AsyncClient) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"at_once": 0})
    answer = await http.get(f"{s4hana.base_url}{PARTNERS}/A_BusinessPartner", auth=AUTH)
    assert answer.status_code == 429


# --- values --------------------------------------------------------------------------------------------------------
async def test_values_are_typed_as_version_2_types_them(firm: S4Firm) -> None:
    (row,) = await firm.rows("YY1_TLRATE_CDS/YY1_TLRATE", where="RateCard eq 'RC-JP'")
    assert row["Rate_V"] == "13000"
    assert row["ValidFrom"] == "/Date(1767225600000)/"
    assert row["ValidTo"] is None
    assert row["SAP_LastChangedDateTime"].endswith("+0000)/")
    assert row["__metadata"]["etag"].startswith("W/\"datetimeoffset'")
    assert row["__metadata"]["uri"].endswith(f"YY1_TLRATE(guid'{row['SAP_UUID']}')")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Rate_V", 12.5),
        ("Rate_V", "12.1234567"),
        ("Rate_V", "twelve"),
        ("ValidFrom", "2026-13-01T00:00:00"),
        ("Rate_C", "EUROS1"),
        ("Role", 7),
        ("SAP_LastChangedDateTime", "/Date(0)/"),
        ("Unheard", "of"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_with_its_field(caller: Caller, field: str, value: object) -> None:
    refused = await caller.send("POST", f"{ODATA}/YY1_TLRATE_CDS/YY1_TLRATE", {"RateCard": "X", field: value})
    assert refused.status_code == 400
    error = refused.json()["error"]
    details = error["innererror"]["errordetails"]
    assert error["message"]["lang"] == "en"
    assert [detail["propertyref"] for detail in details] == [field]


async def test_numbers_are_known_with_and_without_zeros(s4hana: Sandbox, caller: Caller) -> None:
    partner = await made_partner(caller)
    assert partner["BusinessPartner"] == "10100001"
    for number in ("10100001", "0010100001"):
        assert (await caller.send("GET", f"{PARTNERS}/A_BusinessPartner('{number}')")).status_code == 200
        found = await caller.send("GET", f"{PARTNERS}/A_BusinessPartner?$filter=BusinessPartner eq '{number}'")
        assert len(found.json()["d"]["results"]) == 1
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"pads_numbers": True})
    told = (await caller.send("GET", f"{PARTNERS}/A_BusinessPartner('10100001')")).json()["d"]
    assert told["BusinessPartner"] == "0010100001"


async def test_literals_in_conditions_are_typed(firm: S4Firm) -> None:
    rates = "YY1_TLRATE_CDS/YY1_TLRATE"
    assert await firm.count(rates, "ValidFrom eq datetime'2026-07-01T00:00:00'") == 1
    assert await firm.count(rates, "Rate_V gt 121M and Rate_C eq 'EUR'") == 1
    assert await firm.count(rates, "SAP_LastChangedDateTime ge datetimeoffset'2020-01-01T00:00:00Z'") == 3
    (row,) = await firm.rows(rates, where="RateCard eq 'RC-JP'")
    assert await firm.count(rates, f"SAP_UUID eq guid'{row['SAP_UUID']}'") == 1
    assert await firm.count(rates, "substringof('DE',RateCard)") == 2


# --- reading -------------------------------------------------------------------------------------------------------
async def test_pages_lead_on_and_count_what_there_is(s4hana: Sandbox, firm: S4Firm, caller: Caller) -> None:
    del firm
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"page_size": 2})
    url = f"{ODATA}/YY1_TLRATE_CDS/YY1_TLRATE?$inlinecount=allpages&$orderby=RateCard,ValidFrom desc&$select=RateCard"
    first = (await caller.send("GET", url)).json()["d"]
    assert (first["__count"], len(first["results"])) == ("3", 2)
    assert set(first["results"][0]) == {"__metadata", "RateCard"}
    second = (await caller.send("GET", first["__next"])).json()["d"]
    assert len(second["results"]) == 1
    assert "__next" not in second
    skipped = (await caller.send("GET", f"{ODATA}/YY1_TLRATE_CDS/YY1_TLRATE?$skip=1&$top=1")).json()["d"]
    assert len(skipped["results"]) == 1


async def test_children_come_deferred_or_expanded(caller: Caller) -> None:
    partner = await made_partner(caller)
    path = f"{PARTNERS}/A_BusinessPartner('{partner['BusinessPartner']}')"
    plain = (await caller.send("GET", path)).json()["d"]
    assert plain["to_BusinessPartnerRole"]["__deferred"]["uri"].endswith("/to_BusinessPartnerRole")
    whole = (await caller.send("GET", f"{path}?$expand=to_BusinessPartnerRole,to_Customer/to_CustomerCompany")).json()[
        "d"
    ]
    assert [one["BusinessPartnerRole"] for one in whole["to_BusinessPartnerRole"]["results"]] == ["FLCU01"]
    assert whole["to_Customer"]["to_CustomerCompany"]["results"] == []
    followed = (await caller.send("GET", f"{path}/to_BusinessPartnerRole")).json()["d"]["results"]
    assert len(followed) == 1


async def test_what_is_not_there_is_told(caller: Caller) -> None:
    assert (await caller.send("GET", f"{PARTNERS}/A_BusinessPartner('1')")).status_code == 404
    assert (await caller.send("GET", f"{PARTNERS}/A_Stranger")).status_code == 404
    assert (await caller.send("GET", f"{ODATA}/API_UNHEARD_OF/X")).status_code == 404
    await made_partner(caller)
    for option in ("$filter=Unheard eq 'x'", "$select=Unheard", "$expand=to_Unheard", "$orderby=Unheard", "$filter=(("):
        refused = await caller.send("GET", f"{PARTNERS}/A_BusinessPartner?{option}")
        assert refused.status_code == 400, option


# --- writing -------------------------------------------------------------------------------------------------------
async def test_a_deep_insert_is_done_whole_or_not_at_all(s4hana: Sandbox, caller: Caller) -> None:
    area = {"SalesOrganization": "9999", "DistributionChannel": "10", "Division": "00", "Currency": "EUR"}
    broken = {**PARTNER, "to_Customer": {"to_CustomerSalesArea": {"results": [area]}}}
    refused = await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", broken)
    assert refused.status_code == 400
    assert "9999" in refused.json()["error"]["message"]["value"]
    assert not s4hana.simulator.counts().keys() & {"A_BusinessPartner", "A_BusinessPartnerRole", "A_Customer"}
    area["SalesOrganization"] = "1010"
    assert (await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", broken)).status_code == 201
    assert s4hana.simulator.counts()["A_CustomerSalesArea"] == 1


async def test_a_change_names_the_version_it_changes(caller: Caller) -> None:
    partner = await made_partner(caller)
    path = f"{PARTNERS}/A_BusinessPartner('{partner['BusinessPartner']}')"
    etag = partner["__metadata"]["etag"]
    body = {"OrganizationBPName1": "Acme Shipping"}
    assert (await caller.send("PATCH", path, body)).status_code == 428
    assert (await caller.send("PATCH", path, body, {"if-match": etag})).status_code == 204
    assert (await caller.send("PATCH", path, body, {"if-match": etag})).status_code == 412
    assert (await caller.send("PATCH", path, body, {"if-match": "*"})).status_code == 204
    merged = {"if-match": "*", "x-http-method": "MERGE"}
    assert (await caller.send("POST", path, {"SearchTerm1": "ACME"}, merged)).status_code == 204
    told = (await caller.send("GET", path)).json()["d"]
    assert (told["BusinessPartnerName"], told["SearchTerm1"]) == ("Acme Shipping", "ACME")
    assert (await caller.send("DELETE", path, None, {"if-match": "*"})).status_code == 405


async def test_a_locked_row_is_not_written(s4hana: Sandbox, caller: Caller) -> None:
    partner = await made_partner(caller)
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"locked": [partner["BusinessPartner"]]})
    path = f"{PARTNERS}/A_BusinessPartner('{partner['BusinessPartner']}')"
    refused = await caller.send("PATCH", path, {"SearchTerm1": "A"}, {"if-match": "*"})
    assert (refused.status_code, "locked" in refused.text) == (409, True)
    s4hana.simulator.configure({"unlocked": [partner["BusinessPartner"]]})
    assert (await caller.send("PATCH", path, {"SearchTerm1": "A"}, {"if-match": "*"})).status_code == 204


async def test_a_change_set_is_done_whole_or_not_at_all(caller: Caller) -> None:
    partner = await made_partner(caller)
    number = partner["BusinessPartner"]
    root = f"A_BusinessPartner('{number}')"

    async def batch(*parts: Part | list[Part]) -> list[Any]:
        content, kind = compose_batch(parts)
        answer = await caller.http.post(
            f"{caller.base_url}{PARTNERS}/$batch",
            content=content,
            headers={**caller.pair, "content-type": kind},
            auth=AUTH,
        )
        assert answer.status_code == 202
        return list(read_batch(answer.content, answer.headers["content-type"], "s4hana"))

    role = {"BusinessPartner": number, "BusinessPartnerRole": "FLCU00"}
    good = Part("POST", "A_BusinessPartnerRole", role)
    bad = Part("POST", f"{root}/to_BusinessPartnerAddress", {"Country": "Germany"[:3]})
    (refused,) = await batch([good, bad])
    assert refused.status == 400
    assert refused.body["error"]["code"] == "AM/032"
    fine = Part("POST", f"{root}/to_BusinessPartnerAddress", {"Country": "DE"})
    done = await batch([good, fine], Part("GET", f"{root}/to_BusinessPartnerRole"))
    assert [one.status for one in done] == [201, 201, 200]
    assert len(done[-1].body["d"]["results"]) == 2
    (alone,) = await batch(Part("POST", "A_BusinessPartnerRole", role))
    assert alone.status == 400


async def test_function_imports_take_typed_literals_in_the_address(caller: Caller) -> None:
    path = f"{ODATA}/API_ENTERPRISE_PROJECT_SRV;v=0002/ChangeEntProjProcgStatus"
    nobody = "guid'00000000-0000-0000-0000-000000000001'"
    wrong = (
        f"{path}?ProjectUUID='x'&ProcessingStatus='10'",
        f"{path}?ProcessingStatus='10'",
        f"{path}?ProjectUUID={nobody}&ProcessingStatus='10'",
    )
    for address in wrong:
        assert (await caller.send("POST", address)).status_code == 400
    assert (await caller.send("GET", wrong[2])).status_code == 405


async def test_the_root_element_is_not_changed_by_itself(caller: Caller, s4hana: Sandbox) -> None:
    service = f"{ODATA}/API_ENTERPRISE_PROJECT_SRV;v=0002"
    body = {
        "Project": "prj_root",
        "ProjectDescription": "Root",
        "ProjectProfileCode": "YP05",
        "ProjectStartDate": "2026-01-01T00:00:00",
        "ResponsibleCostCenter": "10101301",
    }
    made = await caller.send("POST", f"{service}/A_EnterpriseProject", body)
    assert made.json()["d"]["Project"] == "PRJ_ROOT"
    again = await caller.send("POST", f"{service}/A_EnterpriseProject", body)
    assert "already exists" in again.text
    listed = await caller.send("GET", f"{service}/A_EnterpriseProjectElement")
    (root,) = listed.json()["d"]["results"]
    assert root["ParentObjectUUID"] is None
    path = f"{service}/A_EnterpriseProjectElement(guid'{root['ProjectElementUUID']}')"
    refused = await caller.send("PATCH", path, {"ProjectElementDescription": "X"}, {"if-match": "*"})
    assert refused.json()["error"]["code"] == "/S4PPM/CRUD/377"
    assert s4hana.simulator.counts()["A_EnterpriseProject"] == 1


async def test_a_periodic_plan_fills_itself(firm: S4Firm, caller: Caller) -> None:
    del firm
    area = {"SalesOrganization": "1010", "DistributionChannel": "10", "Division": "00"}
    customer = {"to_CustomerSalesArea": {"results": [{**area, "Currency": "EUR"}]}}
    number = (await caller.send("POST", f"{PARTNERS}/A_BusinessPartner", {**PARTNER, "to_Customer": customer})).json()[
        "d"
    ]
    item = {
        "SalesOrderItem": "10",
        "SalesOrderItemCategory": "WVN",
        "Material": "SVC-IMPL",
        "RequestedQuantity": "1",
        "to_PricingElement": {
            "results": [{"ConditionType": "PMP0", "ConditionRateValue": "100", "ConditionCurrency": "EUR"}]
        },
        "to_BillingPlan": {"BillingPlanStartDate": "2026-11-15T00:00:00"},
    }
    order = {
        "SalesOrganization": "1010",
        "DistributionChannel": "10",
        "OrganizationDivision": "00",
        "SoldToParty": number["BusinessPartner"],
        "CustomerPaymentTerms": "NT30",
        "to_Item": {"results": [item]},
    }
    made = await caller.send("POST", f"{ODATA}/API_SALES_ORDER_SRV/A_SalesOrder", order)
    assert made.status_code == 201, made.text
    assert made.json()["d"]["TotalNetAmount"] == "100.00"
    plans = await caller.send("GET", f"{ODATA}/API_SALES_ORDER_SRV/A_SlsOrderItemBillingPlanItem")
    dates = plans.json()["d"]["results"]
    assert len(dates) == 12
    assert {one["BillingPlanAmount"] for one in dates} == {"100.00"}
    key = {name: dates[0][name] for name in ("SalesOrder", "SalesOrderItem", "BillingPlan")}
    address = ",".join(f"{name}='{value}'" for name, value in key.items())
    refused = await caller.send(
        "POST",
        f"{ODATA}/API_SALES_ORDER_SRV/A_SalesOrderItemBillingPlan({address})/to_BillingPlanItem",
        {"BillingPlanBillingDate": "2026-12-01T00:00:00"},
    )
    assert refused.json()["error"]["code"] == "V1/467"
