"""Long writes go as jobs: done once whatever is cut, and told as they ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.tokens import MachineCredentials
from shared.errors.taxonomy import Misconfigured, OutcomeUnknown, PeriodClosed, VendorRejected
from shared.outbound import Answer
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.connectors.netsuite.jobs import Jobs, job_key
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.served import Sandbox

PUT = r"^PUT .*/invoice/"
STATE = r"^GET .*/async/v1/job/\d+$"


def _binding(netsuite: Sandbox, credentials: MachineCredentials, **settings: str) -> Binding:
    known = {
        "base_url": netsuite.base_url,
        "client_id": credentials.client_id,
        "certificate_id": credentials.certificate_id,
    }
    return Binding("harbour", "netsuite", {**known, **settings}, {"private_key": credentials.private_key})


@pytest.fixture
async def handing_in(
    netsuite: Sandbox, firm: NetSuiteFirm, credentials: MachineCredentials
) -> AsyncIterator[NetSuiteConnector]:
    """A connector that hands in every invoice as a job, with a customer and its project in place."""
    del firm
    opened = open_connector(_binding(netsuite, credentials, async_from_lines="2"))
    await opened.amend_customer(customer(), "HC-DE")
    await opened.amend_project(plan())
    yield opened
    await opened.aclose()


def _switch(netsuite: Sandbox, **switches: object) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure(dict(switches))


async def test_an_invoice_of_many_lines_is_followed_until_its_job_ends(
    netsuite: Sandbox, handing_in: NetSuiteConnector
) -> None:
    _switch(netsuite, job_polls=3)
    posted = await handing_in.create_invoice(draft())
    assert posted.gross == draft().gross
    assert netsuite.calls(STATE) == 4
    await handing_in.create_invoice(draft("inv_short", amounts=("1.00",)))
    assert netsuite.calls(STATE) == 4, "one line is written at once"


@pytest.mark.parametrize("route", [PUT, STATE, r"^GET .*/task/", r"^GET .*/result$"])
async def test_a_job_whose_answer_is_cut_is_found_again_by_its_key(
    netsuite: Sandbox, firm: NetSuiteFirm, handing_in: NetSuiteConnector, route: str
) -> None:
    _switch(netsuite, job_polls=2)
    fault = netsuite.fault(FaultKind.CUT_AFTER, route)
    await handing_in.create_invoice(draft())
    assert netsuite.has_struck(fault)
    assert await firm.count("invoice") == 1


async def test_a_repeat_in_another_process_finds_the_first_job(
    netsuite: Sandbox, firm: NetSuiteFirm, handing_in: NetSuiteConnector, credentials: MachineCredentials
) -> None:
    _switch(netsuite, job_polls=6)
    netsuite.fault(FaultKind.CUT_BEFORE, STATE, times=None)
    with pytest.raises(OutcomeUnknown, match="job 1"):
        await handing_in.create_invoice(draft())
    netsuite.heal()
    other = open_connector(_binding(netsuite, credentials, async_from_lines="2"))
    posted = await asyncio.gather(other.create_invoice(draft()), handing_in.create_invoice(draft()))
    await other.aclose()
    assert len({invoice.source.ref for invoice in posted}) == 1
    assert await firm.count("invoice") == 1


async def test_what_the_job_was_refused_for_is_told_and_can_be_mended(
    netsuite: Sandbox, firm: NetSuiteFirm, handing_in: NetSuiteConnector
) -> None:
    _switch(netsuite, closed_periods=["2026-10"], job_polls=1)
    for _ in range(2):
        with pytest.raises(PeriodClosed):
            await handing_in.create_invoice(draft())
    _switch(netsuite, open_periods=["2026-10"])
    await handing_in.create_invoice(draft())
    assert await firm.count("invoice") == 1


async def test_a_job_that_does_not_end_in_time_is_an_unknown_outcome() -> None:
    async def write(headers: object) -> Answer:
        del headers
        return Answer(202, {"location": "https://x.example/async/v1/job/7"}, b"", "netsuite", was_write=True)

    async def read(path: str) -> Answer:
        assert path.endswith("job/7")
        return Answer(200, {}, b'{"id":"7","completed":false,"progress":"pending"}', "netsuite")

    with pytest.raises(OutcomeUnknown, match="job 7"):
        await Jobs(read, "harbour", patience=0.1).done(write, "PUT invoice", b"{}")


async def test_a_job_that_failed_without_saying_why_is_a_rejection() -> None:
    answers = {
        "job/7": b'{"id":"7","completed":true,"progress":"failed"}',
        "task/": b'{"items":[{"id":"1"}]}',
        "result": b"",
    }

    async def write(headers: object) -> Answer:
        del headers
        return Answer(202, {"location": "/async/v1/job/7"}, b"", "netsuite", was_write=True)

    async def read(path: str) -> Answer:
        return Answer(200, {}, next(body for end, body in answers.items() if path.endswith(end)), "netsuite")

    with pytest.raises(VendorRejected, match="job 7"):
        await Jobs(read, "harbour").done(write, "PUT invoice", b"{}")


def test_a_key_is_the_same_for_the_same_content_only() -> None:
    first = job_key("harbour", "PUT invoice/eid:1", b"{}", 0)
    assert first == job_key("harbour", "PUT invoice/eid:1", b"{}", 0)
    others = {
        job_key("quay", "PUT invoice/eid:1", b"{}", 0),
        job_key("harbour", "PUT invoice/eid:2", b"{}", 0),
        job_key("harbour", "PUT invoice/eid:1", b"[]", 0),
        job_key("harbour", "PUT invoice/eid:1", b"{}", 1),
    }
    assert len({first, *others}) == 5


async def test_a_number_of_lines_that_is_none_is_misconfigured(
    netsuite: Sandbox, credentials: MachineCredentials
) -> None:
    with pytest.raises(Misconfigured, match="async_from_lines"):
        open_connector(_binding(netsuite, credentials, async_from_lines="many"))
