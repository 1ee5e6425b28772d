"""API1, object level: whatever belongs to another tenant or customer does not exist, at every declared operation."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.security.house import OURS, PASSWORD, THEIRS, TIERS, House, body_of
from tests.security.walk import NO_LISTS, Ids, ids, json_body, lists, parameters, seen, strings

pytestmark = pytest.mark.asyncio(loop_scope="package")

# Operations where an id of another tenant is not looked up but made one's own record: nothing of the other is touched.
OWN_RECORD = {
    ("system", "PUT"): "the record is written into the caller's own vendor under that id",
    ("system", "DELETE"): "closes the caller's own project of that id, if there is one",
}
NO_RECORD = {"/psa/v1/billing-marks/{invoice_id}": "a mark needs time the vendor has; nothing is there for either"}
SHARED_NAMES = {"/connectors/v1/connectors/{name}": "both tenants have connectors of the same vendors"}


@pytest.mark.parametrize("name", TIERS)
async def test_every_record_is_there_for_its_tenant_and_for_nobody_else(house: House, name: str) -> None:
    tier = house.tiers[name]
    known = Ids(house, tier, await seen(house, tier, OURS))
    wrong: list[str] = []
    for operation in tier.guarded:
        if operation.method != "GET" or not parameters(operation) or operation.path in SHARED_NAMES:
            continue
        paths = await known.paths(operation)
        if not paths:
            wrong.append(f"{operation.name}: the house has no record to ask for; give it one (walk.py)")
        for path in paths[:2]:
            mine = await house.ask(name, "GET", path)
            if mine.status_code != 200 and operation.path not in NO_RECORD:
                wrong.append(f"{path}: its own tenant is answered {mine.status_code} {mine.text[:200]}")
            theirs = await house.ask(name, "GET", path, tenant=THEIRS)
            missing = await house.ask(name, "GET", absent(path), tenant=THEIRS)
            if (
                theirs.status_code != 404
                or missing.status_code != 404
                or told(theirs, path) != told(missing, absent(path))
            ):
                wrong.append(f"{path}: another tenant is answered {theirs.status_code} {theirs.text[:300]}")
    assert not wrong, "\n".join(wrong)


def absent(path: str) -> str:
    """The same path with an id nobody has."""
    return path.replace("_", "_zz", 1) if "_" in path else f"{path[:-3]}zzz"


def told(answer: httpx.Response, path: str) -> tuple[Any, ...]:
    """What an answer tells apart from the very id that was asked for; existence must not show in it."""
    problem = answer.json()
    return problem["code"], problem["title"], problem["type"], len(problem["errors"]), "detail" in problem, path != ""


@pytest.mark.parametrize("name", TIERS)
async def test_no_list_shows_anything_of_another_tenant(house: House, name: str) -> None:
    tier = house.tiers[name]
    ours, theirs = await seen(house, tier, OURS), await seen(house, tier, THEIRS)
    of_us = {value for _, value in ids(list(ours.values()))} - {value for _, value in ids(list(theirs.values()))}
    assert len(of_us) > 3
    for path, answer in theirs.items():
        shown = set(strings(answer))
        assert shown.isdisjoint(of_us), path
        assert not [text for text in shown if "hrb" in text or text == OURS], path
    # a place in another's list shows one's own or nothing
    for operation in lists(tier):
        first = await house.ask(name, "GET", operation.path, params={"limit": 1})
        cursor = body_of(first).get("next_cursor") if first.status_code == 200 else None
        if cursor is None:
            continue
        foreign = await house.ask(name, "GET", operation.path, tenant=THEIRS, params={"cursor": cursor})
        assert foreign.status_code in {200, 422}, operation.name
        assert of_us.isdisjoint(strings(body_of(foreign).get("items", []))), operation.name


@pytest.mark.parametrize("name", TIERS)
async def test_no_write_changes_anything_of_another_tenant(house: House, name: str) -> None:
    tier = house.tiers[name]
    known = Ids(house, tier, await seen(house, tier, OURS))
    asked = [(one, await known.paths(one)) for one in tier.guarded if one.method != "GET"]
    before = {each: house.rows(each, OURS) for each in TIERS}
    heard = {box.simulator.name: box.calls("") for box in boxes(house)}
    wrong: list[str] = []
    for operation, paths in asked:
        found = json_body(tier, operation)
        body = {} if found is None else {"json": known.body(found[1])}
        if parameters(operation) and not paths:
            wrong.append(f"{operation.name}: the house has no record to write to; give it one (walk.py)")
        for path in paths[:2]:
            answer = await house.ask(name, operation.method, path, tenant=THEIRS, **body)
            refused = answer.status_code == 404 or (not parameters(operation) and answer.status_code < 500)
            if answer.status_code == 422:  # the body was looked at first: then for an id nobody has, too
                missing = await house.ask(name, operation.method, absent(path), tenant=THEIRS, **body)
                refused = not parameters(operation) or told(missing, path) == told(answer, path)
            if not refused and (name, operation.method) not in OWN_RECORD:
                wrong.append(f"{operation.method} {path}: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)
    for each in TIERS:
        after = house.rows(each, OURS)
        for table, rows in before[each].items():
            assert after[table] == rows, f"{each}: {table}"
    assert {box.simulator.name: box.calls("") for box in boxes(house)} == heard


def boxes(house: House) -> tuple[Any, ...]:
    """The vendors of our own tenant."""
    vendors = house.vendors[OURS]
    return vendors.crm, vendors.psa, vendors.erp


OWN, OTHER = "cus_hrb1", "hrb2"


@pytest.mark.parametrize("name", TIERS)
async def test_who_is_bound_to_customers_is_refused_wherever_nothing_is_filtered(house: House, name: str) -> None:
    tier = house.tiers[name]
    wrong: list[str] = []
    for operation in tier.guarded:
        declared = operation.policies.scopes
        if declared is not None and declared.bound_callers == "filter":
            continue
        path = operation.path.replace("{", "").replace("}", "")
        answer = await house.ask(name, operation.method, path, claims={"customers": [OWN]}, json={})
        if answer.status_code != 403 or "bound to certain customers" not in answer.text:
            wrong.append(f"{operation.name}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["process", "experience"])
async def test_where_customers_are_filtered_those_of_others_do_not_exist(  # noqa: C901 - one walk, three kinds
    house: House, name: str
) -> None:
    tier = house.tiers[name]
    everything = await seen(house, tier, OURS)
    known = Ids(house, tier, everything)
    wrong: list[str] = []
    for operation in tier.guarded:
        declared = operation.policies.scopes
        if declared is None or declared.bound_callers != "filter" or operation.path in NO_LISTS:
            continue
        if operation.path.startswith("/webhooks/"):
            continue  # endpoints belong to their owner: the walk over records above asks as another one
        if operation.method != "GET":
            wrong.append(f"{operation.name}: a write for bound callers has no test here")
        elif parameters(operation):
            own, others = split(await known.paths(operation), await deals_and(house, everything))
            for path, status in [*((one, 200) for one in own), *((one, 404) for one in others)]:
                answer = await house.ask(name, "GET", path, claims={"customers": [OWN]})
                if answer.status_code != status:
                    wrong.append(f"{path}: {answer.status_code} instead of {status}")
            if not own or not others:
                wrong.append(
                    f"{operation.name}: {len(own)} of the customer's own, {len(others)} of others: nothing proved"
                )
        else:
            answer = await house.ask(name, "GET", operation.path, claims={"customers": [OWN]})
            nobody = await house.ask(name, "GET", operation.path, claims={"customers": []})
            told_of = f"{answer.status_code} {answer.text}"
            if answer.status_code != 200 or OTHER in told_of or "hrb3" in told_of or not body_of(answer)["items"]:
                wrong.append(f"{operation.name}: {told_of[:300]}")
            if nobody.status_code != 200 or body_of(nobody)["items"]:
                wrong.append(f"{operation.name}: bound to no customer at all: {nobody.text[:200]}")
    assert not wrong, "\n".join(wrong)


async def deals_and(house: House, everything: dict[str, Any]) -> dict[str, Any]:
    """With the process tier's deals: projects of partners do not name their customer."""
    return everything | {"deals": {"items": await house.items("process", "/quote-to-project/v1/runs")}}


def split(paths: list[str], everything: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Paths of the customer's own records and of another customer's, by what the tenant sees in its lists."""
    rows = [row for told_of in everything.values() for row in told_of.get("items", [])]
    named = {path: [row for row in rows if path.rpartition("/")[2] in row.values()] for path in paths}
    drafts = {
        path
        for path, found in named.items()
        if any(row.get("state") == "draft" and path.endswith(f"/{row.get('id')}") for row in found)
    }
    own = [path for path, found in named.items() if found and "hrb1" in str(found) and path not in drafts]
    return own, [path for path, found in named.items() if found and OTHER in str(found) and "hrb1" not in str(found)]


async def test_keys_limits_and_usage_of_two_tenants_have_nothing_to_do_with_each_other(house: House) -> None:
    key, same = uuid4().hex, {"client_id": "one-name-in-two-tenants"}
    path = "/time-to-bill/v1/runs"
    kept = {}
    for tenant in (OURS, THEIRS):
        body = {"contract_id": "con_nobody", "through": "2020-01" if tenant == OURS else "2020-02"}
        made = await house.ask(
            "process", "POST", path, tenant=tenant, claims=same, json=body, headers={"idempotency-key": key}
        )
        assert made.status_code == 202, made.text
        kept[tenant] = made.json()["id"]
    assert kept[OURS] != kept[THEIRS]
    again = await house.ask(
        "process",
        "POST",
        path,
        claims=same,
        json={"contract_id": "con_nobody", "through": "2020-01"},
        headers={"idempotency-key": key},
    )
    assert again.json()["id"] == kept[OURS]
    # one tenant's client uses its plan up; the client of the same name elsewhere does not notice
    poor = {"client_id": f"poor-{key}", "plan": "trial"}
    statuses = {(await house.ask("process", "GET", "/kpis/v1/kpis", claims=poor)).status_code for _ in range(22)}
    assert statuses == {200, 429}
    other = await house.ask("process", "GET", "/kpis/v1/kpis", tenant=THEIRS, claims=poor)
    assert other.status_code == 200


async def test_pages_show_a_session_its_own_tenants_applications_only(house: House) -> None:
    standing = "SELECT state, version FROM oauth_clients WHERE client_id = %s"
    ours = house.ask_database("experience", "SELECT client_id FROM oauth_clients WHERE name = 'App of harbour'")[0][0]
    before = house.ask_database("experience", standing, ours)
    for role in ("developer", "administrator"):
        reader = house.browser()
        await reader.logs_in(f"{role}-{THEIRS}", PASSWORD, back_to="/developer/clients")
        listed = await reader.visits("/developer/clients")
        assert listed.status_code == 200
        assert ours not in listed.text
        shown = await reader.visits(f"/developer/clients/{ours}")
        assert shown.status_code == 404, shown.status_code
        form = {"csrf": "anything"}
        for act in (f"clients/{ours}/rotate", f"clients/{ours}/disable", f"requests/{ours}"):
            refused = await reader.http.post(f"/developer/{act}", data=form)
            assert refused.status_code in {403, 404}, (act, refused.status_code)
    assert house.ask_database("experience", standing, ours) == before
