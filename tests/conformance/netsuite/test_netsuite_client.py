"""A client we did not write (`netsuite`, unmodified) at work in the simulator, signing every request (TBA)."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.kit import environments
from deploy.sandbox.kit.environments import RegistryUnreachable
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.signatures import ACCOUNT, AccessToken
from system_apis.connectors.netsuite.connector import NetSuiteConnector
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.served import Sandbox

LOCK = Path(__file__).with_name("requirements.lock")
PROGRAM = Path(__file__).with_name("netsuite_client.py")
CACHE_VARIABLE = "THROUGHLINE_NETSUITE_CLIENT_CACHE"
PATIENCE = 60
TERMS = "SELECT id, name, daysuntilnetdue FROM term ORDER BY daysuntilnetdue"


class Refused(Exception):
    """The client raised its own error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.document = json.loads(text)

    @property
    def code(self) -> tuple[int, str]:
        return self.status, self.document["o:errorDetails"][0]["o:errorCode"]


class Client:
    """The client in its process: `await client("get", subpath=…)`, with other credentials, settings or time if told."""

    def __init__(self, process: Process, root: str, token: AccessToken) -> None:
        self._process = process
        self._root = root
        self._who = {"account": ACCOUNT, **asdict(token)}

    async def __call__(
        self,
        call: str,
        *,
        who: dict[str, str] | None = None,
        how: dict[str, Any] | None = None,
        clock: int = 0,
        **given: Any,
    ) -> Any:
        known = {**self._who, **(who or {})}
        line = {"call": call, "with": given, "root": self._root, "who": known, "how": how or {}, "clock": clock}
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            said = await self._process.stdout.readline()
            assert said, (await self._process.stderr.read()).decode()[-2000:]
        answer = json.loads(said)
        if "refused" in answer:
            raise Refused(*answer["refused"])
        return answer["answer"]


@asynccontextmanager
async def running(python: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        python, "-I", PROGRAM, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**24, env={"NO_PROXY": "*"}
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()  # the program ends with its input
        try:
            async with asyncio.timeout(PATIENCE):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the client's own environment, made on first use."""
    home = environments.cache("netsuite-client", CACHE_VARIABLE) / environments.edition(LOCK)
    try:
        return environments.environment(LOCK, "The client netsuite", home)
    except RegistryUnreachable as error:
        pytest.skip(str(error))


@pytest.fixture
async def client(python: Path, netsuite: Sandbox, access_token: AccessToken) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(running(python))
        yield Client(process, netsuite.base_url, access_token)


async def test_the_client_is_the_published_one_in_an_environment_of_its_own(python: Path) -> None:
    told = (
        "from importlib.metadata import version; import sys; print(version('netsuite'), version('httpx'), sys.prefix)"
    )
    process = await asyncio.create_subprocess_exec(python, "-I", "-c", told, stdout=PIPE)
    released, http, prefix = (await process.communicate())[0].decode().split(maxsplit=2)
    assert (released, http[:4]) == ("0.12.0", "0.27")
    assert Path(prefix.strip()) != Path(sys.prefix)
    assert "://" not in LOCK.read_text(encoding="utf-8"), "the lock names no registry"


async def test_it_queries_in_pages(client: Client) -> None:
    names: list[str] = []
    pages = 0
    has_more = True
    while has_more and pages < 5:
        page = await client("suiteql", q=TERMS, limit=3, offset=3 * pages)
        names += [row["name"] for row in page["items"]]
        has_more = page["hasMore"]
        pages += 1
    assert (pages, names) == (2, ["Due on receipt", "Net 15", "Net 30", "Net 60"])
    unasked = await client("suiteql", q=TERMS)
    assert (unasked["count"], unasked["links"][0]["href"].rsplit("?", 1)[1]) == (4, "limit=10&offset=0")


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('name START_WITH "Net" AND daysUntilNetDue LESS 60', 2),
        ("daysUntilNetDue ANY_OF [15, 60]", 2),
        ('name IS "a+b & c=d/é~*(ü)"', 0),
    ],
)
async def test_its_queries_are_signed_with_whatever_stands_in_them(client: Client, q: str, found: int) -> None:
    answer = await client("get", subpath="/record/v1/term", params={"q": q, "limit": 2, "offset": 0})
    assert answer["totalResults"] == found


async def test_it_makes_reads_changes_and_deletes_a_record(client: Client, firm: NetSuiteFirm) -> None:
    del firm  # its legal entities are needed
    body = {"companyName": "Müller & Söhne", "subsidiary": {"externalId": "HC-DE"}, "externalId": "cus-1"}
    made = await client("request", method="POST", subpath="/record/v1/customer", json=body)
    assert (made["status"], made["text"]) == (204, "")
    place = made["headers"]["location"].partition("/services/rest")[2]
    assert (await client("get", subpath=place))["companyName"] == "Müller & Söhne"
    assert await client("patch", subpath=place, json={"companyName": "Möller"}) is None
    assert await client("put", subpath="/record/v1/customer/eid:cus-1", json={"isInactive": True}) is None
    read = await client("get", subpath=place, params={"fields": "companyName,isInactive", "simpleEnumFormat": "true"})
    assert (read["companyName"], read["isInactive"]) == ("Möller", True)
    assert (await client("get", subpath="/record/v1/customer"))["totalResults"] == 1
    assert await client("delete", subpath=place) is None
    with pytest.raises(Refused) as caught:
        await client("get", subpath=place)
    assert caught.value.code == (404, "NONEXISTENT_ID")


async def test_it_reads_what_our_connector_wrote(
    client: Client, firm: NetSuiteFirm, connector: NetSuiteConnector
) -> None:
    del firm
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.create_invoice(draft())
    record = await client("get", subpath="/record/v1/invoice/eid:inv_acme", params={"expandSubResources": "true"})
    assert record["total"] == float(draft().gross.amount)
    assert len(record["item"]["items"]) == len(draft().lines)
    query = "SELECT c.companyname AS who, t.foreigntotal FROM transaction t INNER JOIN customer c ON c.id = t.entity"
    (row,) = (await client("suiteql", q=query))["items"]
    assert (row["who"], float(row["foreigntotal"])) == ("Acme Shipping", record["total"])


async def test_what_it_writes_wrongly_is_refused_in_the_vendors_words(
    client: Client, netsuite: Sandbox, firm: NetSuiteFirm
) -> None:
    del firm
    body = {"companyName": "B", "subsidiary": {"externalId": "HC-DE"}}
    for wrong in ({**body, "colour": "blue"}, {"companyName": "B"}, {**body, "subsidiary": {"id": "999"}}):
        with pytest.raises(Refused) as caught:
            await client("post", subpath="/record/v1/customer", json=wrong)
        assert caught.value.code == (400, "INVALID_CONTENT")
    assert netsuite.simulator.counts()["customer"] == 0


async def test_it_reads_the_metadata_catalog(client: Client) -> None:
    schema = await client("jsonschema", record_type="invoice")
    assert schema["properties"]["total"]["readOnly"]
    some = await client("openapi", record_types=["customer", "salesorder"])
    assert some["openapi"].startswith("3.0")
    assert {"/customer", "/customer/{id}", "/salesOrder", "/salesOrder/{id}"} == set(some["paths"])
    assert some["components"]["schemas"]["customer"]["required"] == ["companyName", "subsidiary"]
    everything = await client("openapi")
    assert {"/invoice", "/job", "/customerPayment"} <= set(everything["paths"])
    with pytest.raises(Refused) as caught:
        await client("openapi", record_types=["unheardOf"])
    assert caught.value.code == (404, "NONEXISTENT_ID")


@pytest.mark.parametrize(
    "wrong",
    [
        {"who": {"consumer_secret": "wrong"}},
        {"who": {"token_secret": "wrong"}},
        {"who": {"consumer_key": "0" * 64}},
        {"who": {"token_id": "0" * 64}},
        {"who": {"account": "7654321"}},
        {"who": {"account": ACCOUNT.lower()}},
        {"how": {"signature_method": "HMAC-SHA1"}},
        {"how": {"signature_method": "PLAINTEXT"}},
        {"clock": -330},
        {"clock": 330},
    ],
    ids=str,
)
async def test_a_login_that_does_not_fit_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    term = {"subpath": "/record/v1/term", "params": {"limit": 1}}
    assert (await client("get", **term))["count"] == 1
    with pytest.raises(Refused) as caught:
        await client("get", **term, **wrong)
    assert caught.value.code == (401, "INVALID_LOGIN")
    answer = await client("request", method="GET", **term, **wrong)
    assert answer["headers"]["content-type"] == "application/vnd.oracle.resource+json; type=error"


async def test_a_clock_may_be_off_by_minutes(client: Client, netsuite: Sandbox) -> None:
    for clock in (-240, 240):
        assert (await client("suiteql", q=TERMS, clock=clock))["totalResults"] == 4
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"timestamp_window": 7200})
    assert (await client("suiteql", q=TERMS, clock=-3600))["totalResults"] == 4


async def test_a_request_sent_twice_is_refused_because_its_nonce_is_spent(client: Client, netsuite: Sandbox) -> None:
    body = {"name": "Net 90", "daysUntilNetDue": 90}
    assert (await client("request", method="POST", subpath="/record/v1/term", json=body))["status"] == 204
    overheard = await client("again")
    assert overheard["status"] == 401
    assert json.loads(overheard["text"])["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"
    assert netsuite.simulator.counts()["term"] == 5
    netsuite.simulator.reset()  # a fresh account with the same token: nothing was wrong but the nonce
    assert (await client("again"))["status"] == 204


async def test_an_account_that_still_takes_sha1_takes_it(client: Client, netsuite: Sandbox) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"takes_sha1": True})
    answer = await client("suiteql", q=TERMS, how={"signature_method": "HMAC-SHA1"})
    assert answer["totalResults"] == 4


async def test_a_token_that_is_taken_away_opens_nothing(client: Client, netsuite: Sandbox) -> None:
    assert (await client("suiteql", q=TERMS))["totalResults"] == 4
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"access_tokens": []})
    with pytest.raises(Refused) as caught:
        await client("suiteql", q=TERMS)
    assert caught.value.code == (401, "INVALID_LOGIN")
