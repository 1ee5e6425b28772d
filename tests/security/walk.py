"""Walks what the policy documents declare: ids of a tenant's own for every path, bodies from the published examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, cast

from shared.gateway.document import Operation
from tests.security.firms import MARKS
from tests.security.house import OURS, House, Served, body_of

PARAMETER = re.compile(r"\{([^}]*)\}")
# Where ids come from when no declared list stands before the parameter: (list, member of its items).
SOURCES: dict[str, tuple[str, str]] = {
    "/journeys/v1/opportunities/{id}": ("/quote-to-project/v1/runs", "opportunity_id"),
    "/pmo/v1/journeys/{opportunity_id}": ("/pmo/v1/board", "opportunity_id"),
    "/pmo/v1/deals/{opportunity_id}": ("/pmo/v1/board", "opportunity_id"),
}
NAMED = ("id", "run_id", "name", "client_id", "opportunity_id", "invoice_id", "project_id")
# Records no list shows; made by the house under names of its own, or kept by the engine.
MADE: dict[str, str] = {
    "/psa/v1/projects/{project_id}": "prj_{mark}",
    "/psa/v1/billing-marks/{invoice_id}": "inv_{mark}",
    "/erp/v1/customers/{customer_id}": "cus_{mark}",
    "/erp/v1/projects/{project_id}": "prj_{mark}",
    "/erp/v1/contracts/{contract_id}": "con_{mark}",
    "/erp/v1/billing-schedules/{schedule_id}": "bs-con_{mark}",
    "/erp/v1/invoices/{invoice_id}": "inv_{mark}",
    "/crm/v1/opportunities/{opportunity_id}/invoices/{invoice_id}": "inv_{mark}",
}
STATEMENTS = {
    "/invoice-to-cash/v1/runs/{run_id}": (
        "SELECT split_part(workflow_uuid, ':', 3) FROM dbos.workflow_status"
        " WHERE workflow_uuid LIKE 'invoice-to-cash:' || %s || ':collect-%%'"
    ),
}
# Lists that speak of the caller's own token, or that only tiers may read, and of whom they tell.
NO_LISTS = {
    "/oauth/userinfo": "speaks of the person of the token",
    "/oauth/revocations": "told to the tiers themselves, which serve every tenant; no other client may ask for it",
}


def parameters(operation: Operation) -> list[str]:
    """Names of its path parameters."""
    return PARAMETER.findall(operation.path)


def lists(tier: Served) -> list[Operation]:
    """Guarded reads without a path parameter."""
    reads = [one for one in tier.guarded if one.method == "GET" and not parameters(one)]
    return [one for one in reads if one.path not in NO_LISTS]


def parts(value: Any) -> list[tuple[str, Any]]:
    """Members of an object, or items of an array under no name."""
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).items())
    return [("", one) for one in cast("list[Any]", value)] if isinstance(value, list) else []


def strings(value: Any) -> Iterator[str]:
    """Every text in an answer."""
    if isinstance(value, str):
        yield value
    for _, inner in parts(value):
        yield from strings(inner)


def ids(value: Any) -> Iterator[tuple[str, str]]:
    """(member, text) of everything in an answer that is named like an id."""
    for name, inner in parts(value):
        if isinstance(inner, str) and (name == "id" or name.endswith("_id")):
            yield name, inner
        else:
            yield from ids(inner)


async def seen(house: House, tier: Served, tenant: str) -> dict[str, Any]:
    """What the tenant's caller reads at every list of the tier, by path; read once."""
    if (tier.name, tenant) in house.read:
        return house.read[tier.name, tenant]
    found: dict[str, Any] = {}
    for operation in lists(tier):
        answer = await house.ask(tier.name, "GET", operation.path, tenant=tenant)
        assert answer.status_code == 200, f"{operation.name}: {answer.status_code} {answer.text[:300]}"
        found[operation.path] = body_of(answer)
    house.read[tier.name, tenant] = found
    return found


def filled(path: str, values: dict[str, str]) -> str:
    """The path with ids in it."""
    return PARAMETER.sub(lambda match: values[match[1]], path)


class Ids:
    """Ids of one tenant's records at one tier, for any path that takes some."""

    def __init__(self, house: House, tier: Served, told: dict[str, Any], tenant: str = OURS) -> None:
        self.house, self.tier, self.told, self.tenant = house, tier, told, tenant
        self.by_member: dict[str, list[str]] = {}
        for member, value in ids(list(told.values())):
            self.by_member.setdefault(member, []).append(value)

    async def paths(self, operation: Operation) -> list[str]:
        """The operation's path with ids the tenant has; none when the tenant has nothing of the kind."""
        ready = [""]
        pattern = ""
        for segment in operation.path.strip("/").split("/"):
            values = await self._values(f"{pattern}/{segment}", ready) if segment.startswith("{") else None
            ready = [f"{one}/{segment}" for one in ready] if values is None else values
            pattern = f"{pattern}/{segment}"
        return ready

    async def _values(self, pattern: str, ready: list[str]) -> list[str]:
        if pattern in MADE:
            return [f"{one}/{MADE[pattern].format(mark=MARKS[self.tenant])}" for one in ready]
        source, member = SOURCES.get(pattern, (pattern.rpartition("/")[0], ""))
        if source in self.told:
            return [f"{ready[0]}/{value}" for value in _members(self.told[source], pattern, member)]
        if pattern in STATEMENTS:
            rows = self.house.ask_database(self.tier.name, STATEMENTS[pattern], self.tenant)
            return [f"{ready[0]}/{row[0]}" for row in rows]
        found: list[str] = []
        for one in ready:  # a list below a record
            answer = await self.house.ask(self.tier.name, "GET", one, tenant=self.tenant)
            if answer.status_code == 200:
                found += [f"{one}/{value}" for value in _members(body_of(answer), pattern, member)]
        return found

    def body(self, schema_example: Any) -> Any:
        """An example with the tenant's own ids in the place of the example's."""
        made = deepcopy(schema_example)
        self._put_in(made)
        return made

    def _put_in(self, value: Any) -> None:
        for name, inner in parts(value):
            if isinstance(inner, str) and name in self.by_member:
                value[name] = self.by_member[name][0]
            elif isinstance(inner, list) and name.endswith("_ids") and name[:-1] in self.by_member:
                value[name] = self.by_member[name[:-1]][:2]
            else:
                self._put_in(inner)


def _members(told: Any, pattern: str, member: str) -> list[str]:
    parameter = PARAMETER.findall(pattern)[-1]
    rows = cast("list[dict[str, Any]]", dict(parts(told)).get("items", []))
    names = (member,) if member else (parameter, *NAMED)
    found = [next((row[name] for name in names if isinstance(row.get(name), str)), None) for row in rows]
    return [one for one in found if one is not None]


def resolved(document: dict[str, Any], schema: Any) -> dict[str, Any]:
    """A schema with its reference followed."""
    found = dict(parts(schema))
    while "$ref" in found:
        found = dict(parts(document["components"]["schemas"][found["$ref"].rpartition("/")[2]]))
    return found


def described(tier: Served, operation: Operation) -> dict[str, Any]:
    """The operation in the tier's own document, {} for pages."""
    plain = PARAMETER.sub("{}", operation.path)
    for path, item in tier.app.openapi()["paths"].items():
        if PARAMETER.sub("{}", path) == plain and operation.method.lower() in item:
            found: dict[str, Any] = item[operation.method.lower()]
            return found
    return {}


def json_body(tier: Served, operation: Operation) -> tuple[dict[str, Any], Any] | None:
    """Schema and published example of the JSON body, or None when it takes none."""
    content = described(tier, operation).get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    document = tier.app.openapi()
    schema = resolved(document, content["schema"])
    for one in schema.get("anyOf", []):
        schema = resolved(document, one) if resolved(document, one).get("properties") else schema
    examples = content.get("examples")
    example = next(iter(examples.values()))["value"] if examples else content.get("example", {})
    return schema, example
