"""Schemathesis, all default checks in all phases, against the three tiers as they are served."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local import clients, installation
from deploy.local.clients import DemoClient
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.supervisor import House
from tests.durability.shift import Shift
from tests.factories.little_deals import LittleDeal

CASES_PER_OPERATION = int(os.environ.get("THROUGHLINE_FUZZ_CASES", "6"))
TIERS, PATIENCE = ("system", "process", "experience"), 600
ROOT = Path(__file__).parents[2]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EVERYBODY = DemoClient(
    "everybody",
    "May do whatever a person may",
    ("pmo", "delivery_lead", "finance_lead", "operator", "account_manager", "partner"),
)
EVERY_TIER = DemoClient(
    "every-tier", "May do whatever a tier may", ("process_tier",), audiences=(clients.SYSTEM_AUDIENCE,)
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A whole installation with two clients that hold every scope."""
    with pytest.MonkeyPatch.context() as patch:
        everyone = (*clients.CLIENTS, EVERYBODY, EVERY_TIER)
        patch.setattr(clients, "CLIENTS", everyone)
        patch.setattr(installation, "CLIENTS", everyone)
        patch.setattr(installation, "CLIENT_IDS", tuple(client.client_id for client in everyone))
        with House(Places(tmp_path_factory.mktemp("fuzzed")), Ports.free()) as house:
            asyncio.run(_put_to_work(house))
            yield house


async def _put_to_work(house: House) -> None:
    """Two deals of a small firm: one is active with its work booked, one waits for its approvals."""
    active, waiting = LittleDeal("FUZZ-1"), LittleDeal("FUZZ-2")
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        shift = Shift(house, http)
        await shift.open_books()
        await shift.win(active)
        await shift.until_active(active)
        await shift.book(active)
        await shift.win(waiting)


def token(house: House, tier: str) -> str:
    """An access token for the tier that holds every scope."""
    if tier == "system":
        return _asked(house, "every-tier", grant_type="client_credentials")
    person = _asked(house, "everybody", grant_type="client_credentials")
    if tier == "experience":
        return person
    return _asked(
        house,
        "tier-experience",
        grant_type=EXCHANGE,
        subject_token=person,
        subject_token_type=ACCESS_TOKEN,
        audience=clients.PROCESS_AUDIENCE,
    )


def _asked(house: House, client_id: str, **form: str) -> str:
    secret = house.installation.secrets.clients[client_id]
    answer = httpx.post(f"{house.url('experience')}/oauth/token", data=form, auth=(client_id, secret), trust_env=False)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def run(house: House, tier: str, folder: Path) -> subprocess.Popen[str]:
    """Schemathesis against one tier: all checks, all phases, nothing let pass."""
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), str(ROOT))),
    }
    return subprocess.Popen(  # noqa: S603 - the tool of this environment, with arguments of ours
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
            *("run", f"{house.url(tier)}/openapi.json"),
            *("--url", house.url(tier), "--header", f"Authorization:Bearer {token(house, tier)}"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(CASES_PER_OPERATION)),
            *("--workers", "1", "--request-timeout", "30", "--generation-deterministic", "--no-color"),
        ],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def told(house: House, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """How each tier fared: exit code and report; all at the same time, for most of it is waiting."""
    running = {tier: run(house, tier, tmp_path_factory.mktemp(tier)) for tier in TIERS}
    reports = {tier: running[tier].communicate(timeout=PATIENCE)[0] for tier in TIERS}
    return {tier: (running[tier].returncode, reports[tier]) for tier in TIERS}


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("tier", TIERS)
def test_no_request_schemathesis_thinks_of_breaks_a_promise_of_the_documents(
    told: dict[str, tuple[int, str]], tier: str, record_property: Callable[[str, object], None]
) -> None:
    code, report = told[tier]
    assert code == 0, report[-8000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", report)
    assert cases is not None, report[-2000:]
    sys.stdout.write(f"{tier}: {cases[0]}, 0 failures\n")
    record_property("cases", cases[1])
