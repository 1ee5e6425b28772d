"""A tenant's work goes through its own connection or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_apis.app import create_app
from process_apis.rooms import rooms
from process_apis.settings import ProcessSettings, TenantClient
from process_apis.systems.directory import Credentials, SystemDirectory
from shared.errors.taxonomy import Misconfigured
from tests.unit.process.conftest import TENANTS
from tests.unit.process.issuer import AUDIENCE, ISSUER

RULES = "tenant: {}\napprovals: {{finance_from: 1, factors: {{USD: '1'}}}}\ntax_id_countries: [DE]\n"


def furnished(tmp_path: Path, *tenants: str, **clients: str) -> None:
    for tenant in tenants:
        (tmp_path / f"{tenant}.yaml").write_text(RULES.format(tenant))
    told = {"client_id": "own", "client_secret": "own", "issuer_url": ISSUER, "audience": AUDIENCE}
    named = {name: TenantClient.model_validate({"client_id": c, "client_secret": "s"}) for name, c in clients.items()}
    settings = ProcessSettings.model_validate(
        {
            **told,
            "port": 0,
            "database_url": "postgresql://nobody@127.0.0.1:9/none",
            "system_url": "http://127.0.0.1:9",
            "tenants_dir": tmp_path,
            "tenant_clients": named,
            "gateway_dir": TENANTS.parents[1] / "gateway",
        }
    )
    create_app(settings)


async def test_the_tiers_own_client_serves_the_only_firm_and_nobody_else(tmp_path: Path) -> None:
    furnished(tmp_path, "one")
    assert rooms().systems.of("one")
    with pytest.raises(Misconfigured, match="no client for tenant two"):
        rooms().systems.of("two")
    await rooms().systems.aclose()


async def test_of_several_firms_each_needs_a_client_of_its_own(tmp_path: Path) -> None:
    furnished(tmp_path, "one", "two")
    for tenant in ("one", "two"):
        with pytest.raises(Misconfigured, match=f"tenant_clients: there is no client for tenant {tenant}"):
            rooms().systems.of(tenant)


async def test_where_clients_are_named_only_these_are_used(tmp_path: Path) -> None:
    furnished(tmp_path, "one", two="c2")
    assert rooms().systems.of("two")
    with pytest.raises(Misconfigured):
        rooms().systems.of("one")
    await rooms().systems.aclose()


async def test_a_client_named_for_the_tenant_comes_before_the_default() -> None:
    directory = SystemDirectory(
        base_url="http://127.0.0.1:9",
        token_url="http://127.0.0.1:9/oauth/token",
        client=Credentials("own", "s"),
        client_tenant="one",
        tenant_clients={"two": Credentials("c2", "s")},
    )
    assert directory.of("one") is not directory.of("two")
    await directory.aclose()
