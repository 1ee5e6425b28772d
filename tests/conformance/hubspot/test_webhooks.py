"""Deliveries as HubSpot posts them: lists of events, signed over method, address, body and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.hubspot.events import signature_v1
from deploy.sandbox.hubspot.setup import custom_objects
from deploy.sandbox.hubspot.vendor import CONTRACT_TYPE, WEBHOOK_URL
from deploy.sandbox.kit.deliveries import Subscription
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from shared.errors.taxonomy import InvalidRequest, Misconfigured, NotAuthenticated
from system_apis.connectors.hubspot.webhooks import open_intake, signature
from system_apis.ports.changes import ChangeHint, WebhookDelivery
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.hubspot.conftest import Portal
from tests.conformance.hubspot.portals import binding_for
from tests.conformance.served import Mailbox

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp() * 1000))
VECTOR_SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
VECTOR_BODY = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW",'
    b'"appId":54321}]'
)


def _event(kind: str, **members: Any) -> dict[str, Any]:
    return {"subscriptionType": kind, "occurredAt": 1_700_000_000_123, "portalId": 62515, "eventId": 1, **members}


def _delivery(events: Any, *, url: str = WEBHOOK_URL, stamp: str = STAMP) -> WebhookDelivery:
    body = json.dumps(events).encode()
    signed = signature(WEBHOOK_SECRET, url, body, stamp)
    headers = {"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": stamp}
    return WebhookDelivery(headers, body, NOW)


def _read(*events: dict[str, Any], **settings: str) -> list[tuple[str, str]]:
    hints = open_intake(binding_for("http://hubspot", **settings)).read(_delivery(list(events)))
    return [(hint.entity, hint.ref) for hint in hints]


def test_signatures_are_the_published_ones() -> None:
    url = "https://www.example.com/webhook_uri?portal=62515"
    assert signature(VECTOR_SECRET, url, VECTOR_BODY, "1700000000000") == "6VpEEcYbLRQexO6Xeny5F7fmn8G+7khFob3k9evi+54="
    v1 = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
    assert signature_v1(VECTOR_SECRET, VECTOR_BODY) == v1


def test_the_address_enters_the_signature_as_the_vendor_decodes_it() -> None:
    called = "https://h.example/in%2Fbox?to=a%40b%2c%20c&q=%3A"
    meant = "https://h.example/in/box?to=a@b,%20c&q=:"
    assert signature("s", called, b"[]", "1") == signature("s", meant, b"[]", "1")
    assert signature("s", called, b"[]", "1") != signature("s", meant.replace("%20", " "), b"[]", "1")


@pytest.mark.parametrize("seconds", [0, 299, -299])
def test_a_delivery_within_five_minutes_is_taken(seconds: int) -> None:
    stamp = str(int(STAMP) + seconds * 1000)
    intake = open_intake(binding_for("http://hubspot"))
    assert len(intake.read(_delivery([_event("deal.creation", objectId=7)], stamp=stamp))) == 1


@pytest.mark.parametrize(
    "stamp", [str(int(STAMP) - 300_001), str(int(STAMP) + 300_001), "soon", "-1", "9" * 30, "\u0661"]
)
def test_another_time_is_refused(stamp: str) -> None:
    delivery = _delivery([_event("deal.creation", objectId=7)], stamp=stamp)
    with pytest.raises(NotAuthenticated) as caught:
        open_intake(binding_for("http://hubspot")).read(delivery)
    assert caught.value.findings[0].field == "x-hubspot-request-timestamp"


def test_a_signature_for_another_address_is_refused() -> None:
    intake = open_intake(binding_for("http://hubspot"))
    delivery = _delivery([_event("deal.creation", objectId=7)], url="https://elsewhere.example/hook")
    with pytest.raises(NotAuthenticated):
        intake.read(delivery)


def test_the_old_signature_alone_is_not_enough() -> None:
    body = json.dumps([_event("deal.creation", objectId=7)]).encode()
    headers = {"x-hubspot-signature": signature_v1(WEBHOOK_SECRET, body), "x-hubspot-request-timestamp": STAMP}
    with pytest.raises(NotAuthenticated):
        open_intake(binding_for("http://hubspot")).read(WebhookDelivery(headers, body, NOW))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (_event("deal.creation", objectId=7), [("opportunity", "7")]),
        (_event("deal.deletion", objectId=7), [("opportunity", "7")]),
        (_event("deal.restore", objectId=7), [("opportunity", "7")]),
        (_event("deal.propertyChange", objectId=7, propertyName="dealstage"), [("opportunity", "7")]),
        (_event("deal.propertyChange", objectId=7, propertyName="tl_project_ref"), []),
        (_event("company.propertyChange", objectId=8, propertyName="city"), [("customer", "8")]),
        (
            _event("company.merge", primaryObjectId=8, mergedObjectIds=[9, 10], newObjectId=8, objectId=8),
            [("customer", "8"), ("customer", "9"), ("customer", "10")],
        ),
        (
            _event("deal.associationChange", associationType="DEAL_TO_LINE_ITEM", fromObjectId=7, toObjectId=3),
            [("opportunity", "7")],
        ),
        (
            _event("deal.associationChange", associationType="LINE_ITEM_TO_DEAL", fromObjectId=3, toObjectId=7),
            [("opportunity", "7")],
        ),
        (
            _event("company.associationChange", associationType="COMPANY_TO_COMPANY", fromObjectId=8, toObjectId=9),
            [("customer", "8")],
        ),
        (_event("deal.associationChange", associationType="DEAL_TO_OBJECT", fromObjectId=7, toObjectId=3), []),
        (_event("company.associationChange", associationType="COMPANY_TO_DEAL", fromObjectId=8, toObjectId=7), []),
        (_event("deal.associationChange", fromObjectId=7, toObjectId=3), [("opportunity", "7")]),
        (_event("contact.creation", objectId=5), []),
        (_event("line_item.propertyChange", objectId=3, propertyName="price"), []),
        (_event("object.propertyChange", objectId=4, objectTypeId=CONTRACT_TYPE), [("contract", "4")]),
        (_event("object.propertyChange", objectId=4, objectTypeId="2-999"), []),
    ],
)
def test_an_event_hints_at_the_record_it_is_about(event: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert _read(event) == told
    renamed = {("eventType" if name == "subscriptionType" else name): value for name, value in event.items()}
    assert _read(renamed) == told


def test_contracts_are_followed_only_where_their_type_is_named() -> None:
    assert _read(_event("object.creation", objectId=4, objectTypeId=CONTRACT_TYPE), contract_type_id="") == []
    assert _read(_event("object.creation", objectId=4), contract_type_id="") == []


def test_events_of_one_instant_and_record_are_one_hint() -> None:
    events = [_event("deal.propertyChange", objectId=7, propertyName=name) for name in ("amount", "dealname")]
    later = _event("deal.propertyChange", objectId=7, propertyName="amount") | {"occurredAt": 1_700_000_000_124}
    hints = open_intake(binding_for("http://hubspot")).read(_delivery([*events, later, events[0]]))
    assert len(hints) == len({hint.key for hint in hints}) == 2
    assert hints[0].occurred_at == datetime.fromtimestamp(1_700_000_000.123, UTC)


@pytest.mark.parametrize(
    "body",
    [
        [{"subscriptionType": "deal.creation"}],
        [_event("deal.creation")],
        [_event("deal.creation", objectId="seven")],
        [_event("deal.creation", objectId=7) | {"occurredAt": 10**18}],
        {"events": []},
        [],
        [7],
    ],
)
def test_a_signed_list_that_cannot_be_read_is_an_invalid_request(body: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        open_intake(binding_for("http://hubspot")).read(_delivery(body))
    assert caught.value.findings


def test_moved_fields_of_ours_are_ours_where_they_are(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("opportunity: {project_ref: psa_number}")
    intake = open_intake(replace(binding_for("http://hubspot"), overrides=own))
    ours = _event("deal.propertyChange", objectId=7, propertyName="psa_number")
    theirs = _event("deal.propertyChange", objectId=8, propertyName="tl_project_ref")
    assert [hint.ref for hint in intake.read(_delivery([ours, theirs]))] == ["8"]


@pytest.mark.parametrize("missing", ["webhook_url", "webhook_secret"])
def test_secret_and_address_are_needed(missing: str) -> None:
    known = binding_for("http://hubspot")
    bare = replace(
        known,
        settings={name: value for name, value in known.settings.items() if name != missing},
        secrets={name: value for name, value in known.secrets.items() if name != missing},
    )
    with pytest.raises(Misconfigured, match=missing):
        open_intake(bare)


async def _hints(portal: Portal, mail: Mailbox, many: int) -> list[Sequence[ChangeHint]]:
    async with asyncio.timeout(10):
        while len(mail.deliveries) < many:
            await mail.arrived.wait()
            mail.arrived.clear()
    intake = open_intake(binding_for(portal.sandbox.base_url))
    return [intake.read(one) for one in mail.deliveries]


async def test_what_we_write_is_no_news_to_us(portal: Portal, mail: Mailbox) -> None:
    portal.switch(target_url=WEBHOOK_URL)
    assert portal.sandbox.simulator.deliveries is not None
    portal.sandbox.simulator.deliveries.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77")
    await portal.connector.amend_delivery_status(portal.deal, status)
    [nothing] = await _hints(portal, mail, 1)
    assert list(nothing) == []
    assert {event["changeSource"] for event in json.loads(mail.deliveries[0].body)} == {"INTEGRATION"}


async def test_deliveries_may_come_twice_and_in_reverse(portal: Portal, mail: Mailbox) -> None:
    portal.switch(target_url=WEBHOOK_URL)
    box = portal.sandbox.simulator.deliveries
    assert box is not None
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET, copies=2, order="held")
    contract = (await custom_objects(portal.people))["tl_contract"]
    await portal.amend("deals", "D0000", amount="7.00", dealname="Seven")
    await portal.amend(contract, "SOW-0000", tl_approval="rejected")
    box.release(reverse=True)
    read = await _hints(portal, mail, 4)
    assert [[hint.entity for hint in hints] for hints in read] == [["contract"]] * 2 + [["opportunity"]] * 2
    assert len({hint.key for hints in read for hint in hints}) == 2


async def test_many_changes_come_in_lists_of_a_hundred(portal: Portal, mail: Mailbox) -> None:
    portal.switch(target_url=WEBHOOK_URL)
    box = portal.sandbox.simulator.deliveries
    assert box is not None
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    path = "/crm/v3/pipelines/deals/default/stages/closedwon"
    await portal.people.call("PATCH", path, {"label": "Signed"})
    rows = [{"properties": {"name": f"C{n}", "city": "Kiel"}} for n in range(60)]
    made = await portal.people.call("POST", "/crm/v3/objects/companies/batch/create", {"inputs": rows})
    changed = [{"id": row["id"], "properties": {"name": "x", "city": "y"}} for row in made["results"]]
    await portal.people.call("POST", "/crm/v3/objects/companies/batch/update", {"inputs": changed})
    read = await _hints(portal, mail, 3)
    assert sorted(len(json.loads(one.body)) for one in mail.deliveries) == [20, 60, 100]
    assert len({hint.ref for hints in read for hint in hints}) == 60
