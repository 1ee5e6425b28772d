"""The customer's person of the demonstration sees the loaded firm's customer, however the chosen CRM numbers it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local.choice import Choice
from deploy.local.cli import app
from deploy.local.firm import Firm, read_firm
from deploy.local.main_job.job import MainJob
from deploy.local.main_job.progress import Silent
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.supervisor import House
from tests.factories.generated_firm import write_firm


def bound(places: Places) -> list[str]:
    """The customers the person is bound to, as the running issuer knows them."""
    listed = CliRunner().invoke(app, ["users", "list", "--json", "--state", str(places.root)])
    assert listed.exit_code == 0, listed.output
    people = {one["name"]: one for one in json.loads(listed.stdout)["people"]}
    return people["carla"]["customers"]


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_carla_sees_a_customer_of_the_firm(crm: str, tmp_path: Path) -> None:
    firm = read_firm(write_firm(tmp_path / "firm", deals=3, entries_per_deal=1))
    with House(Places(tmp_path / "state"), Ports.free(), choice=Choice(crm=crm)) as house:
        assert bound(house.installation.places) == ["cus_of_nobody_yet"]
        name, known = asyncio.run(_loaded(firm, house))
        assert name in {row["name"] for row in firm["crm/accounts.csv"]}
        assert bound(house.installation.places) == [known[name]]


async def _loaded(firm: Firm, house: House) -> tuple[str, dict[str, str]]:
    job = MainJob(firm, house.installation, Silent())
    try:
        assert await job.open_portal() is None, "nothing is loaded: nobody is bound"
        await job._vendors.load_deals(firm)
        name = await job.open_portal()
        assert name
        return name, {item["name"]: item["id"] for item in await job._desk.customers()}
    finally:
        await job.aclose()
