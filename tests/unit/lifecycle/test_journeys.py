"""Journeys are checked before they are walked, and walked as Arazzo says: judged, repeated, branched."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.local.journeys.arazzo import JourneyRefused
from deploy.local.journeys.checking import checked, missing_inputs
from deploy.local.journeys.command import app
from deploy.local.journeys.conditions import NOTHING, ConditionUnreadable, holds
from deploy.local.journeys.expressions import Answer, Scope, pointed
from deploy.local.journeys.jsonpath import found
from deploy.local.journeys.walking import JourneyFailed, Outcome, Walker

from .small_documents import OPENAPI, Node

ARAZZO = Path(__file__).parents[3] / "openapi" / "arazzo"
PUT = "$sourceDescriptions.boats.putBoat"
JOURNEY: Node = {
    "arazzo": "1.0.1",
    "info": {"title": "Boats", "version": "1.0.0"},
    "sourceDescriptions": [{"name": "boats", "url": "experience-boats.v1.yaml", "type": "openapi"}],
    "workflows": [
        {
            "workflowId": "keepBoat",
            "summary": "Keeps a boat.",
            "description": "Keeps it.",
            "inputs": {
                "type": "object",
                "required": ["boat"],
                "properties": {"boat": {"type": "string"}, "color": {"type": "string"}},
            },
            "steps": [
                {
                    "stepId": "keep",
                    "description": "Keeps it.",
                    "operationId": PUT,
                    "parameters": [{"name": "boat_id", "in": "path", "value": "$inputs.boat"}],
                    "requestBody": {"contentType": "application/json", "payload": {"name": "The {$inputs.boat}"}},
                    "successCriteria": [{"condition": "$statusCode == 200 && $response.body#/name != null"}],
                    "onFailure": [
                        {
                            "name": "wait",
                            "type": "retry",
                            "retryLimit": 2,
                            "criteria": [{"condition": "$statusCode == 404"}],
                        }
                    ],
                    "outputs": {"name": "$response.body#/name"},
                },
                {
                    "stepId": "look",
                    "description": "Looks again.",
                    "operationId": PUT,
                    "parameters": [{"name": "boat_id", "in": "path", "value": "$steps.keep.outputs.name"}],
                    "successCriteria": [
                        {"context": "$response.body#/kind", "type": "regex", "condition": "^(sail|motor)$"},
                        {"context": "$response.body", "type": "jsonpath", "condition": "$.next[?@.name == 'x']"},
                    ],
                    "onSuccess": [
                        {
                            "name": "again",
                            "type": "goto",
                            "stepId": "look",
                            "criteria": [{"condition": "$response.body#/depth < 2"}],
                        },
                        {"name": "done", "type": "end"},
                    ],
                },
            ],
            "outputs": {"name": "$steps.keep.outputs.name"},
        }
    ],
}


def written(folder: Path, change: Any = None) -> Path:
    document = copy.deepcopy(JOURNEY)
    if change is not None:
        change(document["workflows"][0])
    (folder / "experience-boats.v1.yaml").write_text(yaml.safe_dump(OPENAPI), encoding="utf-8")
    path = folder / "journey.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


async def walk(
    path: Path, answers: list[tuple[int, Any]], *, after: int | None = None, **inputs: str
) -> tuple[Outcome, list[httpx.Request]]:
    """The journey in a house that gives these answers, one after the other."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, body = answers.pop(0)
        return httpx.Response(status, json=body, headers={"Retry-After": str(after)} if after is not None else {})

    document, operations, findings = checked(path)
    assert findings == []
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        walker = Walker(document.workflows[0], operations, addresses={"experience": "http://x"}, http=http)
        return await walker.walk(inputs), asked


BOAT = {"name": "Ada", "kind": "sail", "depth": 2, "next": [{"name": "x"}]}


async def test_a_journey_sends_what_it_says_repeats_what_failed_and_branches(tmp_path: Path) -> None:
    answers = [(404, {"code": "not_found"}), (200, {**BOAT}), (200, {**BOAT, "depth": 1}), (200, {**BOAT})]
    outcome, asked = await walk(written(tmp_path), answers, boat="a/b")
    assert outcome.outputs == {"name": "Ada"}
    assert [(one.step, one.attempts) for one in outcome.steps] == [("keep", 2), ("look", 1), ("look", 1)]
    assert asked[0].url.raw_path == b"/boats/v1/boats/a%2Fb"
    assert json.loads(asked[0].content) == {"name": "The a/b"}
    assert asked[2].url.path == "/boats/v1/boats/Ada"


async def test_a_repeat_waits_as_long_as_the_answer_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("deploy.local.journeys.walking.asyncio.sleep", sleep)
    await walk(written(tmp_path), [(404, {}), (200, BOAT), (200, BOAT)], after=3, boat="a")
    await walk(written(tmp_path), [(404, {}), (200, BOAT), (200, BOAT)], boat="a")
    assert waited == [3.0, 0.0]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([(404, {})] * 3, "keep: answered 404 after 3 attempts, wanted: $statusCode == 200"),
        ([(500, {})], "keep: answered 500 after 1 attempts"),
        ([(200, BOAT), (200, {**BOAT, "kind": "raft"})], "look: answered 200"),
        ([(200, BOAT), (200, {**BOAT, "next": []})], "$.next[?@.name == 'x']"),
    ],
)
async def test_a_journey_that_cannot_go_on_says_where_and_why(
    tmp_path: Path, answers: list[tuple[int, Any]], told: str
) -> None:
    with pytest.raises(JourneyFailed) as failed:
        await walk(written(tmp_path), list(answers), boat="a")
    assert told in str(failed.value)


def step(number: int, **told: Any) -> Any:
    return lambda flow: flow["steps"][number].update(told)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (step(0, operationId="$sourceDescriptions.boats.sinkBoat"), "there is no operation"),
        (step(0, parameters=[]), "the path parameter boat_id must be sent"),
        (step(1, parameters=[{"name": "wings", "in": "query", "value": 1}]), "takes no query parameter wings"),
        (step(0, outputs={"name": "$response.body#/captain"}), "output name: $response.body#/captain leads nowhere"),
        (step(0, outputs={"name": "$response.header.Age"}), "leads nowhere"),
        (step(1, successCriteria=[{"condition": "$inputs.sail == 1"}]), "$inputs.sail leads nowhere"),
        (step(1, successCriteria=[{"condition": "$statusCode = 200"}]), "cannot be read from"),
        (step(1, successCriteria=[{"condition": "($statusCode == 200"}]), "a bracket is not closed"),
        (
            step(1, successCriteria=[{"context": "$response.body", "type": "jsonpath", "condition": "$..name"}]),
            "cannot be read from `..name`",
        ),
        (step(1, onSuccess=[{"name": "on", "type": "goto", "stepId": "moon"}]), "leads to moon"),
        (lambda flow: flow["outputs"].update(name="$steps.keep.outputs.captain"), "output name"),
        (lambda flow: flow["steps"].append(flow["steps"][0]), "two steps carry one name"),
    ],
)
def test_a_journey_with_a_mistake_is_found_before_it_is_walked(tmp_path: Path, change: Any, finding: str) -> None:
    _, _, lines = checked(written(tmp_path, change))
    assert any(finding in line for line in lines), lines


@pytest.mark.parametrize(
    "change",
    [
        step(0, operationId="putBoat"),
        step(0, successCriteria=[]),
        step(0, sleep=3),
        step(0, successCriteria=[{"type": "regex", "condition": "x"}]),
        step(0, onSuccess=[{"name": "on", "type": "goto"}]),
    ],
)
def test_what_is_no_arazzo_as_we_understand_it_is_refused(tmp_path: Path, change: Any) -> None:
    with pytest.raises(JourneyRefused):
        checked(written(tmp_path, change))


def test_inputs_are_asked_for_by_name(tmp_path: Path) -> None:
    flow = checked(written(tmp_path))[0].workflows[0]
    assert missing_inputs(flow, {"boat": "a"}) == []
    assert missing_inputs(flow, {"bat": "a"}) == ["input boat is missing", "there is no input bat"]


@pytest.mark.parametrize("path", sorted(ARAZZO.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_operation_parameter_and_expression_of_our_journeys_is_there(path: Path) -> None:
    assert checked(path)[2] == []


def test_our_journeys_are_the_three_main_ones() -> None:
    assert {path.stem for path in ARAZZO.glob("*.yaml")} == {
        "won-deal-to-active-project",
        "time-to-posted-invoices",
        "invoice-to-cash",
    }
    assert CliRunner().invoke(app, ["check", *map(str, ARAZZO.glob("*.yaml"))]).exit_code == 0


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        ("$a == 1 && $b == 'x'", True),
        ("$a == 2 || !($b != 'x')", True),
        ("$a >= 1 && $a < 1.5 && $a != true", True),
        ("$b > 1", False),
        ("$nothing == null", False),
        ("$nothing", False),
        ("!$nothing && $b", True),
        ("$b == 'it\\'s'", False),
        ("$a == -1", False),
    ],
)
def test_conditions_mean_what_they_say(condition: str, is_true: bool) -> None:
    values = {"$a": 1, "$b": "x"}
    assert holds(condition, lambda path: values.get(path, NOTHING)) is is_true


@given(st.text(max_size=30))
def test_a_condition_is_read_or_refused_and_never_a_defect(condition: str) -> None:
    try:
        holds(condition, lambda _: 1)
        found(f"${condition}", {"a": [1, {"b": 2}]})
    except ConditionUnreadable as error:
        assert condition in str(error) or "`" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("query", "leads_to"),
    [
        ("$.a[0].b", [1]),
        ("$.a[*].b", [1, 2]),
        ("$['a'][-1].b", [2]),
        ("$.a[?@.b > 1].c", ["x]"]),
        ("$.a[?@.c == 'x]']", [{"b": 2, "c": "x]"}]),
        ("$.a[?@.c]", [{"b": 2, "c": "x]"}]),
        ("$.z.y[3]", []),
        ("$.*[0].b", [1]),
    ],
)
def test_a_jsonpath_leads_where_the_standard_says(query: str, leads_to: list[Any]) -> None:
    assert found(query, {"a": [{"b": 1}, {"b": 2, "c": "x]"}]}) == leads_to


def test_expressions_read_the_answer_the_inputs_and_former_steps() -> None:
    scope = Scope({"a": "x"}, {"s": {"o": 3}}, Answer(201, httpx.Headers({"Location": "/y"}), {"a/b": [{"c": 1}]}))
    told = {"all": ["$inputs.a", "{$inputs.a}-{$steps.s.outputs.o}", "$response.header.location", 7]}
    assert scope.filled(told) == {"all": ["x", "x-3", "/y", 7]}
    assert scope.value("$response.body#/a~1b/0/c") == 1
    assert scope.value("$response.body#/a~1b/1/c") is NOTHING
    assert scope.value("$moon") is NOTHING
    assert pointed({"": 1}, "/") == 1
