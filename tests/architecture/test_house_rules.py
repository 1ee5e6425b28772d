"""Own lints: each rule is a habit of the house that no bought tool checks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest
import yaml

from deploy.local.readme import documents
from system_apis.manifest import load_manifest

ROOT = Path(__file__).parents[2]
TIERS = ("shared", "system_apis", "process_apis", "experience_apis")
JUNK = {"service", "services", "manager", "base", "core", "types", "constants", "utils", "helpers", "common", "misc"}
LONG = {"payloads.py"}
# Rooms a connector may have besides the compulsory ones: of the wire, of writing to it, of its entities and roles.
WIRE_ROOMS = {
    *(
        "webhooks",
        "changes",
        "events",
        "directory",
        "metadata",
        "door",
        "values",
        "lanes",
        "jobs",
        "packages",
    ),
    *("settings", "options", "account", "custom_fields", "tags"),
}
WRITING_ROOMS = {"bodies", "rows", "records", "differences", "writing", "desk", "places", "quiet", "posting"}
BUSINESS_ROOMS = {
    *("crm", "psa", "erp", "customers", "deals", "contracts", "orders", "projects", "delivery", "timecards", "work"),
    *("billing", "receivables", "invoices", "invoicing", "documents", "payments", "ledger"),
}
CONNECTORS = sorted(p.parent for p in (ROOT / "system_apis/connectors").glob("*/manifest.yaml"))


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_modules_stay_small() -> None:
    lengths = {name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in modules(*TIERS, "deploy")}
    too_long = {n: size for n, size in lengths.items() if size > (600 if Path(n).name in LONG else 400)}
    assert not too_long
    sizes = [size for n, size in lengths.items() if not n.endswith("__init__.py")]
    assert median(sizes) <= 130
    assert quantiles(sizes, n=10)[-1] <= 300


def test_every_module_says_which_room_it_is() -> None:
    bare = [
        name(p)
        for p in modules(*TIERS, "deploy")
        if p.name != "__init__.py" and not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert not bare


def test_no_junk_drawers() -> None:
    assert not [name(p) for p in modules(*TIERS, "deploy", "tests") if {*p.parts, p.stem} & JUNK]


def test_rows_never_leave_the_stores() -> None:
    outside = [
        name(p)
        for p in modules("system_apis", "process_apis", "experience_apis")
        if "sqlalchemy" in imports(p) and "store" not in p.stem
    ]
    assert not outside


def test_errors_are_swallowed_nowhere() -> None:
    """`except Exception` stands only where a process would otherwise die or a problem must be rendered."""
    allowed = {
        "shared/serving/problems.py",
        "shared/persistence/relay.py",
        "shared/persistence/consumer.py",
        "process_apis/durable/engine.py",
        "process_apis/subscriptions.py",
        "shared/gateway/gateway.py",
        "shared/telemetry/tracing.py",  # an exporter that fails must not fail the request
    }
    found = {
        name(p)
        for p in modules(*TIERS)
        if re.search(r"except (Base)?Exception\b|except:\s", p.read_text(encoding="utf-8"))
    }
    assert found <= allowed


def test_workflow_bodies_can_be_read_at_a_glance() -> None:
    for path in modules("process_apis"):
        if path.name != "workflow.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno <= 60, f"{name(path)}:{node.name}"


def test_ports_have_at_most_ten_methods() -> None:
    for path in modules("system_apis/ports"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.AsyncFunctionDef | ast.FunctionDef)]
                assert len(methods) <= 10, node.name
                assert all(ast.get_docstring(m) for m in methods if not m.name.startswith("_")), node.name


def test_vendor_words_stay_with_the_vendor() -> None:
    words = re.compile("|".join(folder.name for folder in CONNECTORS), re.IGNORECASE)
    leaked = [
        name(p)
        for p in modules(*TIERS)
        if not {"connectors", "dialects"} & set(p.parts)
        and words.search(re.sub(r"examples=\[[^\]]*\]", "", p.read_text("utf-8")))
    ]
    assert not leaked


@pytest.mark.parametrize("folder", CONNECTORS, ids=lambda folder: folder.name)
def test_a_connector_keeps_the_closed_set_of_files(folder: Path) -> None:
    load_manifest(folder)
    compulsory = {
        "manifest.yaml",
        "fields.yaml",
        "mapping.py",
        "client.py",
        "connector.py",
        "conformance.yaml",
        "NOTES.md",
        "__init__.py",
    }
    there = {p.name for p in folder.iterdir() if p.name != "__pycache__"}
    assert compulsory <= there
    payloads = {n for n in there if n.startswith("payloads")}
    assert payloads
    rooms = {n.removesuffix(".py") for n in there - compulsory - payloads}
    assert rooms <= WIRE_ROOMS | WRITING_ROOMS | BUSINESS_ROOMS


@pytest.mark.parametrize("folder", CONNECTORS, ids=lambda folder: folder.name)
def test_an_exemption_states_its_reason(folder: Path) -> None:
    score = yaml.safe_load((folder / "conformance.yaml").read_text(encoding="utf-8"))
    for rule, done in score["rules"].items():
        if isinstance(done, str):
            assert done in {"drafted", "simulated"}, rule
        else:
            assert set(done) in ({"verified"}, {"exempt"}), rule
            assert len(str(done.get("exempt", "stated as verified"))) > 10, rule


@pytest.mark.parametrize("name", sorted(documents()))
def test_documents_tell_the_connectors_as_they_are(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == documents()[name], "run `throughline readme`"


def test_lock_files_name_no_host() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_nothing_remembers_the_machine_it_was_written_on() -> None:
    home = re.compile(rf"/(?:home|root|Users)/[a-z]|/tmp/[a-z]|{re.escape(str(ROOT))}\b")
    kinds = {".py", ".md", ".yaml", ".toml", ".sql", ".json", ""}
    skipped = {".git", ".venv", ".throughline", ".hypothesis", ".ruff_cache", ".pytest_cache", "__pycache__"}
    found = [
        name(p)
        for p in sorted(ROOT.rglob("*"))
        if p.is_file() and p.suffix in kinds and not skipped & set(p.parts) and p != Path(__file__)
        if p.stat().st_size < 500_000 and home.search(p.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not found
