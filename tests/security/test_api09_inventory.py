"""API9, inventory: what is served is declared, in the registry and documented; what is retired or unknown says so.

Declarations and published files are held against each other by tests/contract; here the served doors are asked.
"""

from __future__ import annotations

import pytest

from shared.gateway.document import load_registry
from shared.serving.dispatch import served_routes
from tests.security.house import TIERS, House
from tests.security.walk import PARAMETER, described
from tests.unit.gateway.door import GATEWAY_DIR

pytestmark = pytest.mark.asyncio(loop_scope="package")

TWINS = {"POST /oauth/userinfo": "OpenID asks for both methods; GET is described"}


@pytest.mark.parametrize("name", TIERS)
async def test_every_served_route_is_declared_and_every_declared_operation_served(house: House, name: str) -> None:
    tier = house.tiers[name]
    routes = {f"{one.method} {PARAMETER.sub('{}', one.path)}" for one in served_routes(tier.app)}
    declared = {f"{one.method} {PARAMETER.sub('{}', one.path)}" for one in tier.operations}
    assert routes == declared


@pytest.mark.parametrize("name", TIERS)
async def test_every_api_has_an_owner_and_every_guarded_operation_is_described(house: House, name: str) -> None:
    registry = {(one.tier, one.name): one for one in load_registry(GATEWAY_DIR).apis}
    tier = house.tiers[name]
    for api in tier.app.documents.apis:
        entry = registry[name, api.api]
        assert entry.owner, api.api
        assert entry.audience, api.api
        assert set(entry.versions) >= set(api.versions), api.api
    for operation in tier.guarded:
        if operation.name in TWINS:
            continue
        facts = described(tier, operation)
        assert facts, f"{operation.name} is in no document"
        assert facts["security"], operation.name


@pytest.mark.parametrize("name", TIERS)
async def test_neighbours_of_what_is_served_do_not_exist(house: House, name: str) -> None:
    tier = house.tiers[name]
    bases = {one.path.split("/")[1] for one in tier.guarded if "/v1/" in one.path}
    assert bases
    for base in bases:
        for version in ("v0", "v3", "v99", "beta", "internal", "V1", "v1.0", "v01"):
            answer = await house.ask(name, "GET", f"/{base}/{version}/anything")
            assert answer.status_code == 404, (base, version)
        for path in ("v1/admin", "v1/debug", "v1/internal", "v1", ""):
            answer = await house.ask(name, "GET", f"/{base}/{path}")
            assert answer.status_code == 404, (base, path)
    others = [one for tier_name, other in house.tiers.items() if tier_name != name for one in other.guarded]
    own = {one.path.split("/")[1] for one in tier.operations}
    for operation in others:
        if operation.path.split("/")[1] not in own:
            path = PARAMETER.sub("x", operation.path)
            assert (await house.ask(name, operation.method, path)).status_code == 404, f"{operation.name} at {name}"


async def test_a_deprecated_version_says_so_on_every_answer(house: House) -> None:
    for tier in house.tiers.values():
        for operation in tier.guarded:
            if operation.lifecycle.state.value != "deprecated":
                continue
            path = PARAMETER.sub("x", operation.path)
            for token in ("", None):
                answer = await house.ask(tier.name, operation.method, path, token=token)
                assert answer.headers["deprecation"].startswith("@"), operation.name
                assert "sunset" in answer.headers, operation.name
                assert 'rel="successor-version"' in answer.headers["link"], operation.name
