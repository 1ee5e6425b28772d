"""Webhook steps: the key, the window, what contexts say, and messages that were cut down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.sandbox.dynamics_sales.simulator import KEY_HEADER
from deploy.sandbox.kit.deliveries import Subscription
from shared.errors.taxonomy import InvalidRequest, Misconfigured, NotAuthenticated
from system_apis.connectors.dynamics_sales.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookDelivery
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.dynamics_sales.conftest import Place
from tests.conformance.dynamics_sales.environments import ask, binding_for
from tests.conformance.served import Mailbox

INTAKE = open_intake(binding_for("http://127.0.0.1:1/dynamics_sales"))


async def delivered(place: Place, mail: Mailbox, method: str, path: str, body: Any = None) -> WebhookDelivery:
    """The first delivery that a write causes."""
    box = place.sandbox.simulator.deliveries
    assert box
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    await place.admin.call(method, path, body)
    return await mail.first()


def context(delivery: WebhookDelivery) -> dict[str, Any]:
    return dict(json.loads(delivery.body))


def attributes(entity: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in entity["Attributes"]}


async def test_a_context_carries_changed_columns_as_pairs_with_wrapped_values(place: Place, mail: Mailbox) -> None:
    place.switch(closed_rows="writable")
    changes = {"thl_deliverystage": 727000001, "budgetamount": 5, "thl_region": "East", "stepname": None}
    delivery = await delivered(place, mail, "PATCH", f"opportunities({place.deal})", changes)
    told = context(delivery)
    assert (told["MessageName"], told["PrimaryEntityName"], told["PrimaryEntityId"]) == (
        "Update",
        "opportunity",
        place.deal,
    )
    assert (told["Stage"], told["Mode"], told["Depth"]) == (40, 1, 1)
    [target] = [pair["value"] for pair in told["InputParameters"] if pair["key"] == "Target"]
    assert target["__type"] == "Entity:http://schemas.microsoft.com/xrm/2011/Contracts"
    held = attributes(target)
    assert held["thl_deliverystage"]["Value"] == 727000001
    assert held["thl_deliverystage"]["__type"].startswith("OptionSetValue:")
    assert held["budgetamount"]["__type"].startswith("Money:")
    assert held["thl_region"] == "East"
    assert "name" not in held, "only what changed"
    assert {"key": "thl_deliverystage", "value": "Exception"} in target["FormattedValues"]
    assert delivery.headers[KEY_HEADER] == WEBHOOK_SECRET
    assert delivery.headers["x-ms-dynamics-entity-name"] == "opportunity"
    assert delivery.headers["x-ms-dynamics-request-name"] == "Update"
    assert delivery.headers["x-ms-correlation-request-id"] == told["CorrelationId"]
    assert "x-ms-dynamics-msg-size-exceeded" not in delivery.headers
    [hint] = INTAKE.read(delivery)
    assert (hint.entity, hint.ref) == ("opportunity", place.deal)
    assert INTAKE.read(delivery) == [hint], "the same message is the same hint"


async def test_a_context_that_is_too_long_is_cut_down_and_still_a_hint(place: Place, mail: Mailbox) -> None:
    place.switch(closed_rows="writable")
    delivery = await delivered(place, mail, "PATCH", f"opportunities({place.deal})", {"thl_brief": "x" * 300_000})
    assert delivery.headers["x-ms-dynamics-msg-size-exceeded"] == "true"
    assert len(delivery.body) < 262_144
    assert not {"InputParameters", "ParentContext", "PreEntityImages", "PostEntityImages"} & context(delivery).keys()
    [hint] = INTAKE.read(delivery)
    assert (hint.entity, hint.ref) == ("opportunity", place.deal)
    assert (await place.connector.get_opportunity(hint.ref)).name == "Deal 0000"


async def test_a_child_tells_of_its_parent_by_the_steps_image(place: Place, mail: Mailbox) -> None:
    milestone = (await ask(place.url, "thl_milestones"))[0]
    path = f"thl_milestones({milestone['thl_milestoneid']})"
    delivery = await delivered(place, mail, "PATCH", path, {"thl_name": "Later"})
    [hint] = INTAKE.read(delivery)
    assert (hint.entity, hint.ref) == ("contract", milestone["_thl_contractid_value"])
    bare = {**context(delivery), "PostEntityImages": [], "PreEntityImages": None}
    del bare["PreEntityImages"]
    assert INTAKE.read(replace(delivery, body=json.dumps(bare).encode())) == [], "left to the feed"


async def test_a_deleted_child_tells_of_its_parent_too(place: Place, mail: Mailbox) -> None:
    milestone = (await ask(place.url, "thl_milestones"))[0]
    delivery = await delivered(place, mail, "DELETE", f"thl_milestones({milestone['thl_milestoneid']})")
    assert context(delivery)["MessageName"] == "Delete"
    [hint] = INTAKE.read(delivery)
    assert (hint.entity, hint.ref) == ("contract", milestone["_thl_contractid_value"])


async def test_winning_is_told_as_such(place: Place, mail: Mailbox) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    place.switch(steps=["opportunity"])
    close = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({place.deal})"}
    await delivered(place, mail, "POST", "WinOpportunity", {"Status": 3, "OpportunityClose": close})
    while not (won := [one for one in mail.deliveries if context(one)["MessageName"] == "Win"]):
        mail.arrived.clear()
        await mail.arrived.wait()
    [hint] = INTAKE.read(won[0])
    assert (hint.entity, hint.ref) == ("opportunity", place.deal)
    names = [pair["key"] for pair in context(won[0])["InputParameters"]]
    assert names == ["OpportunityClose", "Status"]


async def test_without_the_key_or_outside_the_window_nothing_is_read(place: Place, mail: Mailbox) -> None:
    good = await delivered(place, mail, "PATCH", "accounts(accountnumber='A0000')", {"telephone1": "1"})
    assert INTAKE.read(good)
    bare = {name: value for name, value in good.headers.items() if name != KEY_HEADER}
    wrong = {**good.headers, KEY_HEADER: WEBHOOK_SECRET + "x"}
    strange = {**good.headers, KEY_HEADER: "schlüssel"}
    late = replace(good, received_at=good.received_at + timedelta(minutes=6))
    early = replace(good, received_at=good.received_at - timedelta(minutes=6))
    for bad in (replace(good, headers=bare), replace(good, headers=wrong), replace(good, headers=strange), late, early):
        with pytest.raises(NotAuthenticated) as caught:
            INTAKE.read(bad)
        assert caught.value.findings[0].field in {KEY_HEADER, "OperationCreatedOn"}


async def test_what_comes_with_the_key_and_cannot_be_read_is_an_invalid_request(place: Place, mail: Mailbox) -> None:
    good = await delivered(place, mail, "PATCH", "accounts(accountnumber='A0000')", {"telephone1": "1"})
    whole = context(good)
    for body in (
        b"{",
        b"[]",
        json.dumps({"unknown": "shape"}).encode(),
        json.dumps({**whole, "OperationCreatedOn": "yesterday"}).encode(),
        json.dumps({**whole, "OperationCreatedOn": "/Date(999999999999999)/"}).encode(),
        json.dumps({**whole, "PrimaryEntityId": ""}).encode(),
        json.dumps({**whole, "PostEntityImages": 7}).encode(),
    ):
        with pytest.raises(InvalidRequest):
            INTAKE.read(replace(good, body=body))


async def test_our_own_changes_and_tables_we_do_not_follow_are_no_news(place: Place, mail: Mailbox) -> None:
    good = await delivered(place, mail, "PATCH", "accounts(accountnumber='A0000')", {"telephone1": "1"})
    whole = context(good)
    ours = open_intake(binding_for(place.url, application_user_id=whole["InitiatingUserId"].upper()))
    assert ours.read(good) == []
    for change in ({"PrimaryEntityName": "task"}, {"PrimaryEntityId": "not-an-id"}):
        assert INTAKE.read(replace(good, body=json.dumps({**whole, **change}).encode())) == []


def test_the_key_must_be_set_and_its_header_can_be_named() -> None:
    known = binding_for("http://127.0.0.1:1/x", webhook_header="X-Other")
    with pytest.raises(Misconfigured, match="webhook_secret"):
        open_intake(Binding("harbour", "dynamics_sales", known.settings, {}))
    with pytest.raises(NotAuthenticated) as caught:
        open_intake(known).read(WebhookDelivery({}, b"{}", datetime.now(UTC)))
    assert caught.value.findings[0].field == "x-other"
