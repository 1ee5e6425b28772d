"""The three tiers as they are served, without anything behind them: what is refused needs no database."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from experience_apis.app import create_app as create_experience
from experience_apis.settings import ExperienceSettings
from process_apis.app import create_app as create_process
from process_apis.settings import ProcessSettings
from shared.gateway.policies.jwt.keys import IssuerKeys
from shared.serving.app import TierApp
from system_apis.app import create_app as create_system
from system_apis.settings import SystemSettings
from tests.unit.gateway.door import GATEWAY_DIR, Issuer

TIERS = ("system", "process", "experience")


@pytest.fixture(scope="session")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TierApp]:
    """The application of every tier."""
    folder = tmp_path_factory.mktemp("tiers")
    clients = folder / "clients.yaml"
    clients.write_text(yaml.safe_dump({"clients": []}), encoding="utf-8")

    def common(tier: str) -> dict[str, Any]:
        return {
            "port": 0,
            "audience": f"throughline-{tier}",
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "issuer_url": "http://127.0.0.1:8103",
            "gateway_dir": GATEWAY_DIR,
        }

    told = {
        "process_url": "http://127.0.0.1:8102",
        "clients_file": clients,
        "sealing_key": "not a secret: nothing is served",
    }
    tenants = GATEWAY_DIR.parent / "local" / "tenants"
    process = {"system_url": "http://127.0.0.1:8101", "tenants_dir": tenants}
    return {
        "system": create_system(SystemSettings.model_validate(common("system") | {"tenants_dir": folder})),
        "process": create_process(ProcessSettings.model_validate(common("process") | process)),
        "experience": create_experience(ExperienceSettings.model_validate(common("experience") | told)),
    }


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest, tiers: dict[str, TierApp]) -> TierApp:
    """One tier after the other."""
    return tiers[request.param]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """An issuer every tier believes."""
    issuer = Issuer()
    monkeypatch.setattr(IssuerKeys, "known", lambda _keys, kid: issuer.key if kid == issuer.key.kid else None)
    return issuer
