"""Rules over several fields, which no JSON Schema can tell, laid over what schemathesis makes up; only data enters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from shared.canonical.money import minor_digits, rounded
from tests.factories.little_deals import LEGAL_ENTITIES, SERVICE_ITEMS

TENANT = "harbour"
ENTITY, CURRENCY = LEGAL_ENTITIES[0]["code"], LEGAL_ENTITIES[0]["currency"]
ITEM = SERVICE_ITEMS[0]["item_code"]
_LARGEST = Decimal(10) ** 9
_NOT_KEPT = re.compile(r"[^A-Za-z0-9_-]")

Body = dict[str, Any]


def obey(path: str, body: Any, path_parameters: dict[str, Any]) -> None:
    """Change a generated body and its path so that they keep the rules of the operation."""
    for money in _moneys(body):
        _fit_the_currency(money)
    if not isinstance(body, dict):
        return
    _name_what_the_erp_has(body)
    rule = _RULES.get(path)
    if rule is not None:
        rule(body, path_parameters)


def _moneys(node: Any) -> Iterator[Body]:
    if isinstance(node, dict):
        if node.keys() == {"amount", "currency"}:
            yield node
        for value in node.values():
            yield from _moneys(value)
    elif isinstance(node, list):
        for value in node:
            yield from _moneys(value)


def _fit_the_currency(money: Body) -> None:
    """An amount has at most the digits its currency knows."""
    money["amount"] = format(rounded(Decimal(money["amount"]) % _LARGEST, money["currency"]), "f")


def _name_what_the_erp_has(node: Any) -> None:
    """Codes name a legal entity and a service item that the ERP holds; its currency is used throughout."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "legal_entity_code" and value is not None:
                node[name] = ENTITY
            elif name == "item_code":
                node[name] = ITEM
            else:
                _name_what_the_erp_has(value)
    elif isinstance(node, list):
        for value in node:
            _name_what_the_erp_has(value)


def _same_id(*members: str) -> Callable[[Body, Body], None]:
    """The id in the body is the one in the path, and one that the ERP can keep."""

    def rule(body: Body, path_parameters: Body) -> None:
        name = list(path_parameters)[-1]
        kept = _NOT_KEPT.sub("-", str(path_parameters[name]))[:100]
        path_parameters[name] = kept
        holder = body
        for member in members[:-1]:
            holder = holder[member]
        holder[members[-1]] = kept

    return rule


def _customer(body: Body, path_parameters: Body) -> None:
    _same_id("customer", "id")(body, path_parameters)
    body["customer"]["tenant"] = TENANT


def _one_currency(body: Body, path_parameters: Body) -> None:
    _same_id("id")(body, path_parameters)
    currency = CURRENCY
    for money in _moneys(body):
        money["currency"] = currency
        _fit_the_currency(money)
    if "currency" in body:
        body["currency"] = currency
    for name in ("workstreams", "lines", "entries"):
        _keep_ids(body.get(name, []))


def _keep_ids(rows: list[Body]) -> None:
    """Ids of parts are different from each other, and such that the ERP can keep them."""
    for at, row in enumerate(rows):
        for name in ("id", "workstream_id", "milestone_id"):
            if isinstance(row.get(name), str):
                row[name] = f"{_NOT_KEPT.sub('-', row[name])[:80]}-{at}"
        _keep_ids(row.get("milestones", []))


def _small_project(body: Body, path_parameters: Body) -> None:
    """One of two projects with one workstream and milestone: the PSA is asked dozens of times for a large one."""
    name = list(path_parameters)[-1]
    path_parameters[name] = f"prj-fuzz-{len(str(path_parameters[name])) % 2}"
    body["workstreams"] = body["workstreams"][:1]
    for row in body["workstreams"]:
        row["id"] = "wks-fuzz"
        row["milestones"] = row.get("milestones", [])[:1]
    _one_currency(body, path_parameters)


def _draft(body: Body, path_parameters: Body) -> None:
    """Net is the sum of the lines, gross is net plus tax, all in one currency."""
    _one_currency(body, path_parameters)
    currency = body["currency"]
    net = sum((Decimal(line["net"]["amount"]) for line in body["lines"]), Decimal(0))
    tax = Decimal(body["tax"]["amount"])
    digits = minor_digits(currency)
    body["net"]["amount"] = format(net.quantize(Decimal(1).scaleb(-digits)), "f")
    body["gross"]["amount"] = format((net + tax).quantize(Decimal(1).scaleb(-digits)), "f")


def _reachable(body: Body, path_parameters: Body) -> None:  # noqa: ARG001 - every rule takes both
    """Names of hosts are looked up: an address of this machine needs no look-up."""
    if isinstance(body.get("url"), str):
        body["url"] = "https://127.0.0.1:9/hooks"


def _lately(body: Body, path_parameters: Body) -> None:  # noqa: ARG001 - every rule takes both
    """Facts are kept for thirty days."""
    now = datetime.now(UTC)
    body["since"] = (now - timedelta(days=2)).isoformat()
    if body.get("until") is not None:
        body["until"] = (now - timedelta(days=1)).isoformat()


def _readable_contact(body: Body, _: Body) -> None:
    """NUL is refused in every text; the published pattern of this one does not say so and may not change within v1."""
    if isinstance(body.get("contact"), str):
        body["contact"] = body["contact"].replace("\x00", "n")


_RULES: dict[str, Callable[[Body, Body], None]] = {
    "/erp/v1/customers/{customer_id}": _customer,
    "/erp/v1/projects/{project_id}": _one_currency,
    "/erp/v1/contracts/{contract_id}": _one_currency,
    "/erp/v1/billing-schedules/{schedule_id}": _one_currency,
    "/erp/v1/invoices/{invoice_id}": _draft,
    "/psa/v1/projects/{project_id}": _small_project,
    "/clients/v1/clients": _readable_contact,
    "/webhooks/v1/endpoints": _reachable,
    "/webhooks/v1/endpoints/{endpoint_id}": _reachable,
    "/webhooks/v1/endpoints/{endpoint_id}/recoveries": _lately,
    "/psa/v1/billing-marks/{invoice_id}": _same_id("invoice_id"),
}
