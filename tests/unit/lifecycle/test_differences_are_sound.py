"""What is called harmless is harmless: held against an independent validator, over made-up schemas and values."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.serving.differences.changes import Flow, Weight
from shared.serving.differences.reading import Tree
from shared.serving.differences.schemas import SchemaComparison

NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["", "x", "xy", "xyz"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from([0.5, 2.5]) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def with_some(base: dict[str, Any], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional).map(lambda told: {**base, **told})


SMALL = st.integers(0, 3)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    with_some(
        {"type": "string"},
        minLength=SMALL,
        maxLength=SMALL,
        enum=st.lists(WORDS, min_size=1, unique=True),
        pattern=st.sampled_from(["^x", "y$"]),
    ),
    with_some({"type": "integer"}, minimum=SMALL, maximum=SMALL, multipleOf=st.just(2)),
    with_some({"type": "number"}, exclusiveMinimum=SMALL, exclusiveMaximum=SMALL),
    st.just({"type": "boolean"}),
    st.just({}),
)


def deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, max_size=3)
    objects = st.builds(
        lambda told, required: {"type": "object", "properties": told, "required": sorted(set(told) & required)},
        properties,
        st.sets(NAMES),
    )
    lists = with_some({"type": "array"}, items=inner, maxItems=SMALL, minItems=SMALL, uniqueItems=st.booleans())
    nullable = inner.map(lambda told: {"anyOf": [told, {"type": "null"}]})
    either = st.tuples(inner, inner).map(lambda two: {"anyOf": list(two)})
    return objects | lists | nullable | either


schemas: st.SearchStrategy[dict[str, Any]] = st.recursive(leaves, deeper, max_leaves=4)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two schemas: more often than by chance the second is the first with a part exchanged."""
    old = draw(schemas)
    return old, draw(st.one_of(schemas, changed(old)))


def changed(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if not schema:
        return schemas
    name = st.sampled_from(sorted(schema))
    return st.one_of(
        name.map(lambda one: {key: told for key, told in schema.items() if key != one}),
        st.tuples(leaves, name).map(lambda two: {**two[0], two[1]: schema[two[1]]}),
        leaves.map(lambda told: {**schema, **{k: v for k, v in told.items() if k != "type"}}),
    )


def closed(schema: Any) -> Any:
    """The same, refusing members it does not know: as our requests do."""
    if isinstance(schema, dict):
        made = {name: closed(told) for name, told in schema.items()}
        return {**made, "additionalProperties": False} if made.get("type") == "object" else made
    return [closed(one) for one in schema] if isinstance(schema, list) else schema


def breaks(old: dict[str, Any], new: dict[str, Any], flow: Flow) -> bool:
    told = SchemaComparison(Tree({}), Tree({}), flow).compare(old, new, "it")
    return any(change.weight is Weight.BREAKING for change in told)


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@QUICK
@given(neighbours(), st.lists(values, min_size=1, max_size=12))
def test_a_request_that_was_accepted_is_accepted_after_a_change_that_breaks_nobody(
    pair: tuple[dict[str, Any], dict[str, Any]], sent: list[Any]
) -> None:
    old, new = closed(pair[0]), closed(pair[1])
    assume(not breaks(old, new, Flow.ASKED))
    assert [value for value in sent if is_valid(value, old) and not is_valid(value, new)] == []


@QUICK
@given(neighbours(), st.lists(values, min_size=1, max_size=12))
def test_an_answer_after_a_change_that_breaks_nobody_is_one_callers_already_understood(
    pair: tuple[dict[str, Any], dict[str, Any]], told: list[Any]
) -> None:
    old, new = pair
    assume(not breaks(old, new, Flow.TOLD))
    assert [value for value in told if is_valid(value, new) and not is_valid(value, old)] == []
