"""The AsyncAPI document tells the truth: who listens, what a message looks like, what travels beside it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import yaml

from process_apis.invoice_to_cash import routes as invoice_to_cash
from process_apis.quote_to_project import routes as quote_to_project
from process_apis.time_to_bill import routes as time_to_bill
from shared.canonical.events import EVENT_TYPES, Event
from shared.persistence.bus import subject_of
from shared.serving.events_document import LISTENERS, TOLD_BY
from shared.serving.exports import export_events

DOCUMENT: dict[str, Any] = yaml.safe_load(export_events()["events.v1.yaml"])


class Ear:
    """Notes who wants to hear what."""

    def __init__(self) -> None:
        self.heard: defaultdict[str, set[str]] = defaultdict(set)

    def on(self, event_type: str, *, consumer: str, act: Any) -> None:
        del act
        self.heard[f"process-{consumer}"].add(event_type)

    def every(self, seconds: float, name: str, act: Any) -> None: ...


def test_the_document_names_every_durable_consumer_of_the_process_tier_and_what_it_hears() -> None:
    ear = Ear()
    for process in (quote_to_project, time_to_bill, invoice_to_cash):
        process.register(ear)
    told = {name: set(kinds) for name, kinds in LISTENERS.items() if name.startswith("process-")}
    assert told == dict(ear.heard)
    received = {one["bindings"]["nats"]["queue"] for one in DOCUMENT["operations"].values() if "bindings" in one}
    assert received == set(LISTENERS)


def test_every_fact_has_one_tier_that_tells_it() -> None:
    assert TOLD_BY.keys() == EVENT_TYPES.keys()
    sent = [one["channel"]["$ref"] for one in DOCUMENT["operations"].values() if one["action"] == "send"]
    assert sorted(sent) == sorted(f"#/channels/{name}" for name in DOCUMENT["channels"])


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_example_of_a_message_is_an_event_the_tiers_would_take(kind: str) -> None:
    message = next(one for one in DOCUMENT["components"]["messages"].values() if one["name"] == kind)
    (example,) = message["examples"]
    event = Event.model_validate(example["payload"])
    assert (event.type, type(event.body())) == (kind, EVENT_TYPES[kind])
    assert example["headers"].keys() == set(DOCUMENT["components"]["schemas"]["Headers"]["required"])


def test_an_address_is_the_subject_the_bus_publishes_on() -> None:
    for name, channel in DOCUMENT["channels"].items():
        (message,) = channel["messages"]
        kind = DOCUMENT["components"]["messages"][message]["name"]
        assert channel["address"].replace("{tenant}", "harbour") == subject_of("harbour", kind), name


def test_the_bus_asks_for_an_account() -> None:
    assert DOCUMENT["servers"]["bus"]["security"] == [{"$ref": "#/components/securitySchemes/bus_account"}]
