"""The simulator behaves as the vendor's documentation says, beyond what the connector needs of it."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.deliveries import Subscription
from deploy.sandbox.salesforce.ids import normal_id, with_guard
from deploy.sandbox.salesforce.session import API, WireRefused
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.salesforce.conftest import Org
from tests.conformance.salesforce.orgs import firm_wire, load_closed
from tests.conformance.served import Mailbox
from tests.conformance.small_firm import tables


async def ask(org: Org, soql: str) -> list[dict[str, Any]]:
    return [row async for row in org.admin.query(soql)]


async def names(org: Org, where: str) -> list[str]:
    return [row["Name"] for row in await ask(org, f"SELECT Name FROM Account WHERE {where}")]


@pytest.fixture
async def three(org: Org) -> Org:
    for name, city, employees in (("Alpha", "Kiel", 5), ("Beta", None, 50), ("O'Gamma", "Bonn", None)):
        body = {"Name": name, "BillingCity": city, "NumberOfEmployees": employees, "Reference__c": name}
        await org.admin.call("POST", f"{API}/sobjects/Account", body)
    return org


CONDITIONS = [
    ("Name = 'alpha'", ["Alpha"]),
    ("BillingCity = null", ["Beta"]),
    ("BillingCity != 'Kiel' ORDER BY Name", ["Beta", "O'Gamma"]),
    ("NumberOfEmployees >= 5 AND NumberOfEmployees < 50", ["Alpha"]),
    ("NOT (NumberOfEmployees > 0)", ["O'Gamma"]),
    ("Name LIKE '%eta'", ["Beta"]),
    ("Name = 'O\\'Gamma'", ["O'Gamma"]),
    ("Reference__c IN ('Alpha', 'Beta') ORDER BY Name DESC", ["Beta", "Alpha"]),
    ("Reference__c NOT IN ('Alpha') ORDER BY BillingCity NULLS LAST", ["O'Gamma", "Beta"]),
    ("(Name = 'Alpha' OR Name = 'Beta') AND BillingCity != null", ["Alpha"]),
    ("Name != 'x' ORDER BY NumberOfEmployees LIMIT 2 OFFSET 1", ["Alpha", "Beta"]),
    ("CreatedDate > 2020-01-01T00:00:00Z AND Name < 'b'", ["Alpha"]),
    ("Owner.Username LIKE 'admin@%' AND Name > 'n'", ["O'Gamma"]),
]


async def test_conditions_and_orders_mean_what_they_mean_in_soql(three: Org) -> None:
    for condition, expected in CONDITIONS:
        where = condition.replace(" ORDER", ") ORDER", 1) if " ORDER" in condition else condition + ")"
        assert await names(three, f"Reference__c != 'A0000' AND ({where}") == expected, condition


UNANSWERABLE = [
    ("SELECT Id FROM", "MALFORMED_QUERY"),
    ("SELECT Id FROM Account WHERE Name = 'x' AND Name = 'y' OR Name = 'z'", "MALFORMED_QUERY"),
    ('SELECT Id FROM Account WHERE Name = "x"', "MALFORMED_QUERY"),
    ("SELECT Id FROM Account WHERE " + "NOT " * 100 + "Name = 'x'", "MALFORMED_QUERY"),
    ("SELECT Id FROM Nonsense", "INVALID_TYPE"),
    ("SELECT Id FROM Account WHERE CreatedDate = '2020-01-01'", "INVALID_FIELD"),
    ("SELECT Nonsense.Id FROM Account", "INVALID_FIELD"),
    ("SELECT Id, (SELECT Id FROM Nonsense) FROM Account", "INVALID_FIELD"),
    ("SELECT Id FROM Account WHERE Id = 'bogus'", "INVALID_QUERY_FILTER_OPERATOR"),
]


async def test_queries_that_cannot_be_answered_are_refused_with_the_vendors_code(org: Org) -> None:
    for soql, code in UNANSWERABLE:
        with pytest.raises(WireRefused, match=code):
            await ask(org, soql)


async def test_children_and_parents_come_nested(org: Org) -> None:
    soql = "SELECT Name, Opportunity__r.Account.Parent.Name, (SELECT Name FROM Billing_Milestones__r) FROM Contract"
    with pytest.raises(WireRefused, match="No such column 'Name'"):
        await ask(org, soql)
    [row] = await ask(org, soql.replace("SELECT Name,", "SELECT ContractNumber,", 1))
    assert row["Opportunity__r"]["Account"]["Parent"] is None
    assert row["Billing_Milestones__r"]["totalSize"] == 2
    assert re.fullmatch(r"\d{8}", row["ContractNumber"])


MISFITS: list[tuple[Any, str]] = [
    ({"Nonsense": 1, "Name": "x"}, "INVALID_FIELD"),
    ({}, "REQUIRED_FIELD_MISSING"),
    ({"Name": "x" * 256}, "STRING_TOO_LONG"),
    ({"Name": "x", "NumberOfEmployees": "many"}, "JSON_PARSER_ERROR"),
    ({"Name": "x", "PO_Required__c": "perhaps"}, "JSON_PARSER_ERROR"),
    ({"Name": "x", "ParentId": "nonsense"}, "MALFORMED_ID"),
    ({"Name": "x", "ParentId": with_guard("001Hb0000000zzz")}, "INVALID_CROSS_REFERENCE_KEY"),
    ({"Name": "x", "Parent": {"Reference__c": "nobody"}}, "INVALID_FIELD"),
    ({"Name": "x", "CreatedDate": "2020-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ({"Name": "x", "CurrencyIsoCode": "euros"}, "STRING_TOO_LONG"),
    ({"Name": "x", "Reference__c": "A0000"}, "DUPLICATE_VALUE"),
    ([], "JSON_PARSER_ERROR"),
]


async def test_rows_that_do_not_fit_are_refused_with_the_vendors_code(org: Org) -> None:
    for body, code in MISFITS:
        with pytest.raises(WireRefused, match=code):
            await org.admin.call("POST", f"{API}/sobjects/Account", body)
    assert org.sandbox.simulator.counts()["Account"] == 1


async def test_a_collection_answers_each_row_and_keeps_what_succeeded(org: Org) -> None:
    rows = [
        {"attributes": {"type": "Account"}, "Name": "Good"},
        {"attributes": {"type": "Account"}, "Name": "Bad", "Reference__c": "A0000"},
    ]
    path = f"{API}/composite/sobjects"
    good, bad = await org.admin.call("POST", path, {"records": rows})
    assert good["success"]
    assert bad["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    results = await org.admin.call("POST", path, {"allOrNone": True, "records": rows})
    assert [r["errors"][0]["statusCode"] for r in results] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "DUPLICATE_VALUE"]
    assert org.sandbox.simulator.counts()["Account"] == 2


async def test_a_composite_rolls_back_whole_and_says_so(org: Org) -> None:
    account = {"method": "POST", "url": f"{API}/sobjects/Account", "body": {"Name": "x"}, "referenceId": "a"}
    broken = {"method": "PATCH", "url": f"{API}/sobjects/Opportunity/{org.deal}", "body": {"CloseDate": "soon"}}
    broken |= {"referenceId": "b"}
    body = {"allOrNone": True, "compositeRequest": [account, broken]}
    answer = (await org.admin.call("POST", f"{API}/composite", body))["compositeResponse"]
    assert [part["body"][0]["errorCode"] for part in answer] == ["PROCESSING_HALTED", "JSON_PARSER_ERROR"]
    assert org.sandbox.simulator.counts()["Account"] == 1
    batch = {"haltOnError": True, "batchRequests": [broken | {"richInput": {"Nonsense": 1}}, account]}
    results = await org.admin.call("POST", f"{API}/composite/batch", batch)
    assert [r["statusCode"] for r in results["results"]] == [400, 412]


async def test_what_was_rolled_back_is_still_found_by_time(org: Org) -> None:
    marker = (await ask(org, "SELECT SystemModstamp FROM Account"))[0]["SystemModstamp"].replace("+0000", "Z")
    rows = [
        {"attributes": {"type": "Account"}, "id": (await ask(org, "SELECT Id FROM Account"))[0]["Id"], "Fax": "1"},
        {"attributes": {"type": "Account"}, "id": "001000000000000AAA", "Fax": "1"},
    ]
    await org.admin.call("POST", f"{API}/sobjects/Account", {"Name": "Later"})
    await org.admin.call("PATCH", f"{API}/composite/sobjects", {"allOrNone": True, "records": rows})
    assert len(await ask(org, f"SELECT Id FROM Account WHERE SystemModstamp > {marker}")) == 1


async def test_lines_need_a_price_in_the_deals_currency(org: Org) -> None:
    line = {"OpportunityId": org.deal, "Quantity": 2, "Workstream__c": "WS9", "Billing_Model__c": "fixed_fee"}
    product = (await ask(org, "SELECT Id FROM Product2 WHERE ProductCode = 'GTXPro'"))[0]["Id"]
    path = f"{API}/sobjects/OpportunityLineItem"
    with pytest.raises(WireRefused, match="REQUIRED_FIELD_MISSING"):
        await org.admin.call("POST", path, {**line, "Product2Id": product})
    with pytest.raises(WireRefused, match="only one of them"):
        await org.admin.call("POST", path, {**line, "Product2Id": product, "UnitPrice": 1, "TotalPrice": 2})
    with pytest.raises(WireRefused, match="pricebook entry"):
        await org.admin.call("POST", path, {**line, "UnitPrice": 1})
    made = await org.admin.call("POST", path, {**line, "Product2Id": product, "UnitPrice": 10.5})
    row = await org.admin.call("GET", f"{path}/{made['id']}")
    assert (row["TotalPrice"], row["ProductCode"], row["CurrencyIsoCode"]) == (21.0, "GTXPro", "EUR")


async def test_a_new_contract_cannot_be_active(org: Org) -> None:
    account = (await ask(org, "SELECT Id FROM Account"))[0]["Id"]
    with pytest.raises(WireRefused, match="FAILED_ACTIVATION"):
        await org.admin.call("POST", f"{API}/sobjects/Contract", {"AccountId": account, "Status": "Activated"})


async def test_codes_that_differ_only_in_case_are_two_codes(org: Org) -> None:
    path = f"{API}/sobjects/Product2/Reference__c"
    for code in ("gtxpro", "GTXPRO"):
        await org.admin.call("PATCH", f"{path}/{code}", {"Name": code, "ProductCode": code})
    found = await ask(org, "SELECT ProductCode FROM Product2 WHERE ProductCode = 'gtxpro' ORDER BY Id")
    assert [row["ProductCode"] for row in found] == ["GTXPro", "gtxpro", "GTXPRO"]


async def test_only_selected_objects_tell_their_changes(org: Org) -> None:
    box = org.sandbox.simulator.deliveries
    assert box
    box.subscription = Subscription(url="http://127.0.0.1:9/", secret=WEBHOOK_SECRET, order="held")
    await org.admin.call("POST", f"{API}/sobjects/Contact", {"LastName": "Unheard"})
    assert not box._held
    await org.admin.call("POST", f"{API}/sobjects/Account", {"Name": "Heard"})
    assert len(box._held) == 1


async def test_stamps_only_ever_grow(org: Org) -> None:
    rows = await ask(org, "SELECT SystemModstamp FROM OpportunityLineItem ORDER BY Id")
    stamps = [row["SystemModstamp"] for row in rows]
    assert stamps == sorted(set(stamps))


async def test_the_wire_tells_usage_and_refuses_when_it_is_used_up(org: Org) -> None:
    configure = org.sandbox.simulator.configure
    assert configure
    configure({"calls_allowed": 1})
    with pytest.raises(WireRefused, match="TotalRequests Limit exceeded"):
        await org.admin.call("GET", f"{API}/limits")
    configure({"calls_allowed": 100_000})
    async with httpx.AsyncClient(base_url=org.sandbox.base_url, trust_env=False) as client:
        assert (await client.get("/services/data/")).json()[-1]["version"] == "67.0"
        refused = await client.get(f"{API}/limits", headers={"authorization": "Bearer nonsense"})
        assert refused.status_code == 401
        assert refused.json()[0]["errorCode"] == "INVALID_SESSION_ID"


async def test_every_change_is_told_with_who_caused_it(org: Org, mail: Mailbox) -> None:
    box = org.sandbox.simulator.deliveries
    assert box
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    await org.admin.call("PATCH", f"{API}/sobjects/Opportunity/{org.deal}", {"NextStep": "Call", "Region__c": ""})
    payload = httpx.Response(200, content=(await mail.first()).body).json()["data"]["payload"]
    header = payload["ChangeEventHeader"]
    assert header["entityName"] == "Opportunity"
    assert header["recordIds"] == [org.deal]
    assert header["changeType"] == "UPDATE"
    assert header["changeOrigin"] == "com/salesforce/api/rest/60.0"
    assert header["changedFields"] == ["NextStep", "Region__c", "LastModifiedDate"]
    assert header["nulledFields"] == ["Region__c"]
    assert payload["NextStep"] == "Call"
    assert "Amount" not in payload


async def test_a_firm_is_loaded_quickly_and_twice_without_doubles(org: Org) -> None:
    async with firm_wire(org.sandbox.base_url) as firm:
        began = time.perf_counter()
        for _ in range(2):
            await load_closed(firm, tables(deals=120, lines=3))
        assert time.perf_counter() - began < 20  # seconds; a guard against quadratic work, not a measurement
        counts = org.sandbox.simulator.counts()
        assert (counts["Opportunity"], counts["OpportunityLineItem"], counts["Billing_Milestone__c"]) == (120, 360, 360)
        await firm.apply_fix("billing_address", "A0007", "2 Pier|Kiel|24105")
        await firm.apply_fix("tax_id", "A0007", "DE1")
        await firm.apply_fix("po_number", "SOW-0007", "PO-9")
        with pytest.raises(ValueError, match="product_alias"):
            await firm.apply_fix("product_alias", "GTXPro", "GTX Pro")
        with pytest.raises(WireRefused, match="NOT_FOUND"):
            await firm.apply_fix("po_number", "SOW-none", "PO-9")


def test_ids_guard_their_case() -> None:
    assert with_guard("006A0000000PnTY") == "006A0000000PnTYIA0"
    assert normal_id("006A0000000PnTY") == "006A0000000PnTYIA0"
    assert normal_id("006A0000000PnTYIA1") is None
