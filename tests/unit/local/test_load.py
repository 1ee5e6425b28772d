"""`throughline load` says why it does not begin: nothing runs, a part runs, or a firm is there already."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from deploy.local.failures import JobFailed
from deploy.local.firm import Firm, read_firm
from deploy.local.installation import Installation
from deploy.local.main_job.command import run_load
from deploy.local.main_job.job import AlreadyLoaded, MainJob
from deploy.local.main_job.progress import Silent
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.supervisor import ALL
from tests.factories.generated_firm import write_firm


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return read_firm(write_firm(tmp_path / "firm", deals=6, entries_per_deal=6))


def refusal(firm: Firm, places: Places) -> str:
    with pytest.raises(JobFailed) as refused:
        run_load(firm, places, Console(quiet=True), as_json=True)
    return str(refused.value)


def pretend_running(places: Places, *names: str) -> None:
    """Pid files that name this test."""
    record = {"pid": os.getpid(), "started": psutil.Process().create_time(), "stop": "SIGTERM"}
    places.pids.mkdir(parents=True, exist_ok=True)
    for name in names:
        (places.pids / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")


def test_it_says_that_nothing_runs_and_makes_nothing(firm: Firm, tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    assert refusal(firm, places) == f"nothing is running in {places.root}; `throughline up` starts everything"
    assert not places.root.exists()


def test_it_names_what_does_not_run(firm: Firm, tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    pretend_running(places, *(name for name in ALL if name not in {"nats", "process"}))
    assert refusal(firm, places).startswith("not running: nats, process; ")


def test_it_says_that_the_ports_are_not_known(firm: Firm, tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    pretend_running(places, *ALL)
    assert refusal(firm, places) == f"{places.run_file} does not tell ports and systems; `throughline up` writes it"


async def loaded(firm: Firm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, accounts: int, deals: int) -> str:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 900})
        assert request.url.path == "/pmo/v1/board"
        return httpx.Response(200, json={"items": [{}] * deals})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))

    def only_client(**_: object) -> httpx.AsyncClient:
        return client

    monkeypatch.setattr(httpx, "AsyncClient", only_client)
    job = MainJob(firm, Installation.of(Places(tmp_path / "state"), Ports.free()), Silent())

    async def customers() -> int:
        return accounts

    monkeypatch.setattr(job._vendors.crm, "count_accounts", customers)
    try:
        await job.refuse_loaded()
    except AlreadyLoaded as refused:
        return str(refused)
    finally:
        await job.aclose()
    return ""


@pytest.mark.parametrize(
    ("accounts", "deals", "said"),
    [(0, 0, ""), (3, 0, "a firm is loaded here already"), (0, 1, "the databases remember a firm")],
)
async def test_it_does_not_touch_a_house_where_a_firm_is(
    firm: Firm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accounts: int, deals: int, said: str
) -> None:
    told = await loaded(firm, tmp_path, monkeypatch, accounts=accounts, deals=deals)
    assert said in told
    assert bool(said) == bool(told)
