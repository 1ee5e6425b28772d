"""The rule about examples: each is valid against the schema it stands at; needs a JSON Schema library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.openapi_rules.reading import Document, escaped
from deploy.openapi_rules.rule import Fault, Kind
from deploy.openapi_rules.rules import RULES


@RULES.rule("examples-valid", "Every example is valid against its schema.")
def examples_valid(document: Document) -> Iterator[Fault]:
    """JSON Schema 2020-12 with formats."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - takes a third of a second; other rules need not wait

    def faults(place: str, schema: dict[str, Any], value: Any) -> Iterator[Fault]:
        whole = {"$schema": Draft202012Validator.META_SCHEMA["$id"], **_rooted(schema), "components": components}
        checker: Any = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for error in list(checker.iter_errors(value))[:3]:
            at = "/".join(map(str, error.absolute_path))
            yield place, f"{at or 'the example'}: {error.message[:160]}"

    components = document.content.get("components", {})
    for node in document.nodes:
        for at, value in enumerate(node.schema.get("examples", ())):
            yield from faults(f"{node.place}/examples/{at}", node.schema, value)
    for place, holder in document.holders():
        schema = holder.get("schema", {})
        for name, one in holder.get("examples", {}).items():
            if "value" in document.resolved(one):
                yield from faults(f"{place}/examples/{escaped(name)}", schema, document.resolved(one)["value"])
        if "example" in holder:
            yield from faults(f"{place}/example", schema, holder["example"])


RULES.rule("event-examples-valid", "Every example is valid against its schema.", kind=Kind.ASYNCAPI)(examples_valid)


def _rooted(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references kept: `#/components/…` resolves against the whole it is put into."""
    return schema if "$ref" not in schema or len(schema) == 1 else {"allOf": [{"$ref": schema["$ref"]}]}
