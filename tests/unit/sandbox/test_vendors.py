"""A vendor that cannot be used is named with its reason, and keeps no other from playing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from deploy.local.choice import Choice, ChoiceRefused
from deploy.local.matrix import players
from deploy.sandbox import catalog
from deploy.sandbox.app import SandboxMisconfigured, build
from deploy.sandbox.kit.vendor import SandboxVendor

NEWCOMER = "acme"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sandbox has a folder more."""
    names = (*catalog.vendor_names(), NEWCOMER)
    monkeypatch.setattr(catalog, "vendor_names", lambda: names)
    for cached in (catalog.vendor, catalog.vendors, catalog.broken):
        cached.cache_clear()
    yield
    for cached in (catalog.vendor, catalog.vendors, catalog.broken):
        cached.cache_clear()


def bring(monkeypatch: pytest.MonkeyPatch, **content: Any) -> None:
    """Its `vendor.py` holds that."""
    module = ModuleType("vendor")
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, f"deploy.sandbox.{NEWCOMER}.vendor", module)


def test_every_vendor_can_be_used() -> None:
    assert dict(catalog.broken()) == {}
    assert tuple(catalog.vendors()) == catalog.vendor_names()


@pytest.mark.usefixtures("folder")
def test_one_that_breaks_when_imported_stops_no_other() -> None:
    assert list(catalog.broken()) == [NEWCOMER]
    assert catalog.broken()[NEWCOMER].startswith(
        "deploy/sandbox/acme/vendor.py cannot be imported: ModuleNotFoundError: "
    )
    assert "kantata" in players("psa")
    assert NEWCOMER not in catalog.vendors()
    with pytest.raises(ChoiceRefused, match=r"CRM=acme: deploy/sandbox/acme/vendor.py cannot be imported"):
        Choice.of(crm=NEWCOMER)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "VENDOR must be a SandboxVendor, it is missing"),
        ({"VENDOR": 7}, "VENDOR must be a SandboxVendor, it is a int"),
        ({"VENDOR": catalog.vendor("kantata")}, "VENDOR.name is 'kantata'; it must be the folder's name"),
    ],
)
def test_what_is_wrong_with_its_file_is_told(
    monkeypatch: pytest.MonkeyPatch, content: dict[str, SandboxVendor], told: str
) -> None:
    bring(monkeypatch, **content)
    assert catalog.broken() == {NEWCOMER: f"deploy/sandbox/acme/vendor.py: {told}"}


def test_a_simulator_goes_by_the_name_of_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    one = catalog.vendor("kantata")
    kept = one.generate()
    made = replace(one.simulator(kept), name="kantate")
    monkeypatch.setattr(type(one), "simulator", lambda *_: made)
    with pytest.raises(SandboxMisconfigured, match="simulator of kantata: its name is 'kantate'"):
        build({"kantata": kept})
