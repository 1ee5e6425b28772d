"""The developer site without a browser: every page and link, its words, its caching, its guides and samples."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

import httpx
import pytest
import standardwebhooks
import yaml
from fastapi import FastAPI

from experience_apis.desk.pages import asset_address, assets_router
from experience_apis.developer import catalog
from experience_apis.developer.catalog import Library, matching
from experience_apis.developer.examples import example_of
from experience_apis.developer.guides import GUIDES, guide_text
from experience_apis.developer.pages import developer_pages, developer_site
from experience_apis.developer.prose import prose
from experience_apis.developer.schemas import tree
from experience_apis.developer.site import Site, site_wording
from experience_apis.developer.usage import chart
from shared.errors.taxonomy import LimitExceeded, StillRunning
from shared.persistence.usage_store import UsageCounts, UsageKey, UsageOfHour
from shared.serving.differences.changelog import ApiChangelog, ReleaseNotes
from shared.serving.differences.changes import Change, Weight

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "experience_apis" / "developer"
PARTNER = "/developer/apis/experience/partner/v1"
SAID = re.compile(r"(?:say|count)\(\s*'([a-z_]+\.[a-z0-9_.-]+)'(?! ~)")
LINK = re.compile(r'(?:href|src)="(/[^"#?]*)')
INNER = re.compile(r"/developer/apis/(process|system)/.*/(operations|schemas)/")
CHECKS_SESSION = re.compile(r"/(developer/(clients|requests|consumers)|login|logout)")


@pytest.fixture(scope="module")
def site() -> Site:
    return developer_site(ROOT / "deploy" / "gateway", ROOT / "openapi", address="http://api.example")


@pytest.fixture
async def client(site: Site) -> Any:
    app = FastAPI()
    for router in (assets_router(), *developer_pages(site)):
        app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.example") as asked:
        yield asked


async def test_every_link_leads_somewhere_and_pages_are_quick(client: httpx.AsyncClient) -> None:
    waiting, seen, spent = ["/developer"], {"/developer"}, []
    while waiting:
        address = waiting.pop()
        began = thread_time()
        answer = await client.get(address)
        spent.append(thread_time() - began)
        assert answer.status_code == 200, address
        if answer.headers["content-type"].startswith("text/html"):
            found = {one for one in LINK.findall(answer.text) if not CHECKS_SESSION.match(one)} - seen
            inner = sorted(one for one in found if INNER.match(one))
            found -= set(inner[2:])  # of an inner API two operations or schemas stand for all
            seen |= found
            waiting += sorted(found)
    assert len(seen) > 150
    assert median(spent) < 0.02
    assert not [one for one in seen if "//" in one]


async def test_an_unchanged_page_is_not_sent_twice_and_a_language_is_remembered(client: httpx.AsyncClient) -> None:
    first = await client.get(PARTNER)
    assert first.headers["cache-control"] == "private, no-cache"
    again = await client.get(PARTNER, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    german = await client.get(f"{PARTNER}?lang=de")
    assert '<html lang="de">' in german.text
    assert '<html lang="de">' in (await client.get(PARTNER)).text
    assert german.headers["etag"] != first.headers["etag"]


async def test_an_asset_is_kept_for_good_under_a_name_that_changes_with_it(client: httpx.AsyncClient) -> None:
    address = asset_address("site.css")
    packed = await client.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in packed.headers["cache-control"]
    plain = await client.get(address, headers={"Accept-Encoding": "identity"})
    assert plain.text == packed.text
    assert (await client.get(address, headers={"If-None-Match": plain.headers["etag"]})).status_code == 304
    assert "http" not in plain.text.replace("http://www.w3.org", "")


async def test_documents_are_downloaded_as_yaml_and_json(client: httpx.AsyncClient) -> None:
    as_yaml = await client.get("/developer/specs/experience-partner.v1.yaml")
    as_json = await client.get("/developer/specs/experience-partner.v1.json")
    assert yaml.safe_load(as_yaml.text) == as_json.json()
    assert as_yaml.content == (ROOT / "openapi" / "experience-partner.v1.yaml").read_bytes()
    assert "operationId" in as_json.text


async def test_a_search_looks_at_operations_and_a_filter_at_tier_and_state(
    client: httpx.AsyncClient, site: Site
) -> None:
    shelf = site.shelf
    assert {one.api.name for one in matching(shelf, words="billing run")} >= {"finance", "time-to-bill"}
    assert {one.api.tier for one in matching(shelf, tier="system")} == {"system"}
    assert all(one.state == "deprecated" for one in matching(shelf, state="deprecated"))
    page = await client.get("/developer/apis?q=<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_an_operation_tells_its_limits_and_what_it_hides(client: httpx.AsyncClient) -> None:
    finance = "/developer/apis/experience/finance/v1/operations"
    work = (await client.get(f"{finance}/listFinanceWork")).text
    assert re.search(r"items\[\]\.rate</th><td><code>amounts\.read</code></td><td>null", work)
    order = (await client.get(f"{finance}/startFinanceBillingRun")).text
    for told in ("Idempotency-Key", "billing.run", "1,048,576 Byte", "600 requests in 10 s (burst)"):
        assert told in order
    token = (await client.get("/developer/apis/experience/identity/v1/operations/issueToken")).text
    assert "No token is needed." in token
    assert "Counted per</dt><dd>address" in token


async def test_the_changelog_tells_each_release_heaviest_changes_first(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    breaking = Change(
        Weight.BREAKING, "property_removed", "answer 200", "`name` is <gone>.", ("GET /partner/v2/projects",)
    )
    added = Change(Weight.ADDITIVE, "property_added", "answer 200", "The answer may now carry `region`.")
    notes = (
        ReleaseNotes("2.0.0", "1.1.0", date(2026, 11, 20), "major", (breaking, added)),
        ReleaseNotes("1.0.0", None, date(2026, 10, 1), "first", ()),
    )
    told = ApiChangelog("experience-partner", "v2", "Partners", notes)
    monkeypatch.setattr(catalog, "_changelog", lambda *_: (told,))
    changed = Library(ROOT / "deploy" / "gateway", ROOT / "openapi")
    catalog.read_shelf.cache_clear()
    monkeypatch.setattr(site, "library", changed)
    for address in ("/developer/changelog", "/developer/apis/experience/partner/v2/changelog"):
        page = (await client.get(address)).text
        assert "<code>name</code> is &lt;gone&gt;." in page
        assert page.index("Breaking (1)") < page.index("Added (1)") < page.index("The first release.")
        assert "compared with 1.1.0" in page
    catalog.read_shelf.cache_clear()


def test_every_sentence_stands_in_every_language_and_every_used_one_exists() -> None:
    english, german = site_wording("en").sentences, site_wording("de").sentences
    assert set(english) == set(german)
    assert not [
        key for key in english if set(re.findall(r"{\w+}", english[key])) != set(re.findall(r"{\w+}", german[key]))
    ]
    used = {key for path in (ROOM / "templates").glob("*.html") for key in SAID.findall(path.read_text("utf-8"))}
    counted = {key.rpartition(".")[0] for key in english if key.endswith(".many")}
    assert not used - set(english) - counted


def test_a_guide_says_the_same_in_both_languages_and_its_python_compiles(site: Site) -> None:
    for name in GUIDES:
        blocks = [
            re.findall(r"```(\w+)\n(.*?)```", guide_text(name, one, site.shelf, "http://x"), re.DOTALL)
            for one in ("en", "de")
        ]
        assert [kind for kind, _ in blocks[0]] == [kind for kind, _ in blocks[1]], name
        for kind, code in blocks[0]:
            if kind == "python":
                compile(code, name, "exec")
    told = guide_text("errors", "en", site.shelf, "http://x")
    assert f"`{LimitExceeded.code}`" in told
    assert StillRunning.sentence in told


def test_the_webhook_guide_verifies_what_an_independent_library_signs(site: Site) -> None:
    code = re.findall(r"```python\n(.*?)```", guide_text("webhooks", "en", site.shelf, "http://x"), re.DOTALL)[0]
    room: dict[str, Any] = {}
    exec(code, room)  # noqa: S102 - our own guide, as a reader would run it
    secret, now, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime.now(UTC), '{"type":"invoice.posted.v1"}'
    signed = standardwebhooks.Webhook(secret).sign("msg_1", now, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1,AAAA {signed}",
    }
    assert room["is_genuine"](secret, headers, body.encode())
    assert not room["is_genuine"](secret, headers, body.encode() + b" ")
    assert not room["is_genuine"](secret, headers, body.encode(), now=now.timestamp() + 301)


def test_markdown_of_documents_cannot_bring_html_in() -> None:
    assert "<img" not in prose("<img src=x onerror=alert(1)> [a](javascript:alert(1))")
    assert "javascript:" not in prose("[a](javascript:alert(1))").replace("[a](javascript:", "")


def test_a_schema_within_itself_is_named_and_not_unfolded_for_ever() -> None:
    document = {
        "components": {
            "schemas": {
                "Branch": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "maxLength": 5},
                        "next": {"anyOf": [{"$ref": "#/components/schemas/Branch"}, {"type": "null"}]},
                        "all": {"type": "array", "items": {"$ref": "#/components/schemas/Branch"}},
                    },
                }
            }
        }
    }
    node = tree({"$ref": "#/components/schemas/Branch"}, document)
    name, following, every = node.children
    assert (name.kind, name.is_required, name.bounds[0].value) == ("string", True, 5)
    assert (following.kind, following.can_be_null, following.children) == ("Branch", True, ())
    assert every.kind == "array<Branch>"
    json.dumps(example_of({"$ref": "#/components/schemas/Branch"}, document))


def test_a_library_shows_a_change_and_survives_a_bad_one(tmp_path: Path) -> None:
    gateway = tmp_path / "gateway"
    shutil.copytree(ROOT / "deploy" / "gateway", gateway)
    library = Library(gateway, ROOT / "openapi")
    assert library.shelf().edition("experience", "finance", "v1").state == "active"
    registry = gateway / "registry.yaml"
    known = yaml.safe_load(registry.read_text("utf-8"))
    finance = next(one for one in known["apis"] if (one["tier"], one["name"]) == ("experience", "finance"))
    finance["versions"]["v1"] |= {"state": "deprecated", "deprecated_at": "2026-01-01T00:00:00Z"}
    registry.write_text(yaml.safe_dump(known), "utf-8")
    library.look()
    assert library.shelf().edition("experience", "finance", "v1").state == "deprecated"
    registry.write_text("apis: 1", "utf-8")
    library.look()
    assert library.shelf().edition("experience", "finance", "v1").state == "deprecated"


def hours(*counts: UsageCounts, now: datetime) -> Iterator[UsageOfHour]:
    for back, one in enumerate(counts):
        key = UsageKey("harbour", "c", "partner", "v1", "GET /x", now.replace(minute=0) - timedelta(hours=back))
        yield UsageOfHour(key, one)


def test_a_chart_stacks_what_was_served_refused_and_failed_to_the_number_of_calls() -> None:
    now = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    made = chart(hours(UsageCounts(100, 20, 5, 10), UsageCounts(3, 0, 0, 0), now=now), "hour", now)
    last = made.bars[-1]
    assert (made.total.calls, made.total.served, last.sum.limited) == (103, 78, 10)
    assert [one.kind for one in last.parts] == ["ok", "refused", "failed"]
    for lower, upper in pairwise(last.parts):
        assert upper.y + upper.height == pytest.approx(lower.y, abs=0.2)
    assert last.limit_y is not None
    assert made.rules[-1][1] == 100
    assert chart([], "day", now).is_empty
    assert len(chart([], "day", now).bars) == 30
