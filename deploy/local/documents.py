"""`throughline openapi`: the documents of the three tiers and of the events, as files; nothing is started."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deploy.local.clients import CLIENT_IDS, PROCESS_AUDIENCE, clients_document
from deploy.local.installation import GATEWAY_DIR
from experience_apis.app import create_app as create_experience
from experience_apis.settings import ExperienceSettings
from process_apis.app import create_app as create_process
from process_apis.settings import ProcessSettings
from shared.serving.app import TierApp
from shared.serving.exports import export_documents as documents_of
from shared.serving.exports import export_events
from system_apis.app import create_app as create_system
from system_apis.settings import SystemSettings

_NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
_ISSUER = "http://127.0.0.1:8103"


def export_documents(target: Path, *, write: bool) -> list[Path]:
    """Write the documents that changed (without `write`: only tell which would); documents of nothing go."""
    made = export_events()
    with tempfile.TemporaryDirectory() as folder:
        for tier, app in _apps(Path(folder)).items():
            made |= documents_of(app, tier)
    changed: list[Path] = []
    for name, text in sorted(made.items()):
        file = target / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            changed.append(file)
            if write:
                target.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    for file in sorted(target.glob("*.v*.yaml")):
        if file.name not in made:
            changed.append(file)
            if write:
                file.unlink()
    return changed


def _apps(folder: Path) -> dict[str, TierApp]:
    clients = folder / "clients.yaml"
    clients.write_text(
        clients_document(dict.fromkeys(CLIENT_IDS, "not a secret: nothing is served"), "http://127.0.0.1:8103"), "utf-8"
    )
    common = {"database_url": _NOWHERE, "issuer_url": _ISSUER, "gateway_dir": GATEWAY_DIR}
    return {
        "system": create_system(SystemSettings.model_validate({**common, "tenants_dir": "."})),
        "process": create_process(
            ProcessSettings.model_validate(
                {**common, "port": 0, "audience": PROCESS_AUDIENCE, "system_url": "http://127.0.0.1:8101"}
            )
        ),
        "experience": create_experience(
            ExperienceSettings.model_validate(
                {
                    **common,
                    "process_url": "http://127.0.0.1:8102",
                    "clients_file": clients,
                    "sealing_key": "not a secret: nothing is served",
                }
            )
        ),
    }
