"""People at the door: login, lockout, sessions, passwords, logout, and what a browser must not be talked into."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import psycopg
import pytest

from experience_apis.app import create_app
from experience_apis.identity.people.login import LoginDesk
from experience_apis.identity.people.passwords import PasswordKeeper
from experience_apis.identity.people.store import FailureStore, PeopleStore
from shared.persistence import Database

from .browser import ISSUER, Browser, Flow, password_of
from .conftest import PortalHouse, portal_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")
COOKIE = "throughline_session"
NEW = "three unrelated words"


async def logged_in(house: PortalHouse, name: str = "paul") -> Browser:
    browser = house.browser()
    await browser.logs_in(name)
    assert COOKIE in browser.http.cookies, browser.text
    return browser


async def is_in(browser: Browser) -> bool:
    page = await browser.visits("/account/sessions")
    return page.url.path == "/account/sessions"


async def tried(house: PortalHouse, name: str, password: str, address: str | None = None) -> tuple[int, str]:
    browser = house.browser(address)
    await browser.visits("/login")
    await browser.sends(name=name, password=password)
    assert browser.page is not None
    return browser.page.status_code, browser.text.replace(name, "")


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_new_at_each_login(house: PortalHouse) -> None:
    browser = house.browser()
    await browser.visits("/login")
    answer = await browser.sends_only(name="paul", password=password_of("paul"))
    told = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE))
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in told.split(";")}
    assert "Max-Age" not in told
    assert "expires" not in told, "it ends with the browser"
    first = browser.http.cookies[COOKIE]
    await browser.visits("/login?again=yes")
    await browser.logs_in()
    second = browser.http.cookies[COOKIE]
    assert first != second
    visitors = house.app.state.visitors
    assert await visitors.find(first) is None, "a cookie known from before the login is worth nothing"
    visitor = await visitors.find(second)
    assert (visitor.subject, visitor.name, visitor.tenant) == ("pmo-paul", "Paul Ott", "harbour")
    assert visitor.roles == {"pmo"}
    assert "deals.read" in visitor.scopes
    assert second not in repr(visitor)
    for wrong in (None, "", "x", "x" * 5000, "ü\x00"):
        assert await visitors.find(wrong) is None


async def test_with_https_cookies_are_bound_to_host_and_encryption(tmp_path: Path) -> None:
    settings = portal_settings(tmp_path, "postgresql://nobody@127.0.0.1:1/none", issuer="https://login.example")
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="https://login.example") as http:
        told = (await http.get("/login")).headers["set-cookie"]
    assert told.startswith("__Host-throughline_form=")
    assert "; Secure" in told
    assert "Domain" not in told


async def test_guessing_gets_slower_for_known_and_unknown_names_alike_until_time_or_an_administrator_unlocks(
    house: PortalHouse,
) -> None:
    known, unknown = [], []
    for _ in range(7):
        known.append(await tried(house, "fiona", "wrong"))
        unknown.append(await tried(house, "nobody-at-all", "wrong"))
    assert known == unknown
    assert [status for status, _ in known] == [422] * 5 + [429] * 2
    assert "too many attempts" in known[-1][1]
    assert (await tried(house, "fiona", password_of("fiona")))[0] == 429, "the right password waits like a wrong one"
    refused = house.told("login")
    assert {line["outcome"] for line in refused if line["person"] == "fiona"} == {"refused"}
    assert "nobody-at-all" not in str(house.audit), "what was typed as a name may be a password"

    house.runs("UPDATE login_failures SET next_at = now()")
    assert (await tried(house, "fiona", "wrong"))[0] == 422, "one more try after the wait"
    assert (await tried(house, "fiona", "wrong"))[0] == 429, "and a longer wait"
    database = Database(house.url)
    await FailureStore(database).forget("account", "fiona")
    await database.aclose()
    await logged_in(house, "fiona")
    house.runs("DELETE FROM login_failures")


async def test_one_address_cannot_try_many_names(house: PortalHouse) -> None:
    house.runs("INSERT INTO login_failures SELECT 'address', sha256('203.0.113.9'), 24, now() + interval '30 s', now()")
    status, text = await tried(house, "dora", password_of("dora"), "203.0.113.9")
    assert status == 429
    assert "30 s" in text
    house.runs("DELETE FROM login_failures")


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(house: PortalHouse) -> None:
    database = Database(house.url)
    desk = LoginDesk(PeopleStore(database), FailureStore(database), PasswordKeeper(), lambda _line: None)
    spent: dict[str, list[float]] = {"dora": [], "nobody": []}
    for _ in range(5):
        for name, times in spent.items():
            begun = time.perf_counter()
            await desk.login(name, "wrong", "198.51.100.7")
            times.append(time.perf_counter() - begun)
            house.runs("DELETE FROM login_failures")
    await database.aclose()
    known, unknown = (min(times) for times in spent.values())
    assert 0.5 < known / unknown < 2, spent


async def test_forms_of_other_sites_and_of_other_browsers_are_refused(house: PortalHouse) -> None:
    victim, attacker = house.browser(), house.browser()
    await attacker.visits("/login")
    await victim.visits("/login")
    fields = {"name": "paul", "password": password_of("paul")}
    assert (await victim.http.post("/login", data=fields)).status_code == 403, "no token"
    assert attacker.page is not None
    theirs = attacker.page.text.split('name="csrf" value="')[1].split('"')[0]
    assert (await victim.http.post("/login", data={**fields, "csrf": theirs})).status_code == 403
    crossed = await victim.http.post("/login", data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert (await victim.http.post("/login", json=fields)).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    twice = await victim.http.post("/login", content="name=a&name=b", headers=form)
    assert twice.status_code == 400

    browser = await logged_in(house)
    for path in ("/logout", "/account/sessions", "/account/password"):
        await browser.http.post(path, data={"csrf": theirs, "end": "all", "current": password_of("paul"), "new": NEW})
    assert await is_in(browser), "nothing happened"


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
     "/a\r\nb: c", "https:evil.example", "/ü", "", "/x" * 4000, " //evil.example", "/\t/evil.example"],
)  # fmt: skip
async def test_login_leads_nowhere_but_to_a_path_of_ours(house: PortalHouse, address: str) -> None:
    browser = house.browser()
    page = await browser.http.get("/login", params={"back_to": address})
    assert 'name="back_to" value="/account/sessions"' in page.text
    browser.page = page
    answer = await browser.sends_only(name="paul", password=password_of("paul"), back_to=address)
    assert answer.headers["location"] == "/account/sessions"
    inside = await browser.http.get("/login", params={"back_to": address})
    assert inside.headers["location"] == "/account/sessions"
    assert house.app.state.visitors.login_address(address) == "/login?back_to=%2F"


async def test_a_session_ends_unused_or_old_or_with_its_account(house: PortalHouse) -> None:
    for ageing in (
        "UPDATE person_sessions SET seen_at = now() - interval '31 minutes' WHERE person = 'paul'",
        "UPDATE person_sessions SET ends_at = now() WHERE person = 'paul'",
        "UPDATE people SET is_enabled = false WHERE name = 'paul'",
    ):
        browser = await logged_in(house)
        assert await is_in(browser)
        house.runs(ageing)
        assert not await is_in(browser), ageing
    assert (await tried(house, "paul", password_of("paul")))[0] == 422, "a closed account reads like a wrong password"
    house.runs("UPDATE people SET is_enabled = true WHERE name = 'paul'")
    house.runs("DELETE FROM login_failures")
    browser = await logged_in(house)
    house.runs("UPDATE person_sessions SET seen_at = now() - interval '20 minutes' WHERE person = 'paul'")
    assert await is_in(browser)
    house.runs("UPDATE person_sessions SET seen_at = seen_at - interval '20 minutes' WHERE person = 'paul'")
    assert await is_in(browser), "every use keeps it alive"


async def test_people_see_their_sessions_and_end_them_with_all_tokens(house: PortalHouse) -> None:
    desktop, phone, other = await logged_in(house, "dora"), house.browser(), await logged_in(house, "fiona")
    phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19.0 Safari/604.1"
    await phone.logs_in("dora")
    flow = Flow(scope="openid", client_id="portal")
    on_phone, on_desktop = await house.tokens(phone, flow), await house.tokens(desktop, Flow(scope="openid"))
    await desktop.visits("/account/sessions")
    assert "Firefox on Linux" in desktop.text
    assert "Safari on iPhone" in desktop.text
    assert desktop.text.count("This browser") == 1

    assert desktop.page is not None
    foreign = (await house.app.state.visitors.find(other.http.cookies[COOKIE])).session
    await desktop.sends(end=foreign)
    assert await is_in(other), "nobody ends another person's session"
    sid = (await house.app.state.visitors.find(phone.http.cookies[COOKIE])).session
    await desktop.visits("/account/sessions")
    await desktop.sends(end=sid)
    assert "Sessions ended" in desktop.text
    assert not await is_in(phone)
    assert not await house.counts(on_phone["access_token"])
    assert (await house.refreshed(on_phone["refresh_token"])).json()["error"] == "invalid_grant"
    assert await house.counts(on_desktop["access_token"])
    with psycopg.connect(house.url) as connection:
        feed = set(connection.execute("SELECT kind, value FROM oauth_revocations"))
    assert ("session", sid) in feed, "every tier hears of it"

    await phone.logs_in("dora")
    await desktop.visits("/account/sessions")
    await desktop.sends(end="others")
    assert not await is_in(phone)
    assert await is_in(desktop)
    await desktop.sends(end="all")
    assert not await is_in(desktop)


async def test_logging_out_ends_the_session_everywhere_and_leads_back_to_registered_addresses_only(
    house: PortalHouse,
) -> None:
    browser = await logged_in(house)
    tokens = await house.tokens(browser, Flow(scope="openid"))
    await browser.visits("/logout")
    assert "Do you want to log out, Paul Ott?" in browser.text
    assert await is_in(browser), "a link alone logs nobody out"
    wish = {"client_id": "portal", "post_logout_redirect_uri": "https://portal.example/bye", "state": "s 1"}
    await browser.visits("/oauth/logout?" + str(httpx.QueryParams(wish)))
    page = await browser.sends()
    assert "https://portal.example/bye?state=s+1" in page.text
    assert COOKIE not in browser.http.cookies
    assert not await house.counts(tokens["access_token"])
    by_hint = {**wish, "client_id": "", "id_token_hint": tokens["id_token"]}
    assert "portal.example/bye" in (await browser.visits("/oauth/logout?" + str(httpx.QueryParams(by_hint)))).text
    for wrong in ({**by_hint, "client_id": "other-portal"}, {**by_hint, "id_token_hint": tokens["access_token"]}):
        assert "portal.example" not in (await browser.visits("/oauth/logout?" + str(httpx.QueryParams(wrong)))).text

    browser = await logged_in(house)
    by_form = await browser.http.post("/oauth/logout", data={**wish, "strange": "x"})
    assert (by_form.status_code, by_form.headers["location"]) == (303, f"/oauth/logout?{httpx.QueryParams(wish)}")
    assert await is_in(browser), "a form of another site logs nobody out either"
    await browser.visits(
        "/oauth/logout?" + str(httpx.QueryParams({**wish, "post_logout_redirect_uri": "https://e.example"}))
    )
    page = await browser.sends()
    assert "e.example" not in page.text
    assert "You are logged out" in browser.text


async def test_a_password_is_changed_by_whoever_knows_the_old_one_and_ends_the_other_sessions(
    house: PortalHouse,
) -> None:
    browser, elsewhere = await logged_in(house, "dora"), await logged_in(house, "dora")
    old = password_of("dora")
    for fields, told in (
        ({"current": "wrong", "new": NEW, "repeat": NEW}, "The present password is not right."),
        ({"current": old, "new": "short", "repeat": "short"}, "at least 12 characters"),
        ({"current": old, "new": "x" * 201, "repeat": "x" * 201}, "at most 200"),
        ({"current": old, "new": "password1234", "repeat": "password1234"}, "guessed first"),
        ({"current": old, "new": "dora dora 12", "repeat": "dora dora 12"}, "little more than the user name"),
        ({"current": old, "new": NEW, "repeat": NEW + "s"}, "differ"),
        ({"current": old, "new": old, "repeat": old}, "is the present one"),
    ):
        await browser.visits("/account/password")
        page = await browser.sends(**fields)
        assert page.status_code == 422
        assert told in browser.text
        assert 'role="alert"' in page.text
    cookie = browser.http.cookies[COOKIE]
    await browser.visits("/account/password")
    await browser.sends(current=old, new=NEW, repeat=NEW)
    assert "Your password is changed" in browser.text
    assert browser.http.cookies[COOKIE] != cookie
    assert not await is_in(elsewhere)
    house.runs("DELETE FROM login_failures")
    assert (await tried(house, "dora", old))[0] == 422
    await browser.logs_in("dora", NEW)
    assert house.told("password_changed")[-1]["person"] == "dora"


async def test_whoever_has_a_password_from_somebody_else_chooses_one_first(house: PortalHouse) -> None:
    browser, flow = house.browser(), Flow(scope="openid")
    await browser.visits(flow.address)
    page = await browser.sends(name="nina", password=password_of("nina"))
    assert page.url.path == "/account/password"
    assert "choose a password of your own" in browser.text
    assert await house.app.state.visitors.find(browser.http.cookies[COOKIE]) is None
    await browser.visits(flow.address)
    assert "choose a password of your own" in browser.text, "no way round"
    await browser.visits(Flow(scope="openid", extra={"prompt": "none"}).address)
    assert browser.landed["error"] == "interaction_required"
    await browser.visits(flow.address)
    await browser.sends(current=password_of("nina"), new=NEW, repeat=NEW)
    assert "Delivery cockpit asks to act for you, Nina Neu" in browser.text, "and on with what was begun"


async def test_pages_speak_the_readers_language_and_run_no_script(house: PortalHouse) -> None:
    browser = house.browser()
    for accepted, said in (("de-AT,en;q=0.5", "Benutzername"), ("fr", "User name")):
        page = await browser.http.get("/login", headers={"Accept-Language": accepted})
        assert said in page.text
        policy = page.headers["content-security-policy"]
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text
        assert "style=" not in page.text
    answer = await browser.http.get("/login", params={"name": '"><script>alert(1)</script>'})
    assert "<script>" not in answer.text
    assert str(browser.http.base_url) == ISSUER
