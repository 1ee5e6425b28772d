"""API5, function level: at the served door exactly the roles whose scopes an operation names get through."""

from __future__ import annotations

import pytest

from experience_apis.identity.roles import role_book
from tests.security.house import MACHINES, OURS, TIERS, House, secret_of
from tests.security.walk import filled, parameters

pytestmark = pytest.mark.asyncio(loop_scope="package")
_NOBODY = "nobody-has-this"


@pytest.mark.parametrize("name", TIERS)
async def test_exactly_the_roles_that_hold_the_scopes_get_through(house: House, name: str) -> None:
    tier, book = house.tiers[name], role_book()
    wrong: list[str] = []
    through: dict[str, set[str]] = {}
    for role, facts in book.roles.items():
        scopes = book.at(f"throughline-{name}", facts.scopes)
        token = house.token(name, tenant="nowhere", scope=" ".join(sorted(scopes)), sub=f"a-{role}")
        for operation in tier.guarded:
            held = scopes.issuperset(operation.scopes) and (
                not operation.one_of or not scopes.isdisjoint(operation.one_of)
            )
            path = filled(operation.path, dict.fromkeys(parameters(operation), _NOBODY))
            # a body that is none: who gets through is told so (or 404), and nothing is done
            answer = await house.ask(
                name, operation.method, path, token=token, content=b"{", headers={"content-type": "application/json"}
            )
            is_through = answer.status_code not in {401, 403} or "is not served here" in answer.text
            if is_through != held:
                wrong.append(f"{role} at {operation.name}: {answer.status_code} {answer.text[:160]}")
            if held:
                through.setdefault(operation.name, set()).add(role)
    assert not wrong, "\n".join(wrong)
    unreachable = {one.name for one in tier.guarded} - set(through)
    assert not unreachable - {"GET /oauth/userinfo", "POST /oauth/userinfo"}, "operations that no role opens"


async def test_who_looks_after_applications_is_the_administrator_alone(house: House) -> None:
    book = role_book()
    assert {role for role, facts in book.roles.items() if "clients.approve" in facts.scopes} == {"administrator"}
    for scope in ("tokens.introspect", "revocations.read"):
        assert {role for role, facts in book.roles.items() if scope in facts.scopes} <= set(MACHINES)
    waiting = house.ask_database("experience", "SELECT client_id FROM oauth_clients WHERE name = 'App of harbour'")[0][
        0
    ]
    body = {"plan": "trial", "scopes": ["deals.read"]}
    for role in set(book.roles) - {"administrator", "customer", *MACHINES}:
        token = await house.real_token(f"{OURS}-{role}".replace("_", "-"))
        for act in ("approval", "rejection"):
            path = f"/clients/v1/clients/{waiting}/{act}"
            answer = await house.ask("experience", "POST", path, token=token, json=body)
            assert answer.status_code == 403, (role, act)


async def test_a_client_gets_no_scope_it_does_not_hold_by_asking_for_it(house: House) -> None:
    client = f"{OURS}-developer"
    for scope in ("clients.approve", "deals.read clients.approve", "billing.run", "tokens.introspect"):
        answer = await house.http.post(
            f"{house.issuer}/oauth/token",
            data={"grant_type": "client_credentials", "scope": scope},
            auth=(client, secret_of(client)),
        )
        granted = answer.json().get("scope", "") if answer.status_code == 200 else ""
        assert not set(granted.split()) & set(scope.split()), scope


@pytest.mark.parametrize("name", TIERS)
async def test_headers_do_not_change_what_is_asked(house: House, name: str) -> None:
    tier = house.tiers[name]
    read = next(one for one in tier.guarded if one.method == "GET" and not parameters(one))
    write = next(one for one in tier.guarded if one.method in {"POST", "PUT"})
    target = filled(write.path, dict.fromkeys(parameters(write), _NOBODY))
    reader = house.token(name, scope=" ".join(read.scopes))
    plain = await house.ask(name, "GET", read.path, token=reader)
    for header in ("x-http-method-override", "x-http-method", "x-method-override"):
        answer = await house.ask(name, "GET", read.path, token=reader, headers={header: "DELETE"})
        assert answer.status_code == plain.status_code
        posted = await house.ask(name, "POST", read.path, token=reader, headers={header: "GET"}, json={})
        assert posted.status_code in {403, 405}, header
    for header in ("x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-forwarded-uri"):
        answer = await house.ask(name, "GET", read.path, token=reader, headers={header: target})
        assert answer.status_code == plain.status_code
    for header in ("x-tenant", "x-tenant-id", "tenant", "x-user", "x-scopes", "x-forwarded-user"):
        answer = await house.ask(name, "GET", read.path, token=reader, headers={header: "islands"})
        assert answer.content == plain.content or answer.json().keys() == plain.json().keys()
    for method in ("PATCH", "TRACE", "PROPFIND"):
        answer = await house.ask(name, method, read.path, token=house.token(name))
        assert answer.status_code in {400, 405}, (method, answer.status_code)
    for path in (
        f"{read.path}/",
        f"/{read.path}",
        f"{read.path}/..",
        read.path.replace("/v1/", "/v1//"),
        f"{read.path};a=b",
    ):
        answer = await house.http.request("GET", f"{tier.url}{path}", headers={"authorization": f"Bearer {reader}"})
        assert answer.status_code in {400, 404}, (path, answer.status_code)
