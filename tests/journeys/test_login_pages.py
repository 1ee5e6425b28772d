"""The login pages in a real browser: a portal's whole way, by keyboard, in light and dark, wide and narrow."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg import sql

from experience_apis.app import create_app
from tests.serving import listener
from tests.unit.experience.portals.browser import DONE, Flow, password_of
from tests.unit.experience.portals.conftest import portal_settings

from .accessible import axe_findings, own_findings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def issuer(postgres_server: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tier with people and portals, answering on loopback."""
    name = f"t_{uuid4().hex}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:  # pyright: ignore[reportAttributeAccessIssue]
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    bound, address = listener()
    url = postgres_server.get_uri(database=name)  # pyright: ignore[reportAttributeAccessIssue]
    app = create_app(portal_settings(tmp_path_factory.mktemp("portals"), url, issuer=address))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    yield address
    server.should_exit = True
    thread.join()
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:  # pyright: ignore[reportAttributeAccessIssue]
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def is_fit(page: Page) -> None:
    """By our own rules everywhere; by axe's, which take a while, where there is a form."""
    assert own_findings(page) == []
    if page.locator("form").count():
        assert axe_findings(page) == []


@pytest.mark.parametrize(
    ("name", "width", "scheme", "title"),
    [("paul", 1100, "light", "Allow access?"), ("fiona", 340, "dark", "Zugriff erlauben?")],
)
def test_a_person_goes_through_the_door_by_keyboard_and_comes_out_at_the_portal(
    issuer: str, browser: Browser, name: str, width: int, scheme: str, title: str
) -> None:
    context = browser.new_context(  # without motion: contrast is judged on settled colours
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.route(f"{DONE}*", lambda route: route.fulfill(status=200, body="the portal"))
    said: list[str] = []
    page.on("console", lambda told: said.append(told.text) if "status of 422" not in told.text else None)

    page.goto(f"{issuer}{Flow(scope='openid approvals.read').address}")
    is_fit(page)
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    is_fit(page)
    page.keyboard.type(password_of(name))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    is_fit(page)
    page.locator("button[value=allow]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{DONE}*")
    assert "code=" in page.url
    assert f"iss={issuer.replace(':', '%3A').replace('/', '%2F')}" in page.url

    for path in ("/account/sessions", "/account/password", "/logout"):
        page.goto(issuer + path)
        is_fit(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop is the way to the content"
    page.locator("main button[type=submit]").click()
    is_fit(page)
    assert not context.cookies(issuer) or all("session" not in one["name"] for one in context.cookies(issuer))
    assert said == []
    page.goto(f"{issuer}/oauth/authorize?client_id=nobody")
    is_fit(page)
    context.close()
