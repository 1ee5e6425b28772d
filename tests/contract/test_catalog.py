"""The API catalog (RFC 9727): everything published, how far it is, and links that lead somewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from shared.gateway.document import ApiFacts, GatewayDocuments
from shared.serving.app import TierApp
from shared.serving.catalog import CatalogPages, linkset
from tests.unit.gateway.door import documents

WHERE = "/.well-known/api-catalog"
PAGES = {"service-desc", "service-meta", "service-doc", "version-history"}
VERSIONS = {"latest-version", "predecessor-version", "successor-version", "deprecation", "sunset"}


def knock(app: TierApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tier.test")


async def test_the_catalog_is_a_linkset_and_head_tells_its_relation(tier: TierApp) -> None:
    async with knock(tier) as client:
        answer = await client.get(WHERE, headers={"accept": "application/linkset+json"})
        head = await client.head(WHERE)
    kind, _, profile = answer.headers["content-type"].partition(";")
    assert (kind, profile.strip()) == (
        "application/linkset+json",
        'profile="https://www.rfc-editor.org/info/rfc9727"',
    )
    assert 'rel="api-catalog"' in answer.headers["link"]
    assert (head.status_code, head.content, head.headers["link"]) == (200, b"", answer.headers["link"])
    assert set(answer.json()) == {"linkset"}


async def test_everything_published_is_listed_and_nothing_else(tier: TierApp) -> None:
    async with knock(tier) as client:
        contexts = (await client.get(WHERE)).json()["linkset"]
    items = {one["href"]: one for one in contexts[0]["item"]}
    published = {
        facts.base or "/": (api, facts)
        for api in tier.documents.apis
        if api.published
        for facts in api.versions.values()
    }
    assert {_path(href) for href in items} == set(published)
    for href, item in items.items():
        api, facts = published[_path(href)]
        assert (item["title"], item["release"]) == (api.title, [facts.release])
    assert {_path(one["anchor"]) for one in contexts[1:]} == set(published)


async def test_every_link_leads_somewhere(tier: TierApp) -> None:
    async with knock(tier) as client:
        contexts = (await client.get(WHERE)).json()["linkset"]
        for context in contexts[1:]:
            assert {"service-desc", "service-meta", "status"} <= set(context), context["anchor"]
            assert set(context) <= {"anchor", "status"} | PAGES | VERSIONS
            for relation in PAGES & set(context):
                for link in context[relation]:
                    answer = await client.get(_path(link["href"]), headers={"accept": link["type"]})
                    assert answer.status_code == 200, f"{relation}: {link['href']}"
                    assert answer.headers["content-type"].partition(";")[0] == link["type"], link


def _path(href: str) -> str:
    return "/" + href.split("/", 3)[3]


LIVES: dict[str, Any] = {
    "v1": {
        "state": "deprecated",
        "deprecated_at": "2026-01-01T00:00:00Z",
        "sunset_at": "2026-07-01T00:00:00Z",
        "successor": "/things/v2",
        "notice": "https://docs.test/move",
    },
    "v2": {"state": "active"},
    "v3": {"state": "preview"},
}


def declared() -> GatewayDocuments:
    others = {name: {"base": f"/things/{name}", "lifecycle": lifecycle} for name, lifecycle in LIVES.items()}
    found = documents(version={"lifecycle": LIVES["v1"]}, others={name: others[name] for name in ("v2", "v3")})
    things: ApiFacts = next(api for api in found.apis if api.api == "things")
    return GatewayDocuments(found.tier, found.policies, found.plans, (things,))


def contexts_at(day: datetime) -> dict[str, dict[str, Any]]:
    made = linkset(declared(), address="https://api.test", pages=CatalogPages(), now=day)["linkset"]
    return {"items": {one["href"]: one for one in made[0]["item"]}} | {one["anchor"]: one for one in made[1:]}


def test_versions_point_at_each_other_and_a_sunset_retires_by_the_clock() -> None:
    before = contexts_at(datetime(2026, 6, 1, tzinfo=UTC))
    old, new = (before[f"https://api.test/things/{name}"] for name in ("v1", "v2"))
    assert [link["href"] for link in old["successor-version"]] == ["https://api.test/things/v2"]
    assert [link["href"] for link in new["predecessor-version"]] == ["https://api.test/things/v1"]
    assert [link["href"] for link in old["latest-version"]] == ["https://api.test/things/v2"]
    assert old["deprecation"] == old["sunset"] == [{"href": "https://docs.test/move", "type": "text/html"}]
    states = {href.rpartition("/")[2]: item["state"] for href, item in before["items"].items()}
    assert states == {"v1": ["deprecated"], "v2": ["active"], "v3": ["preview"]}
    after = contexts_at(datetime(2026, 7, 2, tzinfo=UTC))
    gone = after["https://api.test/things/v1"]
    assert after["items"]["https://api.test/things/v1"]["state"] == ["retired"]
    assert "service-desc" not in gone
    assert gone["successor-version"] == old["successor-version"]
