"""The simulator speaks Dataverse's wire as documented: conditional writes, pages, deltas, batches, limits, closing."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.session import API, DataverseSession, Write
from deploy.sandbox.dynamics_sales.simulator import CONNECTOR_APP, LOADER_APP, TENANT
from deploy.sandbox.dynamics_sales.tokens import App
from deploy.sandbox.kit.firm import WireRefused
from tests.conformance.dynamics_sales.conftest import Place
from tests.conformance.dynamics_sales.environments import ask, firm_wire, load_closed
from tests.conformance.served import Serve
from tests.conformance.small_firm import tables

ALL = {"prefer": 'odata.include-annotations="*"'}
TRACK = {"prefer": "odata.track-changes"}


async def code_of(place: Place, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """Status and error code of an answer that refuses."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await place.admin.send(method, path, body, sent)
    return answer.status_code, answer.json()["error"]["code"]


# --- conditional writes -----------------------------------------------------------------------------------------------
async def test_a_plain_patch_makes_the_row_that_is_missing(place: Place) -> None:
    row_id = str(uuid4())
    answer = await place.admin.send("PATCH", f"accounts({row_id})", {"name": "Made"})
    assert answer.status_code == 204
    assert answer.headers["odata-entityid"].endswith(f"{API}/accounts({row_id})")
    assert (await place.admin.call("GET", f"accounts({row_id})"))["name"] == "Made"


async def test_conditions_decide_between_making_and_changing(place: Place) -> None:
    row_id = str(uuid4())
    path = f"accounts({row_id})"
    assert await code_of(place, "PATCH", path, {"name": "x"}, if_match="*") == (404, "0x80040217")
    made = await place.admin.send(
        "PATCH", path, {"name": "x"}, {"if-none-match": "*", "prefer": "return=representation"}
    )
    assert (made.status_code, made.json()["name"]) == (201, "x")
    assert await code_of(place, "PATCH", path, {"name": "y"}, if_none_match="*") == (412, "0x80040237")
    tag = made.headers["etag"]
    assert re.fullmatch(r'W/"\d+"', tag)
    changed = await place.admin.send("PATCH", path, {"name": "y"}, {"if-match": tag, "prefer": "return=representation"})
    assert (changed.status_code, changed.json()["name"]) == (200, "y")
    assert await code_of(place, "PATCH", path, {"name": "z"}, if_match=tag) == (412, "0x80060882")
    assert await code_of(place, "DELETE", path, if_match=tag) == (412, "0x80060882")
    unchanged = await place.admin.send("GET", path, None, {"if-none-match": changed.headers["etag"]})
    assert unchanged.status_code == 304
    assert (await place.admin.send("DELETE", path)).status_code == 204
    assert await code_of(place, "GET", path) == (404, "0x80040217")


async def test_an_alternate_key_addresses_makes_and_guards_a_row(place: Place) -> None:
    path = "thl_invoicestatuses(thl_invoiceid='inv''1')"
    assert await code_of(place, "GET", path) == (404, "0x80060891")
    for _ in range(2):
        await place.admin.call("PATCH", path, {"thl_period": "2026-10"})
    assert place.sandbox.simulator.counts()["thl_invoicestatus"] == 1
    assert (await place.admin.call("GET", path))["thl_invoiceid"] == "inv'1"
    assert await code_of(place, "POST", "thl_invoicestatuses", {"thl_invoiceid": "INV'1"}) == (412, "0x80040237")
    assert await code_of(place, "GET", "accounts(telephone1='1')") == (400, "0x0")


async def test_single_columns_and_relations_are_set_and_cleared(place: Place) -> None:
    account = (await ask(place.url, "accounts", select="name"))[0]["accountid"]
    assert (await place.admin.send("PUT", f"accounts({account})/telephone1", {"value": "1"})).status_code == 204
    assert (await place.admin.call("GET", f"accounts({account})/telephone1"))["value"] == "1"
    assert (await place.admin.send("DELETE", f"accounts({account})/telephone1")).status_code == 204
    assert (await place.admin.send("GET", f"accounts({account})/telephone1")).status_code == 204
    parent = str(uuid4())
    await place.admin.call("PATCH", f"accounts({parent})", {"name": "Above"})
    reference = {"@odata.id": f"{place.url}{API}/accounts({parent})"}
    await place.admin.call("PUT", f"accounts({account})/parentaccountid/$ref", reference)
    assert (await place.admin.call("GET", f"accounts({account})/parentaccountid"))["name"] == "Above"
    await place.admin.call("DELETE", f"accounts({account})/parentaccountid/$ref")
    assert (await place.admin.call("GET", f"accounts({account})"))["_parentaccountid_value"] is None


# --- reading ----------------------------------------------------------------------------------------------------------
async def test_values_are_typed_and_told_in_words_to_those_who_ask(place: Place) -> None:
    plain = await place.admin.call("GET", f"opportunities({place.deal})")
    assert not [name for name in plain if "@" in name and not name.startswith("@odata")]
    assert (plain["statecode"], plain["statuscode"], plain["actualvalue"]) == (1, 3, Decimal("200.5000"))
    assert (plain["actualclosedate"], plain["_customerid_value"]) == ("2026-03-01", plain["_parentaccountid_value"])
    told = await place.admin.call("GET", f"opportunities({place.deal})", None, ALL)
    formatted = "@OData.Community.Display.V1.FormattedValue"
    assert told[f"statecode{formatted}"] == "Won"
    assert told[f"actualvalue{formatted}"] == "€200.50"
    assert told[f"actualclosedate{formatted}"] == "3/1/2026"
    assert told[f"_parentaccountid_value{formatted}"] == "Customer 0000"
    assert told["_parentaccountid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert told["_parentaccountid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"] == "parentaccountid"
    some = {"prefer": 'odata.include-annotations="OData.Community.Display.V1.FormattedValue"'}
    fewer = await place.admin.call("GET", f"opportunities({place.deal})", None, some)
    assert f"statecode{formatted}" in fewer
    assert not [name for name in fewer if "Microsoft.Dynamics" in name]


async def test_base_sums_follow_the_exchange_rate(place: Place) -> None:
    row = await place.admin.call("GET", f"opportunities({place.deal})", select="estimatedvalue,estimatedvalue_base")
    assert row["estimatedvalue_base"] == Decimal("222.7778")


async def test_pages_are_followed_by_the_link_and_sized_by_the_header(place: Place) -> None:
    await load_closed(place.url, tables(deals=7))
    body = await place.admin.call("GET", "accounts", None, {"prefer": "odata.maxpagesize=3"}, select="name")
    assert len(body["value"]) == 3
    assert "$skiptoken=%3Ccookie" in body["@odata.nextLink"]
    seen = [row["name"] async for row in place.admin.rows("accounts", 3, select="name", orderby="name desc")]
    assert seen == [f"Customer {n:04d}" for n in range(6, -1, -1)]
    body = await place.admin.call("GET", "accounts", None, {"prefer": "odata.maxpagesize=3"}, top="5", count="true")
    assert (len(body["value"]), body["@odata.count"], "@odata.nextLink" in body) == (5, 7, False)
    assert (await place.admin.send("GET", "accounts", skip="1")).status_code == 400


CONDITIONS = [
    ("name eq 'customer 0001'", 0),
    ("name eq 'Customer 0001'", 1),
    ("contains(name,'000') and not startswith(name,'x')", 3),
    ("_parentaccountid_value ne null", 2),
    ("parentaccountid/name eq 'Customer 0000'", 2),
    ("modifiedon ge 2020-01-01T00:00:00Z", 3),
    ("thl_porequired eq true and industrycode eq 727000003", 3),
    ("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['Customer 0000','Customer 0002'])", 2),
    ("account_parent_account/any(a:a/name eq 'Customer 0002')", 1),
]


async def test_conditions_mean_what_they_mean_in_odata(place: Place) -> None:
    await load_closed(place.url, tables(deals=3))
    for condition, expected in CONDITIONS[1:]:
        assert len(await ask(place.url, "accounts", filter=condition)) == expected, condition


UNANSWERABLE = [
    ("accounts?$filter=name%20eq", 400),
    ("accounts?$filter=nonsense%20eq%201", 400),
    ("accounts?$select=nonsense", 400),
    ("accounts?$select=parentaccountid", 400),
    ("accounts?$expand=nonsense", 400),
    ("accounts?$orderby=name%20sideways", 400),
    ("accounts?$skiptoken=nonsense", 400),
    ("accounts(nonsense)", 400),
    ("nonsense", 404),
    ("WinOpportunity", 405),
    ("accounts/nonsense", 404),
]


async def test_what_cannot_be_answered_is_refused(place: Place) -> None:
    for path, status in UNANSWERABLE:
        assert (await place.admin.send("GET", path)).status_code == status, path


async def test_related_rows_come_expanded(place: Place) -> None:
    expand = "parentaccountid($select=name),product_opportunities($select=extendedamount;$orderby=thl_reference)"
    row = await place.admin.call("GET", f"opportunities({place.deal})", select="name", expand=expand)
    assert row["parentaccountid"]["name"] == "Customer 0000"
    assert [line["extendedamount"] for line in row["product_opportunities"]] == [Decimal("100.2500")] * 2
    lines = await place.admin.call("GET", f"opportunities({place.deal})/product_opportunities", select="thl_workstream")
    assert len(lines["value"]) == 2


# --- change tracking --------------------------------------------------------------------------------------------------
async def test_a_delta_link_tells_changed_and_deleted_rows_and_goes_on(place: Place) -> None:
    answer = await place.admin.send("GET", "accounts", None, TRACK, select="name")
    assert answer.headers["preference-applied"] == "odata.track-changes"
    link = answer.json()["@odata.deltaLink"]
    assert re.search(r"\$deltatoken=\d+%21\d\d%2F\d\d%2F\d{4}", link)
    gone = (await place.admin.send("POST", "accounts", {"name": "Short"})).headers["odata-entityid"]
    await place.admin.call("POST", "accounts", {"name": "Long"})
    await place.admin.call("DELETE", gone)
    body = await place.admin.call("GET", link)
    changed = [row["name"] for row in body["value"] if "name" in row]
    [deleted] = [row for row in body["value"] if "reason" in row]
    assert changed == ["Long"]
    assert deleted["@odata.context"].endswith("#accounts/$deletedEntity")
    assert (deleted["reason"], f"({deleted['id']})" in gone) == ("deleted", True)
    assert (await place.admin.call("GET", body["@odata.deltaLink"]))["value"] == []


async def test_change_tracking_has_its_limits(place: Place) -> None:
    for option in ("$filter=name eq 'x'", "$orderby=name", "$expand=parentaccountid", "$top=1"):
        assert (await place.admin.send("GET", f"accounts?{option}", None, TRACK)).status_code == 400
    assert await code_of(place, "GET", "uoms", prefer="odata.track-changes") == (400, "0x80044900")
    link = (await place.admin.call("GET", "accounts", None, TRACK))["@odata.deltaLink"]
    assert (await place.admin.send("GET", f"{link}&$filter=name eq 'x'")).status_code == 400
    place.switch(advance_days=6.9)
    assert (await place.admin.send("GET", link)).status_code == 200
    place.switch(advance_days=0.2)
    assert await code_of(place, "GET", link) == (400, "0x80044352")
    place.switch(expired_delta_status=410)
    assert (await place.admin.send("GET", link)).status_code == 410
    assert (await place.admin.send("GET", "accounts?$deltatoken=nonsense")).status_code == 400


# --- batches ----------------------------------------------------------------------------------------------------------
def batch(*parts: str, boundary: str = "batch_1") -> bytes:
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    written = [part if part.startswith("Content-Type: multipart") else f"{head}\r\n{part}" for part in parts]
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in written).encode() + f"--{boundary}--\r\n".encode()


def change_set(*parts: str) -> str:
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n{}\r\n"
    inner = "".join("--changeset_1\r\n" + head.format(n, part) for n, part in enumerate(parts, 1))
    return f"Content-Type: multipart/mixed; boundary=changeset_1\r\n\r\n{inner}--changeset_1--\r\n"


def post(path: str, body: str, method: str = "POST") -> str:
    return f"{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}"


async def send_batch(place: Place, content: bytes, **headers: str) -> tuple[int, list[int], str]:
    kind = {"content-type": "multipart/mixed; boundary=batch_1", **headers}
    answer = await place.admin.send("POST", "$batch", content, kind)
    return answer.status_code, [int(code) for code in re.findall(r"HTTP/1\.1 (\d{3})", answer.text)], answer.text


async def test_a_change_set_is_all_or_nothing_and_its_parts_point_at_each_other(place: Place) -> None:
    account = post(f"{API}/accounts", '{"name": "New"}')
    contact = post(f"{API}/contacts", '{"lastname": "Lee", "parentcustomerid_account@odata.bind": "$1"}')
    renamed = post("$1", '{"name": "Newer"}', "PATCH")
    assert (await send_batch(place, batch(change_set(account, contact, renamed))))[:2] == (200, [204, 204, 204])
    [row] = await ask(place.url, "contacts", expand="parentcustomerid_account($select=name)")
    assert row["parentcustomerid_account"]["name"] == "Newer"
    broken = post(f"{API}/accounts", '{"name": 7}')
    before = place.sandbox.simulator.counts()
    status, codes, text = await send_batch(place, batch(change_set(account, contact, broken)))
    assert (status, codes, "0x80048d19" in text) == (400, [400], True)
    assert place.sandbox.simulator.counts() == before
    status, codes, text = await send_batch(place, batch(change_set(f"GET {API}/accounts HTTP/1.1\r\n")))
    assert (status, "GET requests are not allowed" in text) == (400, True)


async def test_a_batch_stops_at_the_first_failure_unless_asked_to_go_on(place: Place) -> None:
    missing = f"GET {API}/accounts({uuid4()}) HTTP/1.1\r\n"
    count = f"GET {API}/accounts?$select=name HTTP/1.1\r\n"
    assert (await send_batch(place, batch(count, missing, count)))[:2] == (404, [200, 404])
    asked = {"prefer": "odata.continue-on-error"}
    assert (await send_batch(place, batch(count, missing, count), **asked))[:2] == (200, [200, 404, 200])
    assert (await send_batch(place, batch(*[count] * 1001)))[0] == 400
    assert (await send_batch(place, b"nonsense"))[0] == 400


async def test_a_firm_is_refused_whole_batches_in_words(place: Place) -> None:
    writes = [Write("PATCH", f"accounts({uuid4()})", {"name": "x" * 161})]
    with pytest.raises(WireRefused, match="exceeded the maximum allowed length of '160'"):
        await place.admin.write_all(writes)


# --- deals are closed -------------------------------------------------------------------------------------------------
def closing(place: Place, status: int, **values: Any) -> dict[str, Any]:
    bind = {"opportunityid@odata.bind": f"/opportunities({place.deal})"}
    return {"Status": status, "OpportunityClose": {"subject": "Done", **bind, **values}}


async def test_winning_moves_state_and_status_and_keeps_a_row_of_it(place: Place) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    reopened = await place.admin.call("GET", f"opportunities({place.deal})")
    assert (reopened["statecode"], reopened["statuscode"], reopened["actualvalue"]) == (0, 1, None)
    assert (await code_of(place, "POST", "WinOpportunity", closing(place, 4)))[0] == 400
    won = closing(place, 3, actualrevenue=Decimal("150.25"), actualend="2026-04-02T10:00:00Z")
    assert (await place.admin.send("POST", "WinOpportunity", won)).status_code == 204
    row = await place.admin.call("GET", f"opportunities({place.deal})")
    assert (row["statecode"], row["statuscode"]) == (1, 3)
    assert (row["actualvalue"], row["actualclosedate"]) == (Decimal("150.2500"), "2026-04-02")
    closes = await ask(place.url, "opportunitycloses", orderby="createdon", select="actualrevenue,statecode")
    assert sorted(close["actualrevenue"] for close in closes) == [Decimal("150.2500"), Decimal("200.5000")]
    assert await code_of(place, "POST", "WinOpportunity", won) == (400, "0x80040265")
    assert await code_of(place, "POST", "opportunitycloses", {"subject": "x"}) == (400, "0x80040265")


async def test_losing_takes_a_status_of_the_lost(place: Place) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    assert (await place.admin.send("POST", "LoseOpportunity", closing(place, 5))).status_code == 204
    row = await place.admin.call("GET", f"opportunities({place.deal})")
    assert (row["statecode"], row["statuscode"], row["actualvalue"]) == (2, 5, 0)


async def test_closed_deals_are_locked_or_writable_as_switched(place: Place) -> None:
    path = f"opportunities({place.deal})"
    line = (await ask(place.url, "opportunityproducts"))[0]["opportunityproductid"]
    assert await code_of(place, "PATCH", path, {"thl_region": "East"}) == (400, "0x80040265")
    assert await code_of(place, "PATCH", f"opportunityproducts({line})", {"quantity": 2}) == (400, "0x80040265")
    place.switch(closed_rows="writable")
    await place.amend(path, thl_region="East")
    await place.amend(path, statecode=0, statuscode=1)
    assert await code_of(place, "PATCH", path, {"statecode": 1}) == (400, "0x80040265")
    place.switch(win_by_patch=True)
    await place.amend(path, statecode=1)
    assert (await place.admin.call("GET", path))["statuscode"] == 3
    assert await code_of(place, "PATCH", path, {"statuscode": 5}) == (400, "0x80048408")


# --- lines and sums ---------------------------------------------------------------------------------------------------
async def test_lines_are_priced_and_their_deal_is_summed_up(place: Place) -> None:
    path = f"opportunities({place.deal})"
    await place.amend(path, statecode=0, statuscode=1)
    before = await place.admin.call("GET", path)
    line = (await ask(place.url, "opportunityproducts", orderby="thl_reference"))[0]
    await place.amend(f"opportunityproducts({line['opportunityproductid']})", tax=Decimal("19.05"), quantity=2)
    row = await place.admin.call("GET", f"opportunityproducts({line['opportunityproductid']})")
    assert (row["baseamount"], row["extendedamount"]) == (Decimal("200.5000"), Decimal("219.5500"))
    deal = await place.admin.call("GET", path)
    assert (deal["totallineitemamount"], deal["totaltax"]) == (Decimal("300.7500"), Decimal("19.0500"))
    assert (deal["totalamount"], deal["estimatedvalue"]) == (Decimal("319.8000"), Decimal("200.5000"))
    assert deal["versionnumber"] > before["versionnumber"]
    await place.amend(path, isrevenuesystemcalculated=True)
    assert (await place.admin.call("GET", path))["estimatedvalue"] == Decimal("319.8000")
    place.switch(lines_touch_deal=False)
    version = (await place.admin.call("GET", path))["versionnumber"]
    await place.admin.call("DELETE", f"opportunityproducts({line['opportunityproductid']})")
    after = await place.admin.call("GET", path)
    assert (after["versionnumber"], after["totalamount"]) == (version, Decimal("100.2500"))


async def test_lines_need_a_product_or_a_description(place: Place) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    bind = {"opportunityid@odata.bind": f"/opportunities({place.deal})", "quantity": 1}
    assert (await code_of(place, "POST", "opportunityproducts", bind))[1] == "0x80040265"
    written = {**bind, "isproductoverridden": True, "productdescription": "Travel", "priceperunit": 5}
    answer = await place.admin.send("POST", "opportunityproducts", written, {"prefer": "return=representation"})
    assert (answer.status_code, answer.json()["opportunityproductname"]) == (201, "Travel")
    product, unit = (await ask(place.url, "products"))[0], (await ask(place.url, "uoms"))[0]
    listed = {**bind, "productid@odata.bind": f"/products({product['productid']})"}
    assert (await code_of(place, "POST", "opportunityproducts", listed))[1] == "0x80040265"
    listed["uomid@odata.bind"] = f"/uoms({unit['uomid']})"
    answer = await place.admin.send("POST", "opportunityproducts", listed, {"prefer": "return=representation"})
    assert (answer.json()["pricingerrorcode"], answer.json()["extendedamount"]) == (11, 0)


async def test_a_currency_without_minor_units_keeps_whole_sums(place: Place) -> None:
    money = {"currencyname": "Yen", "isocurrencycode": "JPY", "currencysymbol": "¥", "currencyprecision": 0}
    await place.admin.call("POST", "transactioncurrencies", {**money, "exchangerate": 110})
    body = {"name": "x", "transactioncurrencyid@odata.bind": "/transactioncurrencies(isocurrencycode='JPY')"}
    answer = await place.admin.send(
        "POST", "opportunities", {**body, "estimatedvalue": Decimal("10.4")}, {"prefer": "return=representation"}
    )
    assert answer.json()["estimatedvalue"] == 10


MISFITS: list[tuple[Any, str]] = [
    ({"nonsense": 1}, "0x80048d19"),
    ({"Name": "x"}, "0x80048d19"),
    ({"name": "x" * 161}, "0x80044331"),
    ({"name": 7}, "0x80048d19"),
    ({"industrycode": 4711}, "0x8004431a"),
    ({"industrycode": "7"}, "0x80048d19"),
    ({"thl_porequired": "yes"}, "0x80048d19"),
    ({"revenue": "7"}, "0x80048d19"),
    ({"revenue": 10**16}, "0x8004431a"),
    ({"thl_paymentafterdays": 1.5}, "0x80048d19"),
    ({"thl_paymentafterdays": 2**40}, "0x8004431a"),
    ({"parentaccountid": str(uuid4())}, "0x80048d19"),
    ({"_parentaccountid_value": str(uuid4())}, "0x80048d19"),
    ({"ParentAccountId@odata.bind": f"/accounts({uuid4()})"}, "0x80048d19"),
    ({"parentaccountid@odata.bind": f"/accounts({uuid4()})"}, "0x80040217"),
    ({"parentaccountid@odata.bind": "/accounts(accountnumber='none')"}, "0x80060891"),
    ({"parentaccountid@odata.bind": "/nonsense(1)"}, "0x8006088a"),
    ({"statecode": 5}, "0x8004431a"),
    ({"statecode": 1, "statuscode": 1}, "0x80048408"),
    ([], "0x80048d19"),
]


async def test_rows_that_do_not_fit_are_refused_with_the_vendors_code(place: Place) -> None:
    before = place.sandbox.simulator.counts()
    for body, code in MISFITS:
        assert (await code_of(place, "POST", "accounts", body))[1] == code, body
    assert (await code_of(place, "POST", "products", {"name": "no number"}))[1] == "0x80040203"
    assert (await code_of(place, "POST", "accounts", b"{"))[1] == "0x80048d19"
    assert place.sandbox.simulator.counts() == before


async def test_navigation_is_spelled_as_the_schema_spells_custom_columns(place: Place) -> None:
    bound = f"/opportunities({place.deal})"
    assert (await code_of(place, "POST", "thl_contracts", {"thl_opportunityid@odata.bind": bound}))[0] == 400
    answer = await place.admin.send("POST", "thl_contracts", {"thl_OpportunityId@odata.bind": bound})
    assert answer.status_code == 204


async def test_what_belongs_to_a_row_goes_with_it(place: Place) -> None:
    place.switch(closed_rows="writable")
    await place.admin.call("DELETE", f"opportunities({place.deal})")
    counts = place.sandbox.simulator.counts()
    assert (counts["opportunity"], counts["opportunityproduct"], counts["opportunityclose"]) == (0, 0, 0)
    [contract] = await ask(place.url, "thl_contracts")
    assert contract["_thl_opportunityid_value"] is None


# --- who may come in, and how often -----------------------------------------------------------------------------------
async def token_of(serve: Serve, **form: str) -> tuple[int, dict[str, Any]]:
    sandbox = await serve(simulator())
    whole = {
        "grant_type": "client_credentials",
        "client_id": CONNECTOR_APP.client_id,
        "client_secret": CONNECTOR_APP.secret,
        "scope": f"{sandbox.base_url}/.default",
        **form,
    }
    tenant = whole.pop("tenant", TENANT)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{sandbox.base_url}/{tenant}/oauth2/v2.0/token", data=whole)
        return answer.status_code, answer.json()


async def test_the_token_endpoint_grants_and_refuses_as_entra_does(serve: Serve) -> None:
    status, body = await token_of(serve)
    assert (status, body["token_type"], body["expires_in"], "refresh_token" in body) == (200, "Bearer", 3599, False)
    for form, expected, number in (
        ({"client_secret": "x"}, (401, "invalid_client"), 7000215),
        ({"client_id": "x"}, (400, "unauthorized_client"), 700016),
        ({"scope": "https://other/.default"}, (400, "invalid_scope"), 70011),
        ({"grant_type": "password"}, (400, "unsupported_grant_type"), 70003),
        ({"tenant": "other"}, (400, "invalid_request"), 90002),
    ):
        status, body = await token_of(serve, **form)
        assert (status, body["error"]) == expected
        assert body["error_codes"] == [number]
        assert body["error_description"].startswith(f"AADSTS{number}:")


async def test_a_token_without_an_application_user_is_let_in_nowhere(serve: Serve) -> None:
    stranger = App("11111111-2222-3333-4444-555555555555", "secret-of-a-stranger")
    sandbox = await serve(simulator(apps=(stranger, LOADER_APP)))
    async with httpx.AsyncClient(trust_env=False) as client:
        session = DataverseSession(sandbox.base_url, client, stranger)
        answer = await session.send("GET", "WhoAmI")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "0x80072560")
        url = f"{sandbox.base_url}{API}/WhoAmI"
        refused = await client.get(url, headers={"authorization": "Bearer nonsense"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer authorization_uri=")
        assert sandbox.simulator.configure
        sandbox.simulator.configure({"bare_401": True})
        assert (await client.get(url, headers={"authorization": "Bearer nonsense"})).content == b""


async def test_every_answer_tells_what_is_left_and_which_request_it_was(place: Place) -> None:
    answer = await place.admin.send("GET", "WhoAmI")
    assert answer.json().keys() >= {"UserId", "BusinessUnitId", "OrganizationId"}
    assert int(answer.headers["x-ms-ratelimit-burst-remaining-xrm-requests"]) < 6000
    assert float(answer.headers["x-ms-ratelimit-time-remaining-xrm-requests"]) <= 1200
    assert answer.headers["x-ms-service-request-id"]
    assert answer.headers["odata-version"] == "4.0"


async def test_the_three_limits_refuse_with_their_code_and_a_growing_wait(place: Place) -> None:
    for limit, code in (
        ({"limit_requests": 0}, "0x80072322"),
        ({"limit_requests": 6000, "limit_seconds": 0}, "0x80072321"),
        ({"limit_seconds": 1200, "limit_at_once": 0}, "0x80072326"),
    ):
        place.switch(**limit)
        waits: list[int] = []
        for _ in range(3):
            answer = await place.admin.send("GET", "WhoAmI")
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, code)
            waits.append(int(answer.headers["retry-after"]))
        assert waits == sorted(set(waits)), "whoever goes on asking waits longer"
        place.switch(limit_at_once=52)
    place.switch(limit_requests=6000)
    assert (await place.admin.send("GET", "WhoAmI")).status_code == 200


async def test_the_window_slides(place: Place) -> None:
    place.switch(limit_requests=1, limit_window=0.05)
    statuses = [(await place.admin.send("GET", "WhoAmI")).status_code for _ in range(400)]
    assert set(statuses) == {200, 429}
    assert 200 in statuses[statuses.index(429) :], "who was refused is let in once the window has gone on"


# --- metadata ---------------------------------------------------------------------------------------------------------
async def test_the_metadata_tells_tables_columns_options_and_relations(place: Place) -> None:
    base = "EntityDefinitions(LogicalName='opportunity')"
    table = await place.admin.call("GET", base, select="EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled")
    assert (table["EntitySetName"], table["PrimaryIdAttribute"]) == ("opportunities", "opportunityid")
    assert table["ChangeTrackingEnabled"] is True
    listed = await place.admin.call(
        "GET", "EntityDefinitions", filter="LogicalName eq 'account'", select="EntitySetName"
    )
    assert [one["EntitySetName"] for one in listed["value"]] == ["accounts"]
    cast = f"{base}/Attributes/Microsoft.Dynamics.CRM.StatusAttributeMetadata"
    told = await place.admin.call("GET", cast, select="LogicalName", expand="OptionSet($select=Options)")
    options = told["value"][0]["OptionSet"]["Options"]
    assert {option["Value"]: option["State"] for option in options} == {1: 0, 2: 0, 3: 1, 4: 2, 5: 2}
    name = await place.admin.call("GET", f"{base}/Attributes(LogicalName='name')")
    assert (name["MaxLength"], name["RequiredLevel"]["Value"]) == (300, "ApplicationRequired")
    ways = await place.admin.call("GET", "EntityDefinitions(LogicalName='thl_contract')/ManyToOneRelationships")
    spelled = {way["ReferencingAttribute"]: way["ReferencingEntityNavigationPropertyName"] for way in ways["value"]}
    assert spelled["thl_opportunityid"] == "thl_OpportunityId"
    assert spelled["transactioncurrencyid"] == "transactioncurrencyid"
    keys = await place.admin.call("GET", "EntityDefinitions(LogicalName='thl_invoicestatus')/Keys")
    assert keys["value"][0]["KeyAttributes"] == ["thl_invoiceid"]
    assert (await place.admin.send("GET", "EntityDefinitions(LogicalName='nonsense')")).status_code == 404
    assert (await place.admin.send("GET", f"{base}/Attributes", select="Nonsense")).status_code == 400
    csdl = await place.admin.send("GET", "$metadata")
    assert csdl.headers["content-type"].startswith("application/xml")
    assert '<NavigationProperty Name="thl_OpportunityId"' in csdl.text


async def test_deliveries_wait_for_a_subscriber(place: Place) -> None:
    box = place.sandbox.simulator.deliveries
    assert box
    async with firm_wire(place.url) as firm:
        await firm.apply_fix("po_number", "SOW-0000", "PO-2")
    assert box.waiting == 0
