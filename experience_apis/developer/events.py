"""Reads the AsyncAPI document for people: event types, their data, their envelope, an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from experience_apis.developer.examples import example_of
from experience_apis.developer.schemas import Node, tree
from experience_apis.developer.screens import shown
from experience_apis.developer.specs import Json, Spec, resolved
from shared.errors.taxonomy import NotFound


@dataclass(frozen=True, slots=True)
class EventCard:
    """One event type in a list."""

    name: str
    type: str
    summary: str
    address: str
    content: str


@dataclass(frozen=True, slots=True)
class EventTold(EventCard):
    """One event type with what it carries."""

    data: Node
    envelope: Node
    example: str


def event_cards(spec: Spec) -> tuple[EventCard, ...]:
    """Every event type, in the document's order."""
    return tuple(_card(spec, channel) for channel in cast("dict[str, Json]", spec.document["channels"]).values())


def event_told(spec: Spec, name: str) -> EventTold:
    """One event type.

    Raises: NotFound.
    """
    messages = cast("dict[str, Json]", spec.document["components"]["messages"])
    card = next((one for one in event_cards(spec) if one.name == name), None)
    if card is None:
        raise NotFound("There is no event of this name.")
    payload = resolved(messages[name]["payload"], spec.document)
    parts = cast("list[Json]", payload.get("allOf") or [payload])
    envelope = next((one for one in parts if "$ref" in one), parts[0])
    data: Json = {}
    for part in parts:
        data = cast("Json", resolved(part, spec.document).get("properties", {}).get("data", {})) or data
    given = cast("list[Json]", messages[name].get("examples") or [])
    value = given[0].get("payload") if given else _example(payload, card, data, spec)
    return EventTold(
        name=card.name,
        type=card.type,
        summary=card.summary,
        address=card.address,
        content=card.content,
        data=tree(data, spec.document),
        envelope=tree(envelope, spec.document),
        example=shown(value),
    )


def _example(payload: Json, card: EventCard, data: Json, spec: Spec) -> Any:
    made: Any = example_of(payload, spec.document)
    if isinstance(made, dict):
        return {**cast("dict[str, Any]", made), "type": card.type, "data": example_of(data, spec.document)}
    return made


def _card(spec: Spec, channel: Json) -> EventCard:
    name, reference = next(iter(cast("dict[str, Json]", channel["messages"]).items()))
    message = resolved(reference, spec.document)
    return EventCard(
        name=name,
        type=str(message.get("name", name)),
        summary=str(message.get("summary", message.get("title", name))),
        address=str(channel["address"]),
        content=str(message.get("contentType", spec.document.get("defaultContentType", ""))),
    )
