"""Settings that are numbers or one of some words: taken, or refused with connector, key, reason and what is allowed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from deploy.sandbox.catalog import vendor
from shared.errors.taxonomy import Misconfigured
from system_apis.catalog import CONNECTORS
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding


def bound(**settings: str) -> Binding:
    return Binding("harbour", "acme", settings)


def refusal(ask: Any, *args: Any, **bounds: Any) -> str:
    with pytest.raises(Misconfigured) as refused:
        ask(*args, **bounds)
    return refused.value.message


def test_what_is_left_out_or_blank_is_the_default() -> None:
    for binding in (bound(), bound(size="", pause="", flow="")):
        assert binding.whole("size", 7) == 7
        assert binding.number("pause", 0.5) == 0.5
        assert binding.choice("flow", "basic", "oauth") == "basic"


def test_what_is_allowed_is_taken_up_to_its_bounds() -> None:
    assert [bound(size=text).whole("size", 7, at_most=9) for text in ("1", "9", "05")] == [1, 9, 5]
    assert bound(size="0").whole("size", 7, at_least=0) == 0
    assert [bound(pause=text).number("pause", 1) for text in ("0", "0.25", "1e3")] == [0, 0.25, 1000]
    assert bound(flow="oauth").choice("flow", "basic", "oauth") == "oauth"


@pytest.mark.parametrize("given", ["x", "0", "-3", "10", "1.5", " 5", "²", "٣", "1_0", "9" * 5000])
def test_what_is_no_such_whole_number_is_refused(given: str) -> None:
    told = refusal(bound(size=given).whole, "size", 7, at_most=9)
    assert told == f"connector acme of tenant harbour: setting size: {given!r} is not a whole number from 1 to 9"


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf", "1e10", "0.01"])
def test_what_is_no_such_number_is_refused(given: str) -> None:
    told = refusal(bound(pause=given).number, "pause", 1, at_least=0.02)
    expected = f"setting pause: {given!r} is not a number from 0.02 to 1000000000"
    assert told == f"connector acme of tenant harbour: {expected}"


@pytest.mark.parametrize("given", ["jwt_barer", "OAUTH", "basic "])
def test_what_is_none_of_the_words_is_refused(given: str) -> None:
    told = refusal(bound(flow=given).choice, "flow", "basic", "oauth")
    assert told == f"connector acme of tenant harbour: setting flow: {given!r} is none of basic, oauth"


NUMBERS = {
    "certinia": ("overlap_seconds", "copy_wait_seconds", "feed_wait_seconds", "feed_sweep_seconds"),
    "dynamics_finance": (
        "at_once",
        "bulk_from",
        "posting_wait_seconds",
        "posting_poll_seconds",
        "package_poll_seconds",
    ),
    "dynamics_sales": ("overlap_seconds",),
    "hubspot": (
        "batch_size",
        "requests_per_ten_seconds",
        "searches_per_second",
        "pause_seconds",
        "overlap_seconds",
    ),
    "kantata": ("requests_per_minute", "quiet_seconds"),
    "netsuite": ("at_once", "async_from_lines"),
    "oracle_fusion": ("at_once", "framework_version"),
    "s4hana": ("at_once",),
    "salesforce": ("overlap_seconds", "feed_wait_seconds", "feed_sweep_seconds"),
    "tryton": ("at_once",),
}
CHOICES = {
    "certinia": ("auth_flow",),
    "dynamics_finance": (
        "invoice_by",
        "posting",
        "customer_numbers",
        "project_operations",
        "line_amounts",
        "settlements",
        "service_items",
    ),
    "dynamics_sales": ("auth_flow", "delivery_on", "lines_touch_deal"),
    "hubspot": ("auth_flow", "clear_with"),
    "netsuite": ("auth",),
    "oracle_fusion": ("auth_flow", "item_kind"),
    "s4hana": ("auth", "price_is_fixed_amount"),
    "salesforce": ("auth_flow",),
}
WRONG = [
    *((name, key, given) for name, keys in NUMBERS.items() for key in keys for given in ("x", "-3")),
    *((name, "at_once", "0") for name, keys in NUMBERS.items() if "at_once" in keys),
    *((name, key, "jwt_barer") for name, keys in CHOICES.items() for key in keys),
]


def test_every_connector_is_asked() -> None:
    names = {folder.parent.name for folder in CONNECTORS.glob("*/manifest.yaml")}
    assert set(NUMBERS) == names
    for name in names:
        declared = load_manifest(CONNECTORS / name).settings
        assert {*NUMBERS[name], *CHOICES.get(name, ())} <= declared.keys()
        sounding = {key for key in declared if key.endswith("_seconds") or key.startswith("auth") or key == "at_once"}
        assert sounding <= {*NUMBERS[name], *CHOICES.get(name, ())}


@pytest.mark.parametrize(("name", "key", "given"), WRONG, ids=["-".join(row) for row in WRONG])
async def test_a_connector_that_is_opened_names_the_setting_that_cannot_be(name: str, key: str, given: str) -> None:
    kept = vendor(name).generate()
    settings = vendor(name).settings("http://127.0.0.1:1", kept)
    secrets = vendor(name).secrets(kept)
    opened = import_module(f"system_apis.connectors.{name}.connector").open_connector
    await opened(Binding("harbour", name, settings, secrets)).aclose()
    told = refusal(opened, Binding("harbour", name, {**settings, key: given}, secrets))
    assert told.startswith(f"connector {name} of tenant harbour: setting {key}: {given!r} is ")
