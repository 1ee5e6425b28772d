"""Tenants' files are read whole at start; a mistake is refused naming file, key and reason."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.sandbox.catalog import vendor
from shared.errors.taxonomy import Misconfigured, NotFound, NotPermitted
from system_apis.catalog import open_catalog
from system_apis.routed_erp import RoutedErp
from tests.unit.system.tier import CREDENTIALS

CRM: dict[str, Any] = {
    "vendor": "salesforce",
    "settings": {"base_url": "http://127.0.0.1:9", "client_id": "c"},
    "secrets": {"client_secret": "s", "webhook_secret": "webhook-secret-1"},
}
PSA: dict[str, Any] = {
    "vendor": "kantata",
    "settings": {"base_url": "http://127.0.0.1:9"},
    "secrets": {"access_token": "t"},
}
ERP: dict[str, Any] = {
    "vendor": "netsuite",
    "settings": {"base_url": "http://127.0.0.1:9", "client_id": "c", "certificate_id": "k"},
    "secrets": {"private_key": CREDENTIALS.private_key, "webhook_secret": "webhook-secret-2"},
}


def whole() -> dict[str, Any]:
    return copy.deepcopy({"tenant": "harbour", "connectors": {"crm": CRM, "psa": PSA, "erp": ERP}})


def refusal(folder: Path, document: Any, name: str = "harbour.yaml") -> str:
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        open_catalog(folder)
    return refused.value.message


async def test_a_whole_file_opens_every_connector(tmp_path: Path) -> None:
    (tmp_path / "harbour.yaml").write_text(yaml.safe_dump(whole()), encoding="utf-8")
    catalog = open_catalog(tmp_path)
    assert {(one.role, one.vendor) for one in catalog.of_tenant("harbour")} == {
        ("crm", "salesforce"),
        ("psa", "kantata"),
        ("erp", "netsuite"),
    }
    assert [one.vendor for one in catalog.all() if one.intake] == ["salesforce", "netsuite"]
    with pytest.raises(NotFound):
        catalog.named("harbour", "tryton")
    with pytest.raises(NotPermitted, match="islands"):
        catalog.crm("islands")
    await catalog.aclose()


async def test_a_role_nobody_plays_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "harbour.yaml").write_text(yaml.safe_dump({"connectors": {"psa": PSA}}), encoding="utf-8")
    catalog = open_catalog(tmp_path)
    with pytest.raises(Misconfigured, match="harbour has no CRM connected"):
        catalog.crm("harbour")
    await catalog.aclose()


MISTAKES: list[tuple[str, tuple[str, ...], Any, tuple[str, ...]]] = [
    ("unknown vendor", ("crm", "vendor"), "saleforce", ("connectors.crm.vendor", "saleforce", "salesforce")),
    ("wrong role", ("crm", "vendor"), "kantata", ("connectors.crm.vendor", "psa, not crm")),
    ("a path for a vendor", ("crm", "vendor"), "../evil", ("connectors.crm.vendor", "pattern")),
    ("unknown setting", ("crm", "settings", "clientid"), "x", ("connectors.crm.settings.clientid", "not a setting")),
    ("unknown secret", ("psa", "secrets", "token"), "x", ("connectors.psa.secrets.token", "not a secret")),
    ("unknown key", ("psa", "setings"), {}, ("connectors.psa.setings", "not permitted")),
    ("missing setting", ("erp", "settings", "client_id"), None, ("connectors.erp", "client_id", "missing")),
    ("missing secret", ("psa", "secrets", "access_token"), None, ("connectors.psa", "access_token", "missing")),
    ("missing key", ("erp", "secrets", "private_key"), None, ("connectors.erp", "private_key", "missing")),
    ("unsigned webhooks", ("crm", "secrets", "webhook_secret"), None, ("connectors.crm", "webhook_secret", "missing")),
    ("a key that is none", ("erp", "secrets", "private_key"), "----", ("connectors.erp", "private_key", "PEM")),
    ("a number that is none", ("erp", "settings", "at_once"), "many", ("connectors.erp", "many")),
    ("a zone that is none", ("erp", "settings", "account_time_zone"), "Mars", ("connectors.erp", "account_time_zone")),
    ("a value of another type", ("psa", "settings", "base_url"), 7, ("connectors.psa.settings.base_url", "string")),
    ("no address", ("psa", "settings", "base_url"), "kantata", ("connectors.psa.settings.base_url", "http(s)")),
]


@pytest.mark.parametrize(("place", "value", "named"), [one[1:] for one in MISTAKES], ids=[one[0] for one in MISTAKES])
def test_a_mistake_is_refused_naming_file_key_and_reason(
    tmp_path: Path, place: tuple[str, ...], value: Any, named: tuple[str, ...]
) -> None:
    document = whole()
    into = document["connectors"]
    for key in place[:-1]:
        into = into[key]
    if value is None:
        del into[place[-1]]
    else:
        into[place[-1]] = value
    told = refusal(tmp_path, document)
    assert told.startswith("harbour.yaml: ")
    for part in named:
        assert part in told, told
    assert "webhook-secret" not in told


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("connectors: [", "not YAML"),
        ("- a\n- b\n", "(document)"),
        ("", "(document)"),
        ({"tenant": "harbour"}, "connectors: Field required"),
        ({"connectors": {}}, "connectors: "),
        ({"connectors": {"hr": PSA}}, "connectors.hr"),
        ({"tenant": "islands", "connectors": {"psa": PSA}}, "tenant: is islands"),
    ],
)
def test_a_file_that_is_no_tenants_file_is_refused(tmp_path: Path, document: Any, named: str) -> None:
    assert named in refusal(tmp_path, document)


def test_the_name_of_the_file_must_do_as_a_tenant(tmp_path: Path) -> None:
    assert "file's name" in refusal(tmp_path, whole(), "har bour.yaml")


def test_a_folder_without_tenants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no tenant file"):
        open_catalog(tmp_path / "nowhere")


def test_two_tenants_never_share_a_webhook_secret(tmp_path: Path) -> None:
    (tmp_path / "harbour.yaml").write_text(yaml.safe_dump(whole()), encoding="utf-8")
    told = refusal(tmp_path, whole() | {"tenant": "islands"}, "islands.yaml")
    assert told.startswith("islands.yaml: connectors.crm.secrets.webhook_secret")
    assert "harbour.yaml" in told


def with_entities(**of: dict[str, Any]) -> dict[str, Any]:
    document = whole()
    document["connectors"]["erp"]["legal_entities"] = of
    return document


def bound(name: str) -> dict[str, Any]:
    """What an installation writes for a vendor of the sandbox."""
    one = vendor(name)
    kept = one.generate()
    return {
        "vendor": name,
        "settings": one.settings(f"http://127.0.0.1:9/{name}", kept),
        "secrets": one.secrets(kept),
    }


ORACLE = bound("oracle_fusion")


async def test_a_legal_entity_may_have_an_erp_of_its_own(tmp_path: Path) -> None:
    document = with_entities(**{"HC-DE": ORACLE, "HC-UK": ORACLE, "HC-US": ERP})
    (tmp_path / "harbour.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    catalog = open_catalog(tmp_path)
    erps = [one for one in catalog.of_tenant("harbour") if one.role == "erp"]
    assert [(one.vendor, one.legal_entities) for one in erps] == [
        ("netsuite", ()),
        ("oracle_fusion", ("HC-DE", "HC-UK")),
    ]
    assert isinstance(catalog.erp("harbour"), RoutedErp)
    assert catalog.bound("harbour", "erp").vendor == "netsuite"
    assert catalog.erp_named("harbour", "oracle_fusion") is erps[1].connector
    await catalog.aclose()


def test_only_erps_differ_by_legal_entity(tmp_path: Path) -> None:
    document = whole()
    document["connectors"]["crm"]["legal_entities"] = {"HC-DE": CRM}
    assert "crm: legal_entities: only the ERP may differ" in refusal(tmp_path, document)


def test_one_vendor_twice_is_one_connection_or_refused(tmp_path: Path) -> None:
    other = copy.deepcopy(ERP)
    other["settings"]["client_id"] = "another"
    told = refusal(tmp_path, with_entities(**{"HC-DE": other}))
    assert "connectors.erp.legal_entities.HC-DE.vendor: netsuite is bound elsewhere with other settings" in told


def test_a_legal_entitys_erp_must_be_one(tmp_path: Path) -> None:
    told = refusal(tmp_path, with_entities(**{"HC-DE": PSA}))
    assert "connectors.erp.legal_entities.HC-DE.vendor: kantata plays psa, not erp" in told


@pytest.mark.parametrize(
    ("own", "named"),
    [
        (None, "gone.yaml: cannot be read"),
        ("opportunity: {no_such_field: X__c}\n", "gone.yaml: opportunity.no_such_field: no canonical field of it"),
        ("opportunity: [\n", "gone.yaml: cannot be read"),
    ],
)
def test_a_tenants_own_field_file_is_read_at_start(tmp_path: Path, own: str | None, named: str) -> None:
    document = whole()
    document["connectors"]["crm"]["fields"] = "fields/gone.yaml"
    (tmp_path / "fields").mkdir()
    if own is not None:
        (tmp_path / "fields" / "gone.yaml").write_text(own, encoding="utf-8")
    told = refusal(tmp_path, document)
    assert told.startswith("harbour.yaml: connectors.crm: ")
    assert named in told


def test_a_connector_without_its_opener_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("system_apis.connectors.kantata.connector")
    monkeypatch.delattr(module, "open_connector")
    told = refusal(tmp_path, {"connectors": {"psa": PSA}})
    assert "connectors/kantata/connector.py: open_connector(binding) is missing" in told
