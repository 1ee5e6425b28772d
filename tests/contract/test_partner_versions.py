"""Two versions of one API side by side, over the whole chain: translated, deprecated, and at last retired."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from experience_apis.processes.models import Deal, ToldPage
from shared.gateway.document import load_documents
from shared.serving.app import TierApp
from shared.serving.exports import export_documents
from tests.unit.gateway.door import GATEWAY_DIR, Issuer

DEALS = tuple(
    Deal.model_validate(
        {
            "run_id": f"r-{name}",
            "opportunity_id": f"opp_{name}",
            "reference": f"OPP-{name}",
            "customer_id": f"cus_{name}",
            "customer_name": "Acme",
            "state": state,
            "region": "EMEA",
            "project_id": f"prj_{name}",
            "won_at": "2026-10-01T12:00:00Z",
            "changed_at": "2026-10-01T13:00:00Z",
            "activated_at": "2026-10-02T08:00:00Z" if state == "activated" else None,
        }
    )
    for name, state in (("a", "activated"), ("b", "activated"), ("c", "provisioning"), ("d", "exception"))
)


@dataclass
class Deals:
    """The process tier's deals; remembers what was asked."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    async def list_deals(self, caller: Any, **wanted: Any) -> ToldPage[Deal]:
        del caller
        self.asked.append(wanted)
        state, project = wanted["state"], wanted.get("project_id")
        items = [one for one in DEALS if state in {None, one.state} and project in {None, one.project_id}]
        return ToldPage[Deal](items=tuple(items), next_cursor="7")


@dataclass
class Partner:
    """A partner's system at the door."""

    app: TierApp
    http: httpx.AsyncClient
    issuer: Issuer
    deals: Deals

    async def get(self, path: str, *, customers: list[str] | None = None, **query: str) -> httpx.Response:
        token = self.issuer.token(
            iss="http://127.0.0.1:8103", aud=["throughline-experience"], scope="partner.read", customers=customers
        )
        return await self.http.get(path, params=query, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def partner(tiers: dict[str, TierApp], issuer: Issuer) -> AsyncGenerator[Partner]:
    app = tiers["experience"]
    deals = Deals()
    app.state.process_tier = SimpleNamespace(deals=deals)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://partner.test") as http:
        yield Partner(app, http, issuer, deals)


@asynccontextmanager
async def registry(app: TierApp, folder: Path, **facts: Any) -> AsyncGenerator[None]:
    """The tier by a registry in which these facts hold for v1 of the partner API."""
    shutil.copytree(GATEWAY_DIR, folder)
    path = folder / "registry.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    (entry,) = (one for one in told["apis"] if (one["tier"], one["name"]) == ("experience", "partner"))
    entry["versions"]["v1"].update(facts)
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    before = load_documents(GATEWAY_DIR, "experience")
    app.gateway.load(load_documents(folder, "experience"))
    try:
        yield
    finally:
        app.gateway.load(before)


async def test_v1_is_answered_by_v2_and_tells_what_it_always_told(partner: Partner) -> None:
    old = (await partner.get("/partner/v1/projects", state="activated", region="EMEA", limit="2")).json()
    new = (await partner.get("/partner/v2/projects", status="active", region="EMEA", limit="2")).json()
    assert partner.deals.asked[0] == partner.deals.asked[1]
    assert (old["next_cursor"], old["message"]) == (new["next_cursor"], new["message"])
    assert old["items"][0] == {
        "project_id": "prj_a",
        "reference": "OPP-a",
        "region": "EMEA",
        "state": "activated",
        "state_label": "Active",
        "since": "2026-10-02T08:00:00Z",
        "activated_at": "2026-10-02T08:00:00Z",
        "message": "The project is active.",
    }
    assert new["items"][0]["status"] == {"code": "active", "label": "Active", "since": "2026-10-02T08:00:00Z"}
    assert "Acme" not in str(old) + str(new)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_answers_of_both_versions_are_what_their_documents_promise(partner: Partner, version: str) -> None:
    document = yaml.safe_load(export_documents(partner.app, "experience")[f"experience-partner.{version}.yaml"])
    for path, template in (("projects", "projects"), ("projects/prj_c", "projects/{project_id}")):
        answer = await partner.get(f"/partner/{version}/{path}")
        told = document["paths"][f"/partner/{version}/{template}"]["get"]["responses"]["200"]
        schema = {**told["content"]["application/json"]["schema"], "components": document["components"]}
        jsonschema.validate(answer.json(), schema)


async def test_only_the_old_version_says_that_it_is_deprecated_until_when_and_what_follows(partner: Partner) -> None:
    old, new = await partner.get("/partner/v1/projects"), await partner.get("/partner/v2/projects")
    assert old.headers["deprecation"] == "@1795132800"
    assert old.headers["sunset"] == "Tue, 30 Nov 2027 00:00:00 GMT"
    assert '</partner/v2>; rel="successor-version"' in old.headers["link"]
    assert '; rel="deprecation"' in old.headers["link"]
    assert not {"deprecation", "sunset"} & new.headers.keys()


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_project_of_another_customer_does_not_exist(partner: Partner, version: str) -> None:
    mine = ["cus_a", "cus_d"]
    page = (await partner.get(f"/partner/{version}/projects", customers=mine)).json()
    assert [one.get("id", one.get("project_id")) for one in page["items"]] == ["prj_a"]
    assert (await partner.get(f"/partner/{version}/projects/prj_a", customers=mine)).status_code == 200
    for hidden in ("prj_b", "prj_d", "prj_z"):  # another's, not told to partners, nobody's: the same answer
        answer = await partner.get(f"/partner/{version}/projects/{hidden}", customers=mine)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await partner.get(f"/partner/{version}/projects/prj_b")).status_code == 200


async def test_a_retired_version_is_gone_and_names_its_successor(partner: Partner, tmp_path: Path) -> None:
    async with registry(partner.app, tmp_path / "gateway", state="retired"):
        answer = await partner.get("/partner/v1/projects")
        assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
        assert (answer.json()["code"], answer.json()["successor"]) == ("version_retired", "/partner/v2")
        assert '</partner/v2>; rel="successor-version"' in answer.headers["link"]
        assert (await partner.get("/partner/v2/projects")).status_code == 200
    assert (await partner.get("/partner/v1/projects")).status_code == 200


async def test_a_version_past_its_sunset_stops_by_itself(partner: Partner, tmp_path: Path) -> None:
    past = {"deprecated_at": "2020-01-01T00:00:00Z", "sunset_at": "2021-01-01T00:00:00Z"}
    async with registry(partner.app, tmp_path / "gateway", **past):
        assert (await partner.get("/partner/v1/projects/prj_a")).status_code == 410


async def test_an_unknown_version_tells_the_known_ones(partner: Partner) -> None:
    answer = await partner.get("/partner/v9/projects")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_version")
    assert answer.json()["known_versions"] == ["v1", "v2"]
