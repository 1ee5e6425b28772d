"""Shapes an operation for its page: parameters, body, answers, samples, the fields of its form; documents enter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from experience_apis.developer.catalog import Edition, Shelf
from experience_apis.developer.examples import example_of
from experience_apis.developer.samples import LANGUAGES, Call, placed, sample
from experience_apis.developer.schemas import Node, tree
from experience_apis.developer.specs import Json, Operation, resolved
from shared.gateway.plans import Plan
from shared.gateway.switchboard import path_shape

_PLACES = ("path", "query", "header")
_FORM = "application/x-www-form-urlencoded"
_KEY = "idempotency-key"
_LEAST_REFUSAL = 400
_LONGEST_EXAMPLE = 6000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long an operation lets callers ask."""

    plans: Mapping[str, Plan]
    counted: str
    max_bytes: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Input:
    """A field of the form that tries an operation."""

    place: str
    name: str
    is_required: bool
    value: str
    example: str
    values: tuple[str, ...]
    is_key: bool


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries."""

    kind: str
    told: str
    is_required: bool
    node: Node
    example: str
    value: Any


@dataclass(frozen=True, slots=True)
class HeaderTold:
    """A header of an answer."""

    name: str
    told: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of an operation."""

    status: str
    told: str
    node: Node | None
    example: str
    headers: tuple[HeaderTold, ...]


def operation_facts(edition: Edition, operation: Operation, shelf: Shelf, address: str) -> Mapping[str, Any]:
    """Everything the page of an operation shows."""
    assert edition.spec is not None  # noqa: S101 - it has an operation
    document = edition.spec.document
    parameters = operation.parameters(document)
    nodes = [(str(one["in"]), _node_of(one, document)) for one in parameters]
    body = _body(operation, document)
    answers = [_answer(status, one, document) for status, one in _responses(operation)]
    return {
        "parameters": [(p, [node for place, node in nodes if place == p]) for p in _PLACES if _has(nodes, p)],
        "body": body,
        "answers": [one for one in answers if not _is_problem(one)],
        "masks": operation.told.get("x-masked-unless-scope", {}),
        "problems": [one for one in answers if _is_problem(one)],
        "inputs": [_input(one, document) for one in parameters],
        "samples": _samples(edition, operation, parameters, body, address),
        "limits": limits_of(shelf, edition.api.tier, operation),
    }


def limits_of(shelf: Shelf, tier: str, operation: Operation) -> Limits:
    """The limits of an operation: its own where its document sets any, else those of its version and tier."""
    declared = shelf.declared.get((tier, operation.method, path_shape(operation.path)))
    if declared is None:
        return Limits(shelf.asked_plans, "client", None, None)
    rate, size, deadline = declared.policies.rate_limit, declared.policies.size_limit, declared.policies.deadline
    plans = shelf.asked_plans
    if rate is not None and rate.plan is not None:
        plans = {rate.plan: shelf.plans[rate.plan]}
    own = {name: windows for name, one in declared.plans.items() if (windows := one.rate_limit) is not None}
    return Limits(
        plans={
            name: plan.model_copy(update={"windows": own[name].windows if name in own else plan.windows})
            for name, plan in plans.items()
        },
        counted=rate.count_per if rate is not None else "nobody",
        max_bytes=size.max_bytes if size is not None else None,
        seconds=deadline.seconds if deadline is not None else None,
    )


def groups(operations: Sequence[Operation]) -> list[tuple[str, list[Operation]]]:
    """Operations by their tag, in order of appearance."""
    found: dict[str, list[Operation]] = {}
    for one in operations:
        found.setdefault(one.tag, []).append(one)
    return list(found.items())


def schema_facts(schema: Json, document: Json) -> tuple[Node, str]:
    """A schema as a tree, and an example of it."""
    return tree(schema, document), shown(example_of(schema, document))


def shown(value: Any) -> str:
    """A value as people read JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE].rsplit(chr(10), 1)[0]}\n…"


def _has(nodes: Iterable[tuple[str, Node]], place: str) -> bool:
    return any(one == place for one, _ in nodes)


def _is_problem(answer: Answer) -> bool:
    return answer.status.isdigit() and int(answer.status) >= _LEAST_REFUSAL


def _responses(operation: Operation) -> Iterable[tuple[str, Json]]:
    return cast("dict[str, Json]", operation.told.get("responses", {})).items()


def _node_of(parameter: Json, document: Json) -> Node:
    schema = {**parameter.get("schema", {}), "description": parameter.get("description", "")}
    if not schema.get("examples") and (given := _given(parameter)):
        schema["examples"] = [given]
    return tree(schema, document, name=str(parameter["name"]), is_required=bool(parameter.get("required", False)))


def _given(parameter: Json) -> Any:
    examples = cast("dict[str, Json]", parameter.get("examples") or {})
    return parameter.get("example") or next((one.get("value") for one in examples.values()), None)


def _body(operation: Operation, document: Json) -> Body | None:
    if "requestBody" not in operation.told:
        return None
    told = resolved(operation.told["requestBody"], document)
    kind, content = next(iter(cast("dict[str, Json]", told["content"]).items()))
    schema = content.get("schema", {})
    value = _given(content) or example_of(schema, document)
    if kind == _FORM and isinstance(value, dict):
        required = set(resolved(schema, document).get("required", ()))
        value = {name: one for name, one in cast("dict[str, Any]", value).items() if name in required}
    return Body(
        kind=kind,
        told=str(told.get("description", "")),
        is_required=bool(told.get("required", False)),
        node=tree(schema, document),
        example=shown(value),
        value=value,
    )


def _answer(status: str, told: Json, document: Json) -> Answer:
    told = resolved(told, document)
    content = next(iter(cast("dict[str, Json]", told.get("content", {})).values()), None)
    headers = cast("dict[str, Json]", told.get("headers", {}))
    is_good = content is not None and not (status.isdigit() and int(status) >= _LEAST_REFUSAL)
    schema: Json = content.get("schema", {}) if content else {}
    given = _given(content) if content else None
    return Answer(
        status=status,
        told=str(told.get("description", "")),
        node=tree(schema, document) if is_good else None,
        example=shown(given if given is not None else example_of(schema, document)) if is_good else "",
        headers=tuple(
            HeaderTold(name, str(resolved(one, document).get("description", ""))) for name, one in headers.items()
        ),
    )


def _input(parameter: Json, document: Json) -> Input:
    node = _node_of(parameter, document)
    is_key = str(parameter["name"]).lower() == _KEY
    example = node.example or _text(example_of(parameter.get("schema", {}), document))
    return Input(
        place=str(parameter["in"]),
        name=str(parameter["name"]),
        is_required=node.is_required,
        value=example if node.is_required and not is_key else "",
        example="" if is_key else example,
        values=node.values if node.values and len(node.values) > 1 else (),
        is_key=is_key,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _samples(
    edition: Edition, operation: Operation, parameters: Sequence[Json], body: Body | None, address: str
) -> list[tuple[str, str, str, str]]:
    assert edition.spec is not None  # noqa: S101 - it has an operation
    document = edition.spec.document
    inputs = {(str(one["in"]), str(one["name"])): _input(one, document) for one in parameters}
    needed = [one for one in inputs.values() if one.is_required or one.is_key]
    call = Call(
        base=address if edition.can_be_tried else f"https://{edition.api.tier}.internal",
        method=operation.method,
        path=placed(operation.path, {one.name: one.value for one in needed if one.place == "path"}),
        query=tuple((one.name, one.value) for one in needed if one.place == "query"),
        headers=tuple(
            (one.name, one.value or "7f3c1c52-6f0e-4ac9-9c39-5c9a4f3f2a10") for one in needed if one.place == "header"
        ),
        body=body.value if body else None,
        form=body is not None and body.kind == _FORM,
        is_public=not operation.scopes,
    )
    return [(key, name, sample(call, key), lexer) for key, name, lexer in LANGUAGES]
