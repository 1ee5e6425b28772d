"""The process tier behind its gate: routes, decisions, remedies, journeys, key figures, bad input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from process_apis.app import create_app
from process_apis.settings import ProcessSettings
from tests.unit.process.conftest import TENANTS, until
from tests.unit.process.fake_systems import FakeSystems, customer
from tests.unit.process.issuer import AUDIENCE, ISSUER, TestIssuer

EVERY_SCOPE = (
    "deals.read deals.write approvals.read approvals.decide.delivery approvals.decide.finance "
    "approvals.decide.invoice exceptions.read exceptions.write kpis.read events.read events.replay billing.read"
)


@dataclass
class Tier:
    client: httpx.AsyncClient
    systems: FakeSystems
    issuer: TestIssuer

    def as_person(self, who: str, *, tenant: str = "harbour", scope: str = EVERY_SCOPE) -> dict[str, str]:
        token = self.issuer.token(who, tenant=tenant, scope=scope)
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}

    async def get(self, path: str, who: str = "olga", **params: Any) -> Any:
        answer = await self.client.get(path, params=params, headers=self.as_person(who))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, who: str = "olga") -> httpx.Response:
        return await self.client.post(path, json=body, headers=self.as_person(who))

    async def deal_in(self, state: str) -> Any:
        async def there() -> Any:
            items = (await self.get("/quote-to-project/v1/runs", status=state))["items"]
            return items[0] if items else None

        return await until(there)


@pytest.fixture
async def tier(postgres_url: str) -> AsyncIterator[Tier]:
    settings = ProcessSettings(
        port=0,
        database_url=postgres_url,
        issuer_url=ISSUER,
        audience=AUDIENCE,
        system_url="http://127.0.0.1:9",
        tenants_dir=TENANTS,
        gateway_dir=TENANTS.parents[1] / "gateway",
    )
    systems, issuer = FakeSystems(), TestIssuer()
    app = create_app(settings, systems=systems, keys=issuer.keys)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://process") as client:
            yield Tier(client, systems, issuer)


async def test_a_deal_goes_its_whole_way_over_http(tier: Tier) -> None:
    tier.systems.add_deal()
    started = await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"}, who="olga")
    assert started.status_code == 202, started.text
    assert started.json() == {"run_id": "quote-to-project:harbour:opp_1:1", "was_started": True}
    await tier.deal_in("awaiting_approval")
    approvals = (await tier.get("/approvals/v1/approvals", status="open"))["items"]
    assert [each["kind"] for each in approvals] == ["delivery", "finance"]
    first = {"decision": "approve", "comment": "Staffed."}
    refused = await tier.post(f"/approvals/v1/approvals/{approvals[0]['id']}/decision", first, who="olga")
    assert (refused.status_code, refused.json()["code"]) == (403, "same_requester")
    given = await tier.post(f"/approvals/v1/approvals/{approvals[0]['id']}/decision", first, who="dan")
    assert given.status_code == 200, given.text
    many = {"decisions": [{"approval_id": each["id"], "decision": "approve"} for each in approvals]}
    outcome = (await tier.post("/approvals/v1/decisions", many, who="fiona")).json()
    assert [each["code"] for each in outcome["outcomes"]] == ["already_decided", None]
    deal = await tier.deal_in("activated")
    assert deal["project_id"] in tier.systems.psa.projects
    journey = await tier.get("/journeys/v1/opportunities/opp_1")
    assert journey["deal"]["state"] == "activated"
    assert [each["type"] for each in journey["events"]] == ["project.activated.v1"]
    assert "The project is active; work can be booked and billed." in [each["sentence"] for each in journey["lines"]]
    assert {each["decided_by"] for each in journey["approvals"]} == {"dan", "fiona"}
    kpis = {each["name"]: each for each in (await tier.get("/kpis/v1/kpis"))["kpis"]}
    assert kpis["closed_won_to_activation"]["sample"] == 1
    assert kpis["exception_rate"]["value"] == "0.0000"
    assert kpis["exception_rate"]["by_region"] == [{"key": "Central", "value": "0.0000", "sample": 1}]


async def test_what_its_turn_did_not_come_for_stays_open_and_is_told_so(
    tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier.systems.add_deal()
    await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"}, who="olga")
    await tier.deal_in("awaiting_approval")
    open_ones = (await tier.get("/approvals/v1/approvals", status="open", kind="delivery"))["items"]
    many = {"decisions": [{"approval_id": each["id"], "decision": "approve"} for each in open_ones]}
    with monkeypatch.context() as hurried:
        hurried.setattr("process_apis.approvals.routes._BULK_SECONDS", -1.0)
        late = (await tier.post("/approvals/v1/decisions", many, who="dan")).json()
    assert [(each["status"], each["code"]) for each in late["outcomes"]] == [(503, "overloaded")]
    assert (await tier.get("/approvals/v1/approvals", status="open", kind="delivery"))["items"] == open_ones
    assert (await tier.post("/approvals/v1/decisions", many, who="dan")).json()["decided"] == 1


async def test_a_remedy_over_http_wakes_the_deal(tier: Tier) -> None:
    lines = tier.systems.add_deal().lines
    tier.systems.add_deal("1", lines=(lines[0].model_copy(update={"product_code": "GTXPro"}), lines[1]))
    await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"})
    await tier.deal_in("exception")
    item = (await tier.get("/exceptions/v1/items", status="open", code="service_code_unmapped"))["items"][0]
    assert item["findings"][0]["owner"] == "finance"
    assigned = await tier.post(f"/exceptions/v1/items/{item['id']}/assignment", {"assignee": "fiona"})
    assert assigned.json()["assigned_to"] == "fiona"
    remedy = {"kind": "product_alias", "subject": "GTXPro", "value": "GTX Pro"}
    taken = await tier.post("/exceptions/v1/remedies", remedy, who="fiona")
    assert (taken.status_code, taken.json()["woken"]) == (201, 1)
    await tier.deal_in("awaiting_approval")


async def test_a_waiting_deal_can_be_retried_resumed_and_cancelled(tier: Tier) -> None:
    tier.systems.add_deal()
    tier.systems.crm.customers["cus_1"] = customer(tax_id=None)
    run = (await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"})).json()["run_id"]
    await tier.deal_in("exception")
    item = (await tier.get("/exceptions/v1/items"))["items"][0]
    assert (await tier.post(f"/exceptions/v1/items/{item['id']}/retry", {})).status_code == 202
    assert (await tier.post(f"/quote-to-project/v1/runs/{run}/resume", None)).status_code == 202
    cancelled = await tier.post(f"/quote-to-project/v1/runs/{run}/cancel", {"because": "The customer left."})
    assert cancelled.status_code == 202, cancelled.text
    await tier.deal_in("cancelled")
    again = await tier.post(f"/quote-to-project/v1/runs/{run}/cancel", {})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_another_tenant_sees_nothing(tier: Tier) -> None:
    tier.systems.add_deal()
    run = (await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"})).json()["run_id"]
    await tier.deal_in("awaiting_approval")
    foreign = tier.as_person("mallory", tenant="elsewhere")
    approval = (await tier.get("/approvals/v1/approvals"))["items"][0]["id"]
    for path in (
        f"/quote-to-project/v1/runs/{run}",
        f"/approvals/v1/approvals/{approval}",
        "/journeys/v1/opportunities/opp_1",
    ):
        assert (await tier.client.get(path, headers=foreign)).status_code == 404
    listed = await tier.client.get("/approvals/v1/approvals", headers=foreign)
    assert listed.json()["items"] == []
    decided = await tier.client.post(
        f"/approvals/v1/approvals/{approval}/decision", json={"decision": "approve"}, headers=foreign
    )
    assert decided.status_code == 404


async def test_only_the_kinds_in_the_scopes_may_be_decided(tier: Tier) -> None:
    tier.systems.add_deal()
    await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"})
    await tier.deal_in("awaiting_approval")
    finance = (await tier.get("/approvals/v1/approvals", kind="finance"))["items"][0]["id"]
    headers = tier.as_person("dan", scope="approvals.read approvals.decide.delivery")
    path = f"/approvals/v1/approvals/{finance}/decision"
    refused = await tier.client.post(path, json={"decision": "approve"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/quote-to-project/v1/runs", {"opportunity_id": "no such id!"}, 422, "opportunity_id"),
        ("/quote-to-project/v1/runs", {"opportunity_id": "opp_404"}, 404, None),
        ("/exceptions/v1/remedies", {"kind": "magic", "subject": "a", "value": "b"}, 422, "kind"),
        ("/approvals/v1/decisions", {"decisions": []}, 422, "decisions"),
        ("/events/v1/replays", {"types": ["no.such.type"]}, 422, "types.0"),
        ("/events/v1/replays", {}, 422, "ids"),
    ],
)
async def test_bad_input_is_refused_naming_the_field(
    tier: Tier, path: str, body: Any, status: int, field: str | None
) -> None:
    answer = await tier.post(path, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert field is None or f"body.{field}" in [each["field"] for each in answer.json()["errors"]]


async def test_events_can_be_read_and_replayed(tier: Tier) -> None:
    tier.systems.add_deal(amount=tier.systems.add_deal().amount)
    await tier.post("/quote-to-project/v1/runs", {"opportunity_id": "opp_1"})
    await tier.deal_in("awaiting_approval")
    for number, each in enumerate((await tier.get("/approvals/v1/approvals"))["items"]):
        await tier.post(f"/approvals/v1/approvals/{each['id']}/decision", {"decision": "approve"}, who=f"p{number}")
    await tier.deal_in("activated")
    facts = (await tier.get("/events/v1/events"))["items"]
    assert [each["event"]["type"] for each in facts] == ["project.activated.v1"]
    dry = await tier.post("/events/v1/replays", {"subject": "opp_1", "dry_run": True})
    assert dry.json() == {"events": 1, "dry_run": True}
    real = await tier.post("/events/v1/replays", {"subject": "opp_1", "act_again": True})
    assert (real.status_code, real.json()) == (202, {"events": 1, "dry_run": False})


async def test_the_tier_is_ready_and_says_what_it_measures(tier: Tier) -> None:
    assert (await tier.client.get("/ready")).json()["ready"] is True
    await asyncio.sleep(0)
    assert "throughline_process_step_seconds" in (await tier.client.get("/metrics")).text
