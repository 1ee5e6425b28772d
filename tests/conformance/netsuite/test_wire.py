"""The simulator's wire: record/v1, SuiteQL, q filters, transforms, limits, jobs and pushed notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.deliveries import Subscription
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from tests.conformance.served import Mailbox, Sandbox

LINE = {"item": {"externalId": "item-SVC-IMPL"}, "quantity": 2, "rate": 100.25}


class Wire:
    """A hand on the wire: signed in, nothing interpreted."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient, token: str) -> None:
        self._root = f"{sandbox.base_url}/services/rest"
        self._http = http
        self._bearer = {"authorization": f"Bearer {token}"}

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body)
        sent = {**self._bearer, **(headers or {})}
        return await self._http.request(method, self._root + path, content=content, headers=sent)

    async def sql(self, query: str, page: str = "") -> httpx.Response:
        return await self("POST", f"/query/v1/suiteql{page}", {"q": query}, {"prefer": "transient"})


@pytest.fixture
async def wire(netsuite: Sandbox, firm: NetSuiteFirm, http: httpx.AsyncClient) -> Wire:
    wire = Wire(netsuite, http, await firm.sign_in())
    customer = {"companyName": "Acme", "subsidiary": {"externalId": "HC-DE"}, "currency": {"externalId": "EUR"}}
    assert (await wire("PUT", "/record/v1/customer/eid:acme", customer)).status_code == 204
    return wire


def invoice(**changes: Any) -> dict[str, Any]:
    body = {"entity": {"externalId": "acme"}, "tranDate": "2026-10-28", "item": {"items": [LINE]}, "taxTotal": 38.1}
    return {**body, **changes}


def code(answer: httpx.Response) -> tuple[int, str, str]:
    detail = answer.json()["o:errorDetails"][0]
    assert answer.headers["content-type"] == "application/vnd.oracle.resource+json; type=error"
    return answer.status_code, detail["o:errorCode"], detail.get("o:errorPath", "")


async def test_a_record_is_made_read_changed_and_deleted(wire: Wire) -> None:
    made = await wire("POST", "/record/v1/invoice", invoice(externalId="inv-1"))
    assert (made.status_code, made.content) == (204, b"")
    number = made.headers["location"].rsplit("/", 1)[1]
    read = (await wire("GET", f"/record/v1/invoice/{number}")).json()
    assert (read["subtotal"], read["taxTotal"], read["total"]) == (200.5, 38.1, 238.6)
    assert (read["status"]["id"], read["amountRemaining"]) == ("A", 238.6)
    assert set(read["item"]) == {"links"}
    for replace, lines in (("", 2), ("?replace=item", 1)):
        assert (await wire("PATCH", f"/record/v1/invoice/eid:inv-1{replace}", {"item": {"items": [LINE]}})).is_success
        whole = (await wire("GET", f"/record/v1/invoice/{number}?expandSubResources=true")).json()
        assert len(whole["item"]["items"]) == lines
    assert (await wire("DELETE", f"/record/v1/invoice/{number}")).status_code == 204
    assert code(await wire("GET", f"/record/v1/invoice/{number}"))[:2] == (404, "NONEXISTENT_ID")
    assert code(await wire("GET", "/record/v1/unheardOf/1"))[:2] == (404, "NONEXISTENT_ID")


async def test_an_upsert_makes_one_record_and_takes_external_ids_only(wire: Wire) -> None:
    for amount in (1, 2):
        body = invoice(item={"items": [{**LINE, "amount": amount}]})
        assert (await wire("PUT", "/record/v1/invoice/eid:inv-2?replace=item", body)).status_code == 204
    assert (await wire("GET", "/record/v1/invoice")).json()["totalResults"] == 1
    assert (await wire("GET", "/record/v1/invoice/eid:inv-2")).json()["subtotal"] == 2
    assert (await wire("PUT", "/record/v1/invoice/7", invoice())).status_code == 400
    assert (await wire("PUT", "/record/v1/invoice/eid:a%7Cb", invoice())).status_code == 400


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"tranDate": "2026-10-28", "item": {"items": [LINE]}}, "entity"),
        (invoice(item={"items": []}), "item"),
        (invoice(item={"items": [{"quantity": 1, "amount": 5}]}), "item.items[0].item"),
        (invoice(item={"items": [LINE, {**LINE, "item": {"id": "999"}}]}), "item.items[1].item"),
        (invoice(tranDate="28.10.2026"), "tranDate"),
        (invoice(entity={"externalId": "nobody"}), "entity"),
        (invoice(subsidiary={"externalId": "HC-JP"}), "subsidiary"),
        (invoice(taxTotal="38.10"), "taxTotal"),
        (invoice(approvalStatus={"id": "7"}), "approvalStatus"),
    ],
)
async def test_content_that_cannot_stand_is_refused_with_its_path(wire: Wire, body: dict[str, Any], path: str) -> None:
    assert code(await wire("POST", "/record/v1/invoice", body)) == (400, "INVALID_CONTENT", path)
    assert (await wire("GET", "/record/v1/invoice")).json()["totalResults"] == 0


async def test_unknown_names_are_dropped_with_a_warning_or_refused_on_demand(wire: Wire) -> None:
    body = {"companyName": "B", "subsidiary": {"externalId": "HC-DE"}, "colour": "blue"}
    warned = await wire("POST", "/record/v1/customer", body)
    assert warned.status_code == 204
    assert "colour" in warned.headers["x-netsuite-propertynamevalidation"]
    strict = {"x-netsuite-propertynamevalidation": "error"}
    assert code(await wire("POST", "/record/v1/customer", body, strict)) == (400, "INVALID_CONTENT", "colour")


async def test_suiteql_answers_texts_lower_case_and_without_nulls(wire: Wire) -> None:
    await wire("PUT", "/record/v1/invoice/eid:inv-3", invoice())
    query = (
        "SELECT t.ID, t.foreignTotal, t.memo, BUILTIN.DF(t.entity) AS Who, c.symbol, t.trandate "
        "FROM transaction t INNER JOIN currency c ON c.id = t.currency "
        "WHERE t.type = 'CustInvc' AND (t.foreigntotal > 200 OR t.memo IS NOT NULL) "
        "AND t.trandate BETWEEN TO_DATE('2026-10-01','YYYY-MM-DD') AND TO_DATE('2026-10-31','YYYY-MM-DD')"
    )
    row: dict[str, Any] = {
        "links": [],
        "foreigntotal": "238.6",
        "who": "Acme",
        "symbol": "EUR",
        "trandate": "10/28/2026",
    }
    answer = (await wire.sql(query)).json()
    assert [{name: value for name, value in item.items() if name != "id"} for item in answer["items"]] == [row]
    for wrong in ("SELECT nothing FROM invoice", "SELECT colour FROM customer", "SELEC id FROM customer", "SELECT id"):
        assert (await wire.sql(wrong)).status_code == 400
    assert (await wire("POST", "/query/v1/suiteql", {"q": "SELECT id FROM term"})).status_code == 400


async def test_suiteql_pages_whole_and_in_order(wire: Wire) -> None:
    query = (
        "SELECT name FROM term WHERE daysuntilnetdue IN (0, 15, 30) OR name LIKE '%60' ORDER BY daysuntilnetdue DESC"
    )
    seen: list[str] = []
    for offset in (0, 2):
        page = (await wire.sql(query, f"?limit=2&offset={offset}")).json()
        assert (page["count"], page["totalResults"], page["hasMore"]) == (2, 4, offset == 0)
        seen += [item["name"] for item in page["items"]]
    assert seen == ["Net 60", "Net 30", "Net 15", "Due on receipt"]
    assert (await wire.sql(query, "?limit=2&offset=1")).status_code == 400
    assert (await wire.sql(query, "?limit=1001")).status_code == 400


async def test_collections_are_filtered_by_q(wire: Wire) -> None:
    cases = {
        "daysUntilNetDue GREATER_OR_EQUAL 30": 2,
        'name START_WITH "Net" AND daysUntilNetDue LESS 60': 2,
        'name IS "Net 15" OR (name CONTAIN "receipt")': 2,
        "daysUntilNetDue ANY_OF [15, 60]": 2,
        "daysUntilNetDue BETWEEN [10,40]": 2,
        "name EMPTY_NOT": 4,
    }
    for query, count in cases.items():
        answer = await wire("GET", f"/record/v1/term?q={query}")
        assert answer.json()["totalResults"] == count, query
    for wrong in ("colour IS blue", "name SOUNDS_LIKE x", "name IS", "(name IS x"):
        assert (await wire("GET", f"/record/v1/term?q={wrong}")).status_code == 400


async def test_payments_and_credits_move_what_is_open(wire: Wire) -> None:
    await wire("PUT", "/record/v1/invoice/eid:inv-4", invoice())
    half = await wire("POST", "/record/v1/invoice/eid:inv-4/!transform/customerPayment", {"payment": 100})
    assert half.status_code == 204
    payment = half.headers["location"].rsplit("/", 1)[1]

    async def stands() -> tuple[float, float, str]:
        record = (await wire("GET", "/record/v1/invoice/eid:inv-4")).json()
        return record["amountPaid"], record["amountRemaining"], record["status"]["id"]

    assert await stands() == (100, 138.6, "A")
    invoice_id = (await wire("GET", "/record/v1/invoice/eid:inv-4")).json()["id"]
    line = {"doc": {"id": invoice_id}, "apply": True, "amount": 238.6}
    more = {"payment": 238.6, "apply": {"items": [line]}}
    assert (await wire("PATCH", f"/record/v1/customerPayment/{payment}", more)).status_code == 204
    assert await stands() == (238.6, 0, "B")
    too_much = {"customer": {"externalId": "acme"}, "apply": {"items": [{**line, "amount": 1}]}}
    assert code(await wire("POST", "/record/v1/customerPayment", too_much))[:2] == (400, "USER_ERROR")
    assert code(await wire("DELETE", f"/record/v1/invoice/{invoice_id}"))[:2] == (400, "USER_ERROR")
    off = {"apply": {"items": [{"doc": {"id": invoice_id}, "apply": False}]}}
    assert (await wire("PATCH", f"/record/v1/customerPayment/{payment}", off)).status_code == 204
    assert await stands() == (0, 238.6, "A")
    assert (await wire("POST", "/record/v1/invoice/eid:inv-4/!transform/creditMemo", {})).status_code == 204
    assert await stands() == (238.6, 0, "B")


async def test_an_order_becomes_an_invoice(wire: Wire) -> None:
    order = {"entity": {"externalId": "acme"}, "otherRefNum": "PO-1", "item": {"items": [LINE]}}
    assert (await wire("PUT", "/record/v1/salesOrder/eid:so-1", order)).status_code == 204
    made = await wire("POST", "/record/v1/salesOrder/eid:so-1/!transform/invoice", {"tranDate": "2026-10-01"})
    read = (await wire("GET", f"/record/v1/invoice/{made.headers['location'].rsplit('/', 1)[1]}")).json()
    assert (read["total"], read["otherRefNum"], read["tranDate"]) == (200.5, "PO-1", "2026-10-01")


async def test_a_closed_period_takes_no_postings(netsuite: Sandbox, wire: Wire) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"closed_periods": ["2026-10"]})
    refused = await wire("POST", "/record/v1/invoice", invoice())
    assert code(refused)[:2] == (400, "USER_ERROR")
    assert "accounting period" in refused.json()["o:errorDetails"][0]["detail"]
    netsuite.simulator.configure({"open_periods": ["2026-10"]})
    assert (await wire("POST", "/record/v1/invoice", invoice())).status_code == 204


async def test_more_requests_at_once_than_allowed_are_blocked(netsuite: Sandbox, wire: Wire) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"at_once": 5, "delay": 1.0})
    answers = await asyncio.gather(*(wire("GET", "/record/v1/term") for _ in range(12)))
    blocked = [answer for answer in answers if answer.status_code == 429]
    assert len(blocked) == 7
    assert code(blocked[0])[:2] == (429, "CONCURRENCY_LIMIT_EXCEEDED")


async def test_an_asynchronous_request_is_done_once_per_key(wire: Wire) -> None:
    headers = {"prefer": "respond-async", "x-netsuite-idempotency-key": "key-1"}
    first = await wire("POST", "/record/v1/invoice", invoice(), headers)
    again = await wire("POST", "/record/v1/invoice", invoice(), headers)
    assert (first.status_code, first.headers["preference-applied"]) == (202, "respond-async")
    assert code(again)[:2] == (400, "IDEMPOTENCY_ERROR")
    assert again.headers["location"] == first.headers["location"]
    path = "/async" + first.headers["location"].split("/async")[1]
    assert (await wire("GET", path)).json()["progress"] == "succeeded"
    task = (await wire("GET", f"{path}/task/")).json()["items"][0]["links"][1]["href"]
    assert (await wire("GET", "/async" + task.split("/async")[1])).headers["location"]
    assert (await wire("GET", "/record/v1/invoice")).json()["totalResults"] == 1


async def test_the_catalog_tells_fields_and_the_limits_tell_how_many_at_once(wire: Wire) -> None:
    names = {item["name"] for item in (await wire("GET", "/record/v1/metadata-catalog")).json()["items"]}
    assert {"customer", "job", "projectTask", "invoice", "customerPayment"} <= names
    schema = (await wire("GET", "/record/v1/metadata-catalog/invoice")).json()
    assert schema["properties"]["total"]["readOnly"]
    assert (await wire("GET", "/system/v1/governanceLimits")).json()["accountConcurrencyLimit"] == 15


async def test_a_saved_invoice_is_pushed_to_the_subscriber(netsuite: Sandbox, wire: Wire, mail: Mailbox) -> None:
    assert netsuite.simulator.deliveries
    netsuite.simulator.deliveries.subscription = Subscription(url=mail.url, secret="a-secret-of-sixteen")
    await wire("PUT", "/record/v1/invoice/eid:inv-5", invoice())
    notice = json.loads((await mail.first()).body)
    assert set(notice) == {"recordType", "id", "eventType", "lastModifiedDate"}
    assert (notice["recordType"], notice["eventType"]) == ("invoice", "create")


async def test_reset_leaves_an_empty_account(netsuite: Sandbox, wire: Wire) -> None:
    assert (await wire("GET", "/record/v1/customer")).json()["totalResults"] == 1
    netsuite.simulator.reset()
    assert netsuite.simulator.counts()["customer"] == 0
    assert netsuite.simulator.counts()["currency"] == 4
