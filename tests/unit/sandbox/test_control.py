"""The control endpoint of switches: what is no object, no switch or no value is refused, each by its own name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from deploy.sandbox import catalog
from deploy.sandbox.kit.control import Simulator, sandbox_app
from deploy.sandbox.kit.switches import UnknownSwitch

NOT_VALID = "The control request is not valid."
NOT_KNOWN = "The switch is not known."
NOT_USABLE = "The value of a switch cannot be used."
SWITCHED = tuple(name for name in catalog.vendor_names() if name != "tryton")  # a real server, without switches


@pytest.fixture(scope="module")
def simulators() -> dict[str, Simulator]:
    return {name: catalog.vendor(name).simulator(catalog.vendor(name).generate()) for name in SWITCHED}


@pytest.fixture
async def control(simulators: dict[str, Simulator]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(sandbox_app(simulators))  # errors of the app are the test's
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox/_control") as client:
        yield client


@pytest.mark.parametrize("name", SWITCHED)
@pytest.mark.parametrize("body", ["[1]", '"page_size"', "null", "7", "{", ""])
async def test_what_is_no_object_of_switches_is_refused(control: httpx.AsyncClient, name: str, body: str) -> None:
    answer = await control.post(f"/{name}/switches", content=body)
    assert answer.status_code == 422
    assert answer.json()["title"] == NOT_VALID
    assert answer.json()["errors"][0]["reason"]


@pytest.mark.parametrize("name", SWITCHED)
async def test_a_switch_that_is_not_there_is_not_known(control: httpx.AsyncClient, name: str) -> None:
    answer = await control.post(f"/{name}/switches", json={"weather": "fair"})
    assert (answer.status_code, answer.json()) == (422, {"title": NOT_KNOWN, "detail": "weather"})


BAD: list[tuple[str, str, Any]] = [
    ("certinia", "copy_fails", "false"),
    ("certinia", "copy_steps", "2"),
    ("certinia", "whole_seconds", "false"),
    ("certinia", "locators_expire", True),
    ("dynamics_finance", "tax_override", "false"),
    ("dynamics_finance", "load", "many"),
    ("dynamics_finance", "customer_numbers", "none"),
    ("dynamics_sales", "lines_touch_deal", "false"),
    ("dynamics_sales", "bare_401", 0),
    ("hubspot", "one_parent", "false"),
    ("hubspot", "custom_objects", 1),
    ("hubspot", "clears_with", "nothing"),
    ("hubspot", "page_size", "200"),
    ("hubspot", "target_url", "nowhere"),
    ("kantata", "value_touches_subject", "false"),
    ("netsuite", "suite_tax", "false"),
    ("netsuite", "takes_sha1", "false"),
    ("oracle_fusion", "calculates_tax", "false"),
    ("oracle_fusion", "language", "fr"),
    ("s4hana", "end_sessions", "false"),
    ("salesforce", "whole_seconds", "false"),
    ("salesforce", "gap_events", "false"),
    ("salesforce", "forget_events", "false"),
    ("salesforce", "drop_clients", "false"),
    ("salesforce", "streaming", "false"),
    ("salesforce", "page_size", "2"),
]


@pytest.mark.parametrize(("name", "switch", "value"), BAD)
async def test_a_value_of_another_kind_is_refused_by_the_switchs_name(
    control: httpx.AsyncClient, name: str, switch: str, value: Any
) -> None:
    answer = await control.post(f"/{name}/switches", json={switch: value})
    assert answer.status_code == 422
    assert answer.json()["title"] == NOT_USABLE
    assert switch in answer.json()["detail"]


DELETABLE: list[tuple[str, str, str, str]] = [
    ("certinia", "pse__Proj__c", "Throughline_Copy_Job__c", "Name"),
    ("dynamics_finance", "CustomersV3", "TLIndustry", "OrganizationName"),
    ("dynamics_sales", "thl_invoicestatus", "thl_period", "createdon"),
    ("netsuite", "invoice.item", "custcol_tl_line", "quantity"),
    ("oracle_fusion", "projects.ProjectDFF", "throughlineBudget", "__FLEX_Context"),
    ("s4hana", "A_BillingDocument", "YY1_TLPeriod_BDH", "TotalNetAmount"),
    ("salesforce", "Contract", "Rate_Card__c", "Status"),
]
"""Vendor, object, a custom field of it, and one of the vendor's own."""


@pytest.mark.parametrize(("name", "called", "custom", "standard"), DELETABLE)
async def test_only_custom_fields_are_deleted(
    control: httpx.AsyncClient, name: str, called: str, custom: str, standard: str
) -> None:
    for wanted, told in (
        ({called: [custom, standard]}, f"deleted_fields: {called} has no custom field {standard} to delete"),
        ({called: ["nothing", "else"]}, f"deleted_fields: {called} has no custom field else, nothing to delete"),
        ({"nowhere": [custom]}, f"deleted_fields: nowhere has no custom field {custom} to delete"),
        ({called: custom}, "deleted_fields must be {object: [field]}, not "),
        ({called: [1]}, "deleted_fields must be {object: [field]}, not "),
        ({called: None}, "deleted_fields must be {object: [field]}, not "),
        ([called], "deleted_fields must be {object: [field]}, not "),
        (None, "deleted_fields must be {object: [field]}, not None"),
    ):
        answer = await control.post(f"/{name}/switches", json={"deleted_fields": wanted})
        assert answer.status_code == 422
        assert answer.json()["title"] == NOT_USABLE
        assert answer.json()["detail"].startswith(told)
    for wanted in ({called: [custom]}, {called: []}, {}):
        assert (await control.post(f"/{name}/switches", json={"deleted_fields": wanted})).status_code == 204


def test_every_simulator_that_has_the_switch_is_asked(simulators: dict[str, Simulator]) -> None:
    for name, simulator in simulators.items():
        assert simulator.configure is not None
        with nullcontext() if name in {one[0] for one in DELETABLE} else pytest.raises(UnknownSwitch):
            simulator.configure({"deleted_fields": {}})


async def test_what_lies_deeper_in_a_value_is_refused_too(control: httpx.AsyncClient) -> None:
    """Neither a key that is not there nor a list where an object belongs is a fault of ours."""
    for name, wanted in (
        ("salesforce", {"public_keys": {"nobody": "PEM"}}),
        ("salesforce", {"enriched": [1]}),
        ("netsuite", {"certificates": [1]}),
        ("oracle_fusion", {"tax_drift": "much"}),
        ("s4hana", {"company_codes": [{}]}),
    ):
        answer = await control.post(f"/{name}/switches", json=wanted)
        assert (answer.status_code, answer.json()["title"]) == (422, NOT_USABLE)


async def test_what_fits_is_taken(control: httpx.AsyncClient, simulators: dict[str, Simulator]) -> None:
    for name, wanted in (
        ("certinia", {"copy_fails": False, "page_size": None, "locators_expire": 0}),
        ("hubspot", {"one_parent": True, "ten_seconds": None}),
        ("salesforce", {"clock_ahead": 1, "long_poll_seconds": 0.5, "whole_seconds": False}),
    ):
        assert (await control.post(f"/{name}/switches", json=wanted)).status_code == 204
        await control.post(f"/{name}/reset")
    assert set(simulators) == set(SWITCHED)
