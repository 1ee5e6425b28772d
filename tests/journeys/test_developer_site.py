"""The developer site in a real browser, against the real tier: what developers and administrators do there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect, sync_playwright
from psycopg import sql

from shared.gateway.policies.usage.recorder import UsageRecorder

from .accessible import axe_findings, own_findings
from .developer_house import PASSWORD, PROJECT, SECRET, House, running_house

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
PARTNER = "/developer/apis/experience/partner/v1"
TRY = f"{PARTNER}/operations/listPartnerProjects"
PAGES = (
    "/developer",
    "/developer/apis",
    PARTNER,
    TRY,
    f"{PARTNER}/schemas/ProjectStatus",
    "/developer/events/InvoicePosted",
    "/developer/changelog",
    "/developer/guides/idempotency",
    "/developer/status",
)
DARK_PAGES = (TRY, "/developer/apis", "/developer/events/InvoicePosted", "/developer/guides/versioning")
ACCOUNT_PAGES = ("/developer/clients", "/developer/clients/new", "/developer/requests", "/developer/consumers")


@dataclass
class Watched:
    """What a browser did that it should not have: said something, or asked another origin."""

    origin: str
    said: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._listen_to)
        context.on("weberror", lambda told: self.said.append(str(told.error)))
        context.on("request", self._look_at)

    def _listen_to(self, told: ConsoleMessage) -> None:
        if told.type in {"error", "warning"}:
            self.said.append(told.text)

    def _look_at(self, asked: Request) -> None:
        if not asked.url.startswith(self.origin):
            self.strangers.append(asked.url)


@pytest.fixture(scope="module")
def house(postgres_server: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    name = f"t_{uuid4().hex}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:  # pyright: ignore[reportAttributeAccessIssue]
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UsageRecorder.__init__, "__kwdefaults__", {"every": 0.1, "most": 1000})
        with running_house(
            postgres_server.get_uri(database=name),  # pyright: ignore[reportAttributeAccessIssue]
            tmp_path_factory.mktemp("house"),
            patch.setenv,
        ) as running:
            running.process.says("GET /quote-to-project/v1/runs", {"items": [PROJECT], "next_cursor": None})
            yield running
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:  # pyright: ignore[reportAttributeAccessIssue]
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def watched(house: House) -> Iterator[Watched]:
    seen = Watched(house.address)
    yield seen
    assert not seen.said
    assert not seen.strangers


def opened(browser: Browser, house: House, watched: Watched, **options: object) -> Page:
    context = browser.new_context(  # without motion: contrast is judged on settled colours
        base_url=house.address,
        locale="en-GB",
        reduced_motion="reduce",
        **options,  # pyright: ignore[reportArgumentType]
    )
    context.set_default_timeout(15_000)
    watched.watch(context)
    return context.new_page()


def logged_in(page: Page, house: House, who: str, then: str) -> None:
    """The person's session; the first time they log in by the form."""
    known = house.sessions.get(who)
    if known is not None:
        page.context.add_cookies(known)  # pyright: ignore[reportArgumentType]
    page.goto(then)
    if known is None:
        page.get_by_label("User name").fill(who)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{then}")
        house.sessions[who] = page.context.cookies()


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Contact").fill("dora@example.com")
    page.get_by_label("Purpose").fill("Keeps a copy of what was billed.")


def headers_of(page: Page) -> dict[str, str]:
    rows = page.locator("[data-headers] tr").all()
    return {one.locator("th").inner_text(): one.locator("td").inner_text() for one in rows}


def test_a_developer_finds_an_operation_and_tries_it_with_their_own_client(
    browser: Browser, house: House, watched: Watched
) -> None:
    page = opened(browser, house, watched)
    page.goto("/developer")
    page.get_by_role("link", name="Browse the APIs").click()
    page.get_by_label("Search").press_sequentially("partner status")
    expect(page.get_by_role("status")).to_have_text("One API")
    page.get_by_role("link", name="Partners").click()
    page.get_by_role("link", name="v1", exact=True).click() if not page.url.endswith("/v1") else None
    page.locator(".operations").get_by_role("link").first.click()
    expect(page.locator("pre[data-curl]")).to_contain_text(f"{house.address}/partner/v1/projects")
    page.get_by_label("Client id").fill("own-client")
    page.get_by_label("Client secret").fill("a wrong secret")
    with watched_refusal(watched):
        page.get_by_role("button", name="Get a token").click()
        expect(page.locator("[data-token-status]")).to_contain_text("refused")
    page.get_by_label("Client secret").fill(SECRET)
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("[data-token-status]")).to_contain_text("partner.read")
    page.locator("#try-query-limit").fill("10")
    page.get_by_role("button", name="Send the request").click()
    expect(page.locator("[data-status]")).to_contain_text("200")
    shown = headers_of(page)
    assert '"burst";r=' in shown["ratelimit"]
    assert '"burst";q=' in shown["ratelimit-policy"]
    assert "deprecation" in shown
    expect(page.locator("[data-answer]")).to_contain_text("prj_a")
    assert "limit=10" in page.locator("pre[data-curl]").inner_text()
    assert "$TOKEN" in page.locator("pre[data-curl]").inner_text()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.reload()
    expect(page.locator("[data-token-status]")).to_have_text("No token yet.")


def test_a_person_can_try_an_operation_by_signing_in(browser: Browser, house: House, watched: Watched) -> None:
    page = opened(browser, house, watched)
    page.goto(TRY)
    with page.expect_popup() as opening:
        page.get_by_role("button", name="Sign in instead").click()
    popup = opening.value
    popup.get_by_label("User name").fill("dora")
    popup.get_by_label("Password", exact=True).fill(PASSWORD)
    popup.get_by_role("button", name="Log in").click()
    expect(page.locator("[data-token-status]")).to_contain_text("partner.read")
    page.get_by_role("button", name="Send the request").click()
    expect(page.locator("[data-status]")).to_contain_text("200")
    assert house.process.heard[-1].claims()["sub"] == "dora"


def test_a_client_is_registered_approved_used_counted_rotated_and_disabled(
    browser: Browser, house: House, watched: Watched
) -> None:
    dora = opened(browser, house, watched)
    logged_in(dora, house, "dora", "/developer/clients")
    dora.get_by_role("link", name="Register a client").click()
    fill_in(dora, "Invoice archive")
    dora.get_by_label("Plan").select_option("partner")
    with watched_refusal(watched):
        dora.get_by_role("button", name="Register", exact=True).click()
        expect(dora.get_by_role("alert")).to_contain_text("scopes")
    expect(dora.get_by_label("Name")).to_have_value("Invoice archive")
    dora.get_by_label("partner.read").check()
    dora.get_by_role("button", name="Register", exact=True).click()
    secret = dora.locator(".secret code").inner_text()
    client_id = dora.locator("dl.facts code").first.inner_text()
    dora.reload()
    expect(dora.locator("main")).not_to_contain_text(secret)
    expect(dora.locator("main")).to_contain_text("shown then")
    assert token(house, client_id, secret).status_code in {400, 401}

    adam = opened(browser, house, watched)
    logged_in(adam, house, "adam", "/developer/requests")
    request = adam.get_by_role("region", name="Invoice archive")
    request.get_by_label("Customers (ids").fill("cus_4r7c2m5xk3ta\n\n cus_5hd2vtl2oe6c ")
    request.get_by_role("button", name="Approve").click()
    expect(adam.get_by_role("status")).to_contain_text("is approved")

    granted = token(house, client_id, secret)
    assert granted.json()["scope"] == "partner.read"
    bearer = {"Authorization": f"Bearer {granted.json()['access_token']}"}
    for query in ("", "?limit=0"):
        answer = httpx.get(f"{house.address}/partner/v1/projects{query}", headers=bearer)
        assert '"burst";q=100' in answer.headers["ratelimit-policy"]
    address = f"/developer/clients/{client_id}"
    expect_after_reloads(dora, address, dora.locator("figure.chart figcaption"), re.compile(r": 2$"))
    expect(dora.locator("dl.facts")).to_contain_text("cus_4r7c2m5xk3ta cus_5hd2vtl2oe6c")
    row = dora.get_by_role("table", name="By API and version").get_by_role("row", name=re.compile("partner"))
    assert row.get_by_role("cell").all_inner_texts() == ["2", "1", "0", "0"]
    adam.goto("/developer/consumers")
    expect(adam.get_by_role("row", name=re.compile("Invoice archive"))).to_contain_text("2")

    dora.get_by_role("button", name="Rotate the secret").click()
    newer = dora.locator(".secret code").inner_text()
    assert newer != secret
    assert {token(house, client_id, one).status_code for one in (secret, newer)} == {200}
    dora.get_by_label("Reason").fill("No longer needed.")
    dora.get_by_role("button", name="Disable the client").click()
    expect(dora.locator("dl.facts")).to_contain_text("Disabled")
    assert token(house, client_id, newer).status_code == 401


def test_an_administrator_turns_a_request_down_and_the_developer_reads_why(
    browser: Browser, house: House, watched: Watched
) -> None:
    dora, adam = opened(browser, house, watched), opened(browser, house, watched)
    logged_in(dora, house, "dora", "/developer/clients/new")
    logged_in(adam, house, "adam", "/developer/clients")
    fill_in(dora, "Second thought")
    dora.get_by_label("partner.read").check()
    dora.get_by_role("button", name="Register", exact=True).click()
    adam.goto("/developer/requests")
    request = adam.get_by_role("region", name="Second thought")
    request.get_by_label("Reason").fill("One archive is enough.")
    request.get_by_role("button", name="Reject").click()
    dora.goto("/developer/clients")
    dora.get_by_role("link", name="Second thought").click()
    expect(dora.locator("main")).to_contain_text("One archive is enough.")
    with watched_refusal(watched):
        assert dora.goto("/developer/requests").status == 403  # pyright: ignore[reportOptionalMemberAccess]
    expect(dora.get_by_role("heading", level=1)).to_be_visible()


def test_a_form_from_elsewhere_is_refused(browser: Browser, house: House, watched: Watched) -> None:
    page = opened(browser, house, watched)
    logged_in(page, house, "dora", "/developer/clients")
    wish = {"name": "Forged", "contact": "x@example.com", "purpose": "None.", "plan": "trial", "scopes": "partner.read"}
    for csrf in ("", "guessed"):
        assert page.request.post("/developer/clients", form={**wish, "csrf": csrf}).status == 403
    page.goto("/developer/clients/new")
    known = page.locator("main input[name=csrf]").get_attribute("value") or ""
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert page.request.post("/developer/clients", form={**wish, "csrf": known}, headers=elsewhere).status == 403
    page.goto("/developer/clients")
    expect(page.locator("main")).not_to_contain_text("Forged")


def test_what_the_pages_show_runs_as_it_stands(
    browser: Browser,
    house: House,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bearer = token(house, "own-client", SECRET).json()["access_token"]
    for name, value in {"CLIENT_ID": "own-client", "CLIENT_SECRET": SECRET, "TOKEN": bearer}.items():
        monkeypatch.setenv(name, value)
    page = opened(browser, house, watched)
    for guide in ("authentication", "paging", "rate-limits", "versioning", "idempotency", "errors"):
        page.goto(f"/developer/guides/{guide}")
        for block in page.locator(".sample:has(.kn) code").all():
            exec(block.text_content() or "", {"__name__": "guide"})  # noqa: S102 - as a reader would run it
    said = capsys.readouterr().out
    for expected in ("a token for 900 s: partner.read", "prj_a", '"burst";r=', "move on before"):
        assert expected in said
    page.goto(TRY)
    samples = {
        one: page.locator(f"[data-tab={one}] code").text_content() or "" for one in ("curl", "Python", "JavaScript")
    }
    exec(samples["Python"], {})  # noqa: S102 - as a reader would run it
    assert "prj_a" in capsys.readouterr().out
    with page.expect_console_message() as told:
        page.evaluate(f"async (token) => {{ {samples['JavaScript']} }}", bearer)
    assert told.value.args[0].json_value()["items"][0]["project_id"] == "prj_a"
    if shutil.which("curl"):
        command = ["/bin/sh", "-c", samples["curl"]]
        ran = subprocess.run(command, capture_output=True, check=True, timeout=20)  # noqa: S603 - our own page's sample
        assert b"prj_a" in ran.stdout


def test_the_site_can_be_walked_with_the_keyboard_alone(browser: Browser, house: House, watched: Watched) -> None:
    page = opened(browser, house, watched)
    page.goto("/developer/apis")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", focused(page)
        if focused(page) == "Partners":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PARTNER.rpartition('/')[0]}/*")
    page.goto(TRY)
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    assert focused(page) == "Python"
    expect(page.get_by_role("tabpanel", name="Python")).to_contain_text("httpx")
    page.get_by_label("Client id").focus()
    page.keyboard.type("own-client")
    page.keyboard.press("Tab")
    page.keyboard.type(SECRET)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-token-status]")).to_contain_text("partner.read")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_page_is_accessible(browser: Browser, house: House, watched: Watched, scheme: str) -> None:
    is_dark = scheme == "dark"
    page = opened(browser, house, watched, color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844} if is_dark else {"width": 1360, "height": 900})
    logged_in(page, house, "adam", "/developer/requests")
    if is_dark:
        page.goto("/developer?lang=de")
    found: list[str] = []
    for address in (*(DARK_PAGES if is_dark else PAGES), *ACCOUNT_PAGES):
        page.goto(address)
        assert page.locator("html").get_attribute("lang") == ("de" if is_dark else "en")
        found += [f"{address}: {one}" for one in (*own_findings(page), *axe_findings(page))]
    assert not found, "\n".join(found)


def test_the_site_reads_without_javascript(browser: Browser, house: House, watched: Watched) -> None:
    page = opened(browser, house, watched, java_script_enabled=False)
    page.goto("/developer/apis")
    page.get_by_label("Search").fill("partner status")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".card")).to_have_count(1)
    page.goto(TRY)
    for language in ("curl", "Python", "JavaScript"):
        expect(page.get_by_role("heading", name=language, exact=True).first).to_be_visible()


class watched_refusal:  # noqa: N801 - reads as a sentence where it is used
    """The browser itself reports a refused request on its console; only that may be said in here."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def __enter__(self) -> None:
        self._before = list(self._watched.said)

    def __exit__(self, *_: object) -> None:
        new = self._watched.said[len(self._before) :]
        assert all("Failed to load resource" in one for one in new)
        self._watched.said[:] = self._before


def expect_after_reloads(page: Page, address: str, place: Locator, text: re.Pattern[str]) -> None:
    """Counts arrive a moment after the call."""
    for _ in range(50):
        page.goto(address)
        if place.count() and text.search(place.inner_text()):
            return
    raise AssertionError(f"{address} never said {text.pattern}")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.textContent.trim()")


def token(house: House, client_id: str, secret: str) -> httpx.Response:
    form = {"grant_type": "client_credentials"}
    return httpx.post(f"{house.address}/oauth/token", data=form, auth=(client_id, secret))
