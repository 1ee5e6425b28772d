"""The three main journeys, as their Arazzo documents tell them, walked in a whole house."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from deploy.local.installation import Installation
from deploy.local.journeys.checking import checked, missing_inputs
from deploy.local.journeys.command import app
from deploy.local.journeys.walking import Outcome, Walker
from tests.durability.shift import Shift
from tests.factories.little_deals import EXPECTED, LittleDeal

ARAZZO = Path(__file__).parents[2] / "openapi" / "arazzo"
DEAL = LittleDeal("JOURNEY")


async def walk(file: str, shift: Shift, http: httpx.AsyncClient, **inputs: str) -> Outcome:
    """A journey, with a token of its own for every person."""
    path = ARAZZO / f"{file}.yaml"
    document, operations, findings = checked(path)
    assert findings == []
    (workflow,) = document.workflows
    assert missing_inputs(workflow, inputs) == []
    house = shift.house.installation
    addresses = {tier: house.url(tier) for tier in ("system", "process", "experience")}
    return await Walker(workflow, operations, addresses=addresses, http=http).walk(inputs)


async def tokens(house: Installation, http: httpx.AsyncClient, **people: str) -> dict[str, str]:
    """Input name → access token of that client."""
    found: dict[str, str] = {}
    for name, client in people.items():
        auth = httpx.BasicAuth(client, house.secrets.clients[client])
        form = {"grant_type": "client_credentials"}
        answer = await http.post(f"{house.url('experience')}/oauth/token", data=form, auth=auth)
        found[name] = str(answer.json()["access_token"])
    return found


async def test_a_deal_is_won_set_up_billed_and_paid_as_the_three_journeys_tell_it(shift: Shift) -> None:
    house = shift.house.installation
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        people = await tokens(
            house,
            http,
            account_token="alex",
            pmo_token="pmo-paul",
            delivery_token="dan",
            finance_token="fiona",
            partner_token="partner-demo",
            operator_token="olga",
        )

        def given(*names: str) -> dict[str, str]:
            return {f"{name}_token": people[f"{name}_token"] for name in names}

        await shift.win(DEAL)
        deal = await _known(shift)
        active = await walk(
            "won-deal-to-active-project",
            shift,
            http,
            opportunity_id=deal["opportunity_id"],
            **given("account", "pmo", "delivery", "finance", "partner"),
        )
        assert [one.step for one in active.steps][-1] == "tell-the-partner"
        assert active.outputs["project_id"].startswith("prj_")

        await shift.book(DEAL)
        billed = await walk(
            "time-to-posted-invoices",
            shift,
            http,
            contract_id=active.outputs["contract_id"],
            order_key="journey-1",
            **given("operator", "finance"),
        )
        assert billed.outputs["invoices"] == len(EXPECTED)
        walked = [one.step for one in billed.steps]
        assert walked.count("await-posting") == len(EXPECTED)

        posted = [one for one in await shift.desk.invoices("posted") if one["opportunity_id"] == deal["opportunity_id"]]
        await shift.pay(DEAL)
        machine = await tokens(house, http, operator_token="sandbox-operator")
        first, second = sorted(posted, key=lambda one: one["period"])
        cash = await walk(
            "invoice-to-cash", shift, http, invoice_id=first["id"], **machine, **given("finance", "account")
        )
        assert cash.outputs == {"paid": str(EXPECTED[0].gross), "currency": "GBP"}
        assert await asyncio.to_thread(_by_command, house, second["id"]) == {
            "paid": str(EXPECTED[1].gross),
            "currency": "GBP",
        }


def _by_command(house: Installation, invoice_id: str) -> Any:
    """The third journey as `throughline journeys run` walks it."""
    people = ("operator_token=sandbox-operator", "finance_token=fiona", "account_token=alex")
    words = ["run", str(ARAZZO / "invoice-to-cash.yaml"), "--state", str(house.places.root), "--json"]
    words += ["-i", f"invoice_id={invoice_id}", *(word for one in people for word in ("-t", one))]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["outputs"]


async def _known(shift: Shift) -> Any:
    """The deal as the event told it: the journey is given its id."""
    found: list[Any] = []

    async def is_known() -> bool:
        found[:] = [one for one in await shift.desk.deals() if one["reference"] == DEAL.reference]
        return bool(found)

    await shift.until("the won deal is known", is_known)
    return found[0]
