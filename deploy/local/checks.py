"""`throughline check`: reads everything a start would read, and tells what could not be used; starts nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.local.choice import Choice
from deploy.local.installation import GATEWAY_DIR, Installation
from deploy.local.places import Places
from deploy.local.ports import PortProblem, Ports, refuse_busy
from deploy.local.processes import Processes
from deploy.local.secrets_file import SECRETS_FILE
from deploy.sandbox.app import SandboxMisconfigured, read_options
from deploy.sandbox.catalog import broken, vendors
from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import read_clients_file
from shared.errors.taxonomy import Misconfigured
from shared.gateway.document import DocumentRefused, load_documents
from system_apis.catalog import CONNECTORS, open_catalog
from system_apis.fields import load_fields
from system_apis.manifest import load_manifest
from system_apis.scorecard import load_scorecard


def configuration_problems(places: Places, ports: Ports) -> list[str]:
    """Everything that would stop a start, one sentence each; an installation that is there stays as it is."""
    running = Processes(places.pids, places.logs, die_with_us=False).names() if places.pids.exists() else []
    with tempfile.TemporaryDirectory(prefix="throughline-check-") as folder:
        aside = Places(Path(folder))
        checks: list[Callable[[], object]] = [
            *([] if running else [lambda: refuse_busy(ports)]),
            *(lambda tier=tier: load_documents(GATEWAY_DIR, tier) for tier in ("system", "process", "experience")),
        ]
        unusable = _problems(lambda: _write(places, aside, ports))
        if not unusable:
            checks += [
                lambda: asyncio.run(_open_connectors(aside.tenants)),
                lambda: read_clients_file(aside.clients_file, role_book()),
                lambda: read_options(Installation.of(aside, ports, _chosen(places)).sandbox_options_file),
            ]
        return [*unusable, *(problem for check in checks for problem in _problems(check)), *connector_problems()]


def connector_problems(connectors: Path = CONNECTORS) -> list[str]:
    """What is wrong with the files of any connector, bound or not, and with its place in the sandbox."""
    problems: list[str] = []
    for folder in sorted(path.parent for path in connectors.glob("*/connector.py")):
        for load in (load_manifest, load_fields, load_scorecard):
            problems += _problems(lambda load=load, folder=folder: load(folder))
        if (one := vendors().get(folder.name)) and not _problems(lambda folder=folder: load_manifest(folder)):
            plays = load_manifest(folder).plays
            if set(one.plays) != set(plays):
                told = f"vendor.py says {', '.join(one.plays)}, manifest.yaml {', '.join(plays)}"
                problems.append(f"connector {folder.name}: plays: {told}")
    return [*problems, *broken().values()]


def _write(places: Places, aside: Places, ports: Ports) -> None:
    """What a start would write, with the secrets that are kept, at another place."""
    kept = places.keys / SECRETS_FILE
    aside.make()
    if kept.exists():
        shutil.copy(kept, aside.keys)
    if places.fields.is_dir():
        shutil.copytree(places.fields, aside.fields)
    try:
        Installation.of(aside, ports, _chosen(places)).write()
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{kept}: cannot be used: {error}") from error


def _chosen(places: Places) -> Choice:
    """The systems that were started here last; the usual ones where nothing was."""
    try:
        return Choice.of(**json.loads(places.run_file.read_text(encoding="utf-8"))["systems"])
    except FileNotFoundError:
        return Choice()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{places.run_file}: does not tell the systems: {error}") from error


async def _open_connectors(tenants: Path) -> None:
    await open_catalog(tenants).aclose()


def _problems(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except DocumentRefused as refusal:
        return list(refusal.lines)
    except (PortProblem, Misconfigured, SandboxMisconfigured, ValueError) as error:
        return [getattr(error, "detail", "") or str(error)]
    return []
