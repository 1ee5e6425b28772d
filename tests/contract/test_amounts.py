"""Who may not see amounts is told none: neither by a field that nobody masked nor by a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
MONEY = "#/components/schemas/Money"
ROLES = yaml.safe_load((ROOT / "experience_apis/identity/roles.yaml").read_text("utf-8"))["roles"]


def money_at(schema: dict[str, Any], components: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where the schema tells money, as masks name places."""
    if schema.get("$ref") == MONEY:
        yield place
    elif "$ref" in schema:
        yield from money_at(components[schema["$ref"].rpartition("/")[2]], components, place)
    for choice in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(choice, ()):
            yield from money_at(one, components, place)
    if isinstance(schema.get("items"), dict):
        yield from money_at(schema["items"], components, f"{place}[]")
    for name, one in schema.get("properties", {}).items():
        yield from money_at(one, components, f"{place}.{name}".removeprefix("."))


def readable(scopes: set[str]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every operation of the experience tier that a token with these scopes may call, with its components."""
    for file in sorted((ROOT / "openapi").glob("experience-*.yaml")):
        document = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
        for path, item in document["paths"].items():
            for method, operation in item.items():
                asked = [set(needed) for one in operation.get("security", ()) for needed in one.values()]
                if any(one and one <= scopes for one in asked):
                    yield f"{method.upper()} {path}", operation, document["components"]


def test_a_role_without_amounts_finds_every_amount_masked_wherever_it_may_read() -> None:
    blind = {name for name, role in ROLES.items() if "Sees no amounts" in role["description"]}
    assert blind == {"operator"}
    looked_at: list[str] = []
    shown: list[str] = []
    for name in blind:
        scopes = set(ROLES[name]["scopes"])
        assert "amounts.read" not in scopes
        for operation, told, components in readable(scopes):
            masks = cast("dict[str, Any]", told.get("x-masked-unless-scope", {}))
            for status, answer in told["responses"].items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                if status.startswith("2"):
                    places = set(money_at(schema, components["schemas"]))
                    looked_at += [f"{operation} {one}" for one in places]
                    hidden = {one for one, mask in masks.items() if mask["scope"] == "amounts.read"}
                    shown += [f"{name}: {operation} {one}" for one in sorted(places - hidden)]
    assert len(looked_at) > 10
    assert not shown
