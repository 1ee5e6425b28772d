"""Checks a journey before it is walked: operations are there, parameters known, every expression leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.local.journeys.arazzo import Arazzo, Criterion, Step, Workflow, read_arazzo
from deploy.local.journeys.conditions import NOTHING, ConditionUnreadable, holds
from deploy.local.journeys.expressions import BODY, expressions_in
from deploy.local.journeys.jsonpath import found
from deploy.local.journeys.sources import Operation, read_sources
from shared.serving.differences.reading import listed, node

_HEADERS_OF_EVERY_REQUEST = {("header", "authorization"), ("header", "x-correlation-id")}


def checked(path: Path) -> tuple[Arazzo, dict[str, Operation], list[str]]:
    """The document, the operations of its sources, and everything wrong with it.

    Raises: JourneyRefused when it cannot be read at all.
    """
    document = read_arazzo(path)
    operations = read_sources(path, document)
    lines = [f"{path.name}: {line}" for flow in document.workflows for line in _workflow(flow, operations)]
    names = [flow.workflow_id for flow in document.workflows]
    if len(set(names)) != len(names):
        lines.append(f"{path.name}: two workflows carry one name")
    return document, operations, lines


def _workflow(workflow: Workflow, operations: dict[str, Operation]) -> Iterator[str]:
    steps = {step.step_id: step for step in workflow.steps}
    if len(steps) < len(workflow.steps):
        yield f"{workflow.workflow_id}: two steps carry one name"
    for step in workflow.steps:
        where = f"{workflow.workflow_id}.{step.step_id}"
        operation = operations.get(step.operation_id)
        if operation is None:
            yield f"{where}: there is no operation {step.operation_id}"
        else:
            yield from (f"{where}: {line}" for line in _request(step, operation))
            yield from (f"{where}: {line}" for line in _expressions(workflow, step, operation))
        for action in (*step.on_success, *step.on_failure):
            if action.step_id is not None and action.step_id not in steps:
                yield f"{where}: {action.name} leads to {action.step_id}, and there is no such step"
    for name, expression in workflow.outputs.items():
        if not _is_known(workflow, expression):
            yield f"{workflow.workflow_id}: output {name}: {expression} leads nowhere"


def _request(step: Step, operation: Operation) -> Iterator[str]:
    known = operation.parameters()
    given = {(one.place, one.name.lower()) for one in step.parameters}
    for place, name in sorted(given - known.keys() - _HEADERS_OF_EVERY_REQUEST):
        yield f"the operation takes no {place} parameter {name}"
    for place, name in sorted(key for key, told in known.items() if told.get("required") and key not in given):
        yield f"the {place} parameter {name} must be sent"
    body = operation.tree.at(operation.told.get("requestBody"))
    if (step.request_body is not None) and not body:
        yield "the operation takes no body"
    if body.get("required") and step.request_body is None:
        yield "a body must be sent"


def _expressions(workflow: Workflow, step: Step, operation: Operation) -> Iterator[str]:
    sent = [one.value for one in step.parameters]
    if step.request_body is not None:
        sent.append(step.request_body.payload)
    for expression in expressions_in(sent):
        if not _is_known(workflow, expression):
            yield f"{expression} leads nowhere"
    for name, expression in step.outputs.items():
        if not (_is_known(workflow, expression) or _is_told(operation, expression)):
            yield f"output {name}: {expression} leads nowhere"
    actions = (*step.on_success, *step.on_failure)
    for criterion in (*step.success_criteria, *(one for action in actions for one in action.criteria)):
        yield from _criterion(workflow, criterion, operation)


def _criterion(workflow: Workflow, criterion: Criterion, operation: Operation) -> Iterator[str]:
    seen: list[str] = [criterion.context] if criterion.context else []
    try:
        if criterion.language == "simple":
            holds(criterion.condition, lambda path: seen.append(path) or NOTHING)
        else:
            seen += expressions_in("-" + criterion.condition)
            if criterion.language == "jsonpath":
                found(criterion.condition, {"items": []})
    except ConditionUnreadable as error:
        yield str(error)
    for expression in seen:
        if not (_is_known(workflow, expression) or _is_told(operation, expression)):
            yield f"{expression} leads nowhere"


def _is_known(workflow: Workflow, expression: str) -> bool:
    if expression.startswith("$inputs."):
        return expression.removeprefix("$inputs.") in node(workflow.inputs.get("properties"))
    if expression.startswith("$steps."):
        name, _, output = expression.removeprefix("$steps.").partition(".outputs.")
        return any(step.step_id == name and output in step.outputs for step in workflow.steps)
    return False


def _is_told(operation: Operation, expression: str) -> bool:
    if expression in {"$statusCode", BODY}:
        return True
    if expression.startswith("$response.header."):
        return expression.removeprefix("$response.header.").lower() in operation.headers()
    problem = "/type", "/title", "/status", "/detail", "/code"
    pointer = expression.removeprefix(f"{BODY}#")
    return expression.startswith(f"{BODY}#/") and (operation.body_leads_to(pointer) or pointer in problem)


def missing_inputs(workflow: Workflow, given: dict[str, str]) -> list[str]:
    """Inputs that must be given and are not, or that nobody asked for."""
    properties = node(workflow.inputs.get("properties"))
    lines = [f"input {name} is missing" for name in listed(workflow.inputs.get("required")) if name not in given]
    return lines + [f"there is no input {name}" for name in given if name not in properties]
