"""Reads that share one `$batch`: what they cost, refused parts, answers that do not come whole, more parts than fit."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import system_apis.connectors.dynamics_sales as package
from deploy.sandbox.dynamics_sales import batch
from deploy.sandbox.dynamics_sales.calls import Call, Reply
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import DataverseError
from deploy.sandbox.dynamics_sales.limits import EXECUTION, REQUESTS
from deploy.sandbox.kit.faults import Fault, FaultKind
from deploy.sandbox.kit.odata_batch import BatchAnswer, write_batch
from shared.errors.taxonomy import (
    CredentialsRefused,
    NotFound,
    RuleViolated,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from system_apis.connectors.dynamics_sales.client import MOST_PARTS, Columns, DataverseClient, Query
from system_apis.manifest import load_manifest
from tests.conformance.dynamics_sales.conftest import Place
from tests.conformance.dynamics_sales.environments import binding_for, load_closed
from tests.conformance.small_firm import read_on, tables

BATCH = r"POST /api/data/v9\.2/\$batch"
API = r"/api/data/v9\.2/"
NAMES = Columns(("accountid", "name"), {})


class Refusing:
    """Parts of batches on one set that the vendor refuses, so often."""

    def __init__(self, set_name: str, error: DataverseError, times: int) -> None:
        self.asked: list[str] = []
        self.struck = 0
        self._set_name = set_name
        self._error = error
        self._times = times
        self._answer = batch.answer

    def __call__(self, environment: Environment, call: Call) -> Reply:
        self.asked.append(call.segments[0])
        if call.segments[0] == self._set_name and self.struck < self._times:
            self.struck += 1
            raise self._error
        return self._answer(environment, call)


Refuse = Callable[..., Refusing]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Have the simulator refuse parts of batches from now on."""

    def refused(
        set_name: str, status: int, code: str, message: str = "No.", times: int = 1, wait: str = ""
    ) -> Refusing:
        headers = {"retry-after": wait} if wait else {}
        refusing = Refusing(set_name, DataverseError(status, code, message, headers), times)
        monkeypatch.setattr(batch, "answer", refusing)
        return refusing

    return refused


@pytest.fixture
async def client(place: Place) -> AsyncIterator[DataverseClient]:
    made = DataverseClient(binding_for(place.url), load_manifest(Path(package.__file__).parent))
    yield made
    await made.aclose()


async def rows_of(listed: Sequence[AsyncIterator[dict[str, Any]]]) -> list[list[str]]:
    return [[str(row["name"]) async for row in rows] for rows in listed]


def ours(place: Place, pattern: str) -> int:
    """How many calls the connector made; the loader's own batches do not count."""
    return sum(count for call, count in place.sandbox.simulator.wire.of_us.items() if re.search(pattern, call))


def named(number: int) -> Query:
    return Query("accounts", NAMES, f"name eq 'Customer {number:04d}'")


# --- what it costs ----------------------------------------------------------------------------------------------------
async def test_a_deal_is_read_with_its_lines_in_one_call(place: Place) -> None:
    before = ours(place, API)
    deal = await place.connector.get_opportunity(place.deal)
    assert len(deal.lines) == 2
    assert (ours(place, API) - before, ours(place, BATCH)) == (1, 1)


async def test_a_page_costs_two_calls_however_many_deals_it_has(place: Place) -> None:
    await load_closed(place.url, tables(deals=95))
    before = ours(place, API)
    page = await place.connector.list_opportunities(modified_since=None, cursor=None, limit=200)
    assert len(page.items) == 95
    assert all(len(deal.lines) == 2 for deal in page.items)
    assert ours(place, API) - before == 2


async def test_a_poll_of_five_tables_is_one_call(place: Place) -> None:
    before = ours(place, API)
    hints = await place.connector.list_changes(None)
    assert {hint.entity for hint in hints} == {"customer", "opportunity", "contract"}
    assert ours(place, API) - before == 1


async def test_what_tables_look_like_is_told_in_two_calls(place: Place) -> None:
    before = ours(place, API)
    facts = await place.connector.describe(["account", "nonsense", "opportunity", "thl_contract", "account"])
    assert list(facts) == ["account", "opportunity", "thl_contract"]
    assert {fact.name for fact in facts["account"]} >= {"name", "industrycode"}
    assert {fact.name for fact in facts["thl_contract"]} >= {"thl_approval", "_thl_opportunityid_value"}
    approval = next(fact for fact in facts["thl_contract"] if fact.name == "thl_approval")
    assert approval.values == ("727000000", "727000001", "727000002")
    assert ours(place, API) - before == 2
    assert await place.connector.describe(["nonsense"]) == {}


async def test_one_query_alone_needs_no_batch(place: Place, client: DataverseClient) -> None:
    assert await rows_of(await client.together([named(0)])) == [["Customer 0000"]]
    assert await client.together([]) == []
    assert ours(place, BATCH) == 0


async def test_what_does_not_fit_the_first_page_is_read_on(place: Place, client: DataverseClient) -> None:
    await load_closed(place.url, tables(deals=7))
    small = Query("accounts", NAMES, order="name asc", size=3)
    told = await rows_of(await client.together([small, named(4), small]))
    everything = [f"Customer {number:04d}" for number in range(7)]
    assert told == [everything, ["Customer 0004"], everything]
    assert (ours(place, BATCH), ours(place, rf"GET {API}accounts")) == (1, 4)


async def test_letters_that_addresses_do_not_take_reach_the_vendor(place: Place, client: DataverseClient) -> None:
    name = "A & B's #1 + 2 % ü? = x/y"
    await place.amend("accounts(accountnumber='A0000')", name=name)
    quoted = name.replace("'", "''")
    told = await rows_of(await client.together([Query("accounts", NAMES, f"name eq '{quoted}'"), named(0)]))
    assert told == [[name], []]


# --- more than fits ---------------------------------------------------------------------------------------------------
async def test_more_parts_than_the_vendor_takes_go_in_several_batches(place: Place, client: DataverseClient) -> None:
    await load_closed(place.url, tables(deals=3))
    assert batch.MOST == MOST_PARTS
    told = await rows_of(await client.together([named(number % 3) for number in range(MOST_PARTS + 1)]))
    assert told == [[f"Customer {number % 3:04d}"] for number in range(MOST_PARTS + 1)]
    assert ours(place, BATCH) == 2


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "0x80040220", "Principal user is missing prvReadOpportunityProduct privilege", ScopeMissing),
        (404, "0x8006088a", "Resource not found for the segment 'opportunityproducts'.", ScopeMissing),
        (404, "0x80040217", "opportunity With Id = 1 Does Not Exist", NotFound),
        (404, "-2147220969", "opportunity With Id = 1 Does Not Exist", NotFound),
        (400, "0x0", "Could not find a property named 'thl_workstream' on type 'x'.", ScopeMissing),
        (400, "0x80040265", "A rule of the firm says no.", RuleViolated),
        (400, "", "A binary operator with incompatible types was detected.", VendorRejected),
        (401, "0x80048306", "The authentication token has expired or is not valid.", CredentialsRefused),
    ],
)
async def test_a_refused_part_means_what_it_would_mean_alone(
    place: Place, refuse: Refuse, status: int, code: str, message: str, kind: type[Exception]
) -> None:
    refusing = refuse("opportunityproducts", status, code, message, times=9)
    with pytest.raises(kind) as caught:
        await place.connector.get_opportunity(place.deal)
    assert refusing.struck
    assert "dynamics_sales" in str(caught.value)


async def test_a_part_that_is_throttled_is_waited_for(place: Place, refuse: Refuse) -> None:
    refusing = refuse("opportunityproducts", 429, REQUESTS, times=2, wait="0")
    deal = await place.connector.get_opportunity(place.deal)
    assert len(deal.lines) == 2
    assert (refusing.struck, ours(place, BATCH)) == (2, 3)


async def test_a_wait_inside_a_part_that_is_too_long_is_told_with_its_length(place: Place, refuse: Refuse) -> None:
    refuse("opportunities", 429, EXECUTION, times=9, wait="240")
    with pytest.raises(VendorThrottled) as caught:
        await place.connector.get_opportunity(place.deal)
    assert (caught.value.retry_after, caught.value.extra["vendor_code"]) == (240, EXECUTION)
    assert ours(place, BATCH) == 1, "who asks on while refused waits longer"


async def test_a_part_that_is_not_served_for_a_moment_is_asked_again(place: Place, refuse: Refuse) -> None:
    refuse("opportunityproducts", 503, "", times=1)
    assert len((await place.connector.get_opportunity(place.deal)).lines) == 2
    refuse("opportunityproducts", 503, "", times=99)
    with pytest.raises(VendorUnavailable):
        await place.connector.get_opportunity(place.deal)


async def test_a_token_refused_inside_a_part_is_renewed_once(place: Place, refuse: Refuse) -> None:
    await place.connector.ping()
    logins = place.sandbox.calls("oauth2")
    refuse("opportunities", 401, "0x80048306", times=1)
    await place.connector.get_opportunity(place.deal)
    assert place.sandbox.calls("oauth2") == logins + 1


@pytest.mark.parametrize("is_bare", [True, False])
async def test_a_token_that_ended_before_the_batch_is_renewed_once(place: Place, is_bare: bool) -> None:
    place.switch(bare_401=is_bare)
    await place.connector.ping()
    logins = place.sandbox.calls("oauth2")
    fault = place.sandbox.fault(FaultKind.SESSION_EXPIRED, BATCH)
    await place.connector.get_opportunity(place.deal)
    assert place.sandbox.has_struck(fault)
    assert place.sandbox.calls("oauth2") == logins + 1


async def test_nothing_is_asked_behind_a_refused_part(place: Place, refuse: Refuse) -> None:
    refusing = refuse("opportunities", 404, "0x80040217")
    with pytest.raises(NotFound):
        await place.connector.get_opportunity(place.deal)
    assert refusing.asked == ["opportunities"]


async def test_a_batch_that_is_refused_as_a_whole_is_told_as_such(place: Place) -> None:
    body = json.dumps({"error": {"code": "0x0", "message": "The batch message contains more than 1000 operations."}})
    place.sandbox.simulator.wire.faults.add(Fault(kind=FaultKind.STATUS, route=BATCH, status=400, body=body))
    with pytest.raises(VendorRejected, match="more than 1000"):
        await place.connector.get_opportunity(place.deal)


# --- answers that do not come whole -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER])
async def test_a_batch_of_reads_whose_answer_is_cut_is_asked_again(place: Place, kind: FaultKind) -> None:
    whole = await place.connector.get_opportunity(place.deal)
    fault = place.sandbox.fault(kind, BATCH)
    assert await place.connector.get_opportunity(place.deal) == whole
    assert place.sandbox.has_struck(fault)
    assert ours(place, BATCH) == 3


async def test_an_answer_with_fewer_parts_than_asked_is_drift(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def shortened(answers: Sequence[BatchAnswer | Sequence[BatchAnswer]]) -> tuple[bytes, str]:
        return write_batch(answers[:-1])

    monkeypatch.setattr(batch, "write_batch", shortened)
    with pytest.raises(VendorDrift, match="1 of 2 parts"):
        await place.connector.get_opportunity(place.deal)


async def test_a_part_that_is_no_list_or_no_json_is_drift(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for body, told in ((b"{}", "without value"), (b"<html>", "not JSON"), (b"", "without value")):

        def broken(answers: Sequence[BatchAnswer | Sequence[BatchAnswer]], body: bytes = body) -> tuple[bytes, str]:
            return write_batch([*answers[:-1], BatchAnswer(200, {}, body)])

        monkeypatch.setattr(batch, "write_batch", broken)
        with pytest.raises(VendorDrift, match=told):
            await place.connector.get_opportunity(place.deal)


async def test_pages_of_records_and_their_lines_come_whole_with_small_pages_of_the_vendor(place: Place) -> None:
    await load_closed(place.url, tables(deals=12, lines=3))
    place.switch(page_size=5)
    found = await read_on(place.connector.list_opportunities, 100)
    assert sorted(deal.reference for deal in found) == [f"D{number:04d}" for number in range(12)]
    assert all(len(deal.lines) == 3 for deal in found)
