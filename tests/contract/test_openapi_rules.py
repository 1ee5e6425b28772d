"""The rule set of the API documents: nothing is found in ours, and each rule fires on a document that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.openapi_rules.lint import RULES, findings_of
from deploy.openapi_rules.rule import Kind
from shared.serving.app import TierApp
from shared.serving.exports import export_documents, export_events

Change = Callable[[dict[str, Any]], None]
LIST, READ, MAKE = "/deals/v1/deals", "/deals/v1/deals/{deal_id}", "/deals/v1/deals"


@cache
def good() -> dict[str, Any]:
    """A small document without a finding."""
    return yaml.safe_load((Path(__file__).parent / "good_document.yaml").read_text(encoding="utf-8"))


@cache
def good_events() -> dict[str, Any]:
    """Our own event document."""
    return yaml.safe_load(export_events()["events.v1.yaml"])


def at(document: dict[str, Any], *path: str) -> Any:
    node: Any = document
    for part in path:
        node = node[part]
    return node


def put(*path: str, value: Any) -> Change:
    """Set a member."""

    def change(document: dict[str, Any]) -> None:
        at(document, *path[:-1])[path[-1]] = value

    return change


def drop(*path: str) -> Change:
    """Take a member out."""

    def change(document: dict[str, Any]) -> None:
        del at(document, *path[:-1])[path[-1]]

    return change


DEAL = ("components", "schemas", "Deal")
ORDER = ("components", "schemas", "DealOrder")
BODY = ("paths", MAKE, "post", "requestBody")
BROKEN: dict[str, Change] = {
    "openapi-version": put("openapi", value="3.0.3"),
    "info-complete": drop("info", "contact"),
    "tags-described": put("tags", value=[{"name": "deals"}]),
    "path-words": lambda document: document["paths"].update({"/deals/v1/bigDeals": document["paths"].pop(READ)}),
    "path-plurals": lambda document: document["paths"].update(
        {"/deals/v1/deal/{deal_id}": document["paths"].pop(READ)}
    ),
    "references-lead-somewhere": put(
        "components", "schemas", "DealPage", "properties", "items", "items", value={"$ref": "#/no"}
    ),
    "components-used": put("components", "schemas", "Spare", value={"type": "object", "description": "Unused."}),
    "operation-id": put("paths", READ, "get", "operationId", value="listDeals"),
    "operation-tag": put("paths", READ, "get", "tags", value=["deals", "more"]),
    "operation-summary": put("paths", READ, "get", "summary", value="Reads a deal."),
    "operation-description": put("paths", READ, "get", "description", value="Read a deal"),
    "operation-security": drop("paths", READ, "get", "security"),
    "parameter-described": put(
        "paths", READ, "get", "parameters", value=[{"name": "deal_id", "in": "path", "schema": {}}]
    ),
    "parameter-words": put("paths", READ, "get", "parameters", value=[{"name": "dealId", "in": "path", "schema": {}}]),
    "list-pages": put("paths", LIST, "get", "parameters", value=[]),
    "creation-keys": put("paths", MAKE, "post", "parameters", value=[]),
    "body-shown": drop(*BODY, "content", "application/json", "examples"),
    "body-closed": drop(*ORDER, "additionalProperties"),
    "answer-shown": put("paths", READ, "get", "responses", "200", "description", value="Successful Response"),
    "no-bare-arrays": put(*BODY, "content", "application/json", "schema", value={"type": "array", "maxItems": 2}),
    "problems": drop("paths", READ, "get", "responses", "429"),
    "headers-told": drop("paths", READ, "get", "responses", "200", "headers", "RateLimit"),
    "schema-described": drop(*DEAL, "description"),
    "property-described": put(*DEAL, "properties", "customer_id", "description", value="The customer's id."),
    "property-shown": drop(*DEAL, "properties", "name", "examples"),
    "property-words": put(*DEAL, "properties", "dealName", value={"type": "string"}),
    "strings-bounded": drop(*DEAL, "properties", "name", "maxLength"),
    "arrays-bounded": drop("components", "schemas", "DealPage", "properties", "items", "maxItems"),
    "numbers-bounded": drop(*DEAL, "properties", "revision", "maximum"),
    "maps-bounded": put(*DEAL, "properties", "labels", value={"type": "object", "additionalProperties": True}),
    "money": put(*DEAL, "properties", "amount", value={"type": "string", "maxLength": 20}),
    "numbers-exact": put(*DEAL, "properties", "hours", value={"type": "number", "minimum": 0, "maximum": 24}),
    "dates": put(*DEAL, "properties", "won_on", "format", value="date-time"),
    "examples-valid": put(*DEAL, "properties", "revision", "examples", value=["one"]),
}
MESSAGE = ("components", "messages", "InvoicePosted")
SCHEMA = ("components", "schemas", "InvoicePosted", "properties")
PAYMENT = ("components", "schemas", "Payment", "properties")
BROKEN_EVENTS: dict[str, Change] = {
    "event-info": drop("info", "license"),
    "event-channels": drop("channels", "InvoicePosted", "description"),
    "event-messages": drop(*MESSAGE, "examples"),
    "event-operations": lambda document: next(iter(document["operations"].values())).update(action="look"),
    "event-references": put("channels", "InvoicePosted", "messages", value={"InvoicePosted": {"$ref": "#/no"}}),
    "event-schema-described": drop("components", "schemas", "InvoicePosted", "description"),
    "event-property-described": drop(*SCHEMA, "period", "description"),
    "event-property-shown": drop(*SCHEMA, "period", "examples"),
    "event-strings-bounded": put(*SCHEMA, "note", value={"type": "string"}),
    "event-arrays-bounded": drop(*PAYMENT, "applications", "maxItems"),
    "event-numbers-bounded": put(*SCHEMA, "count", value={"type": "integer"}),
    "event-maps-bounded": put(*SCHEMA, "labels", value={"type": "object"}),
    "event-money": put(*SCHEMA, "net", value={"type": "string", "maxLength": 20}),
    "event-numbers-exact": put(*SCHEMA, "hours", value={"type": "number", "minimum": 0, "maximum": 24}),
    "event-dates": put(*PAYMENT, "received_on", "format", value="date-time"),
    "event-property-words": put(*SCHEMA, "invoiceNumber", value={"type": "string", "maxLength": 9}),
    "event-examples-valid": put(*SCHEMA, "period", "examples", value=["October"]),
}


def fired(document: dict[str, Any], change: Change) -> set[str]:
    broken = copy.deepcopy(document)
    change(broken)
    return {finding.rule for finding in findings_of("broken.yaml", broken)}


def test_the_good_documents_have_no_finding() -> None:
    assert findings_of("good.yaml", good()) == []
    assert findings_of("events.v1.yaml", good_events()) == []


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_the_rule_fires_on_an_api_that_breaks_it(rule: str) -> None:
    assert rule in fired(good(), BROKEN[rule])


@pytest.mark.parametrize("rule", sorted(BROKEN_EVENTS))
def test_the_rule_fires_on_events_that_break_it(rule: str) -> None:
    assert rule in fired(good_events(), BROKEN_EVENTS[rule])


def test_no_rule_is_without_a_document_that_breaks_it() -> None:
    by_kind = {kind: {rule.id for rule in RULES.rules if rule.kind is kind} for kind in Kind}
    assert by_kind == {Kind.OPENAPI: set(BROKEN), Kind.ASYNCAPI: set(BROKEN_EVENTS)}


def test_our_documents_have_no_finding_and_are_valid_3_1(tier: TierApp) -> None:
    for name, text in export_documents(tier, tier.gateway_tier).items():
        document: Any = yaml.load(text, Loader=yaml.CSafeLoader)
        assert [str(finding) for finding in findings_of(name, document)] == []
        OpenAPIV31SpecValidator(document).validate()


def test_what_a_tier_serves_as_its_document_has_no_finding_either(tier: TierApp) -> None:
    assert [str(finding) for finding in findings_of("openapi.json", tier.openapi())] == []
