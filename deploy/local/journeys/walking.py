"""Walks a journey in a running house: sends, judges, repeats, branches; what is right or wrong the document says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.local.failures import JobFailed
from deploy.local.journeys.arazzo import Criterion, FailureAction, Step, Workflow
from deploy.local.journeys.conditions import NOTHING
from deploy.local.journeys.expressions import Answer, Scope
from deploy.local.journeys.sources import Operation
from shared.outbound.address import route

_MOST_STEPS = 2000


class JourneyFailed(JobFailed):
    """A step did not succeed and its actions did not help; the message names step, answer and what was expected."""


@dataclass(frozen=True, slots=True)
class Walked:
    """One step that was walked, with the repeats it took."""

    step: str
    operation: str
    status: int
    attempts: int
    seconds: float


@dataclass(slots=True)
class Outcome:
    """How a journey went."""

    workflow: str
    steps: list[Walked] = field(default_factory=list[Walked])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])


class Walker:
    """One journey in one house."""

    def __init__(
        self,
        workflow: Workflow,
        operations: Mapping[str, Operation],
        *,
        addresses: Mapping[str, str],
        http: httpx.AsyncClient,
    ) -> None:
        """`addresses`: where each tier is served."""
        self._workflow = workflow
        self._operations = operations
        self._addresses = addresses
        self._http = http

    async def walk(self, inputs: Mapping[str, Any]) -> Outcome:
        """From the first step to the end.

        Raises: JourneyFailed.
        """
        scope, outcome = Scope(inputs), Outcome(self._workflow.workflow_id)
        steps = self._workflow.steps
        at: int | None = 0
        while at is not None and at < len(steps):
            if len(outcome.steps) > _MOST_STEPS:
                raise JourneyFailed(f"{outcome.workflow}: walks in circles")
            at = await self._step(steps[at], at, scope, outcome)
        outcome.outputs = {name: scope.value(told) for name, told in self._workflow.outputs.items()}
        if lost := [name for name, value in outcome.outputs.items() if value is NOTHING]:
            raise JourneyFailed(f"{outcome.workflow}: nothing came out as {', '.join(lost)}")
        return outcome

    async def _step(self, step: Step, at: int, scope: Scope, outcome: Outcome) -> int | None:
        """Walk one step; the place of the next one, none at the end."""
        began, attempts, used = time.monotonic(), 0, dict[str, int]()
        while True:
            attempts += 1
            scope.answer = await self._send(step, scope)
            unmet = [one for one in step.success_criteria if not scope.meets(one)]
            if not unmet:
                break
            action = self._remedy(step, scope, used)
            if action is None:
                raise JourneyFailed(self._told(step, scope.answer, unmet, attempts))
            if action.type != "retry":
                self._note(step, scope.answer, outcome, attempts, began)
                return self._place(action.step_id) if action.step_id else None
            used[action.name] = used.get(action.name, 0) + 1
            await asyncio.sleep(_pause(action, scope.answer))
            if action.step_id is not None:
                await self._step(self._workflow.find(action.step_id), at, scope, outcome)
        self._note(step, scope.answer, outcome, attempts, began)
        scope.steps[step.step_id] = {
            name: value for name, told in step.outputs.items() if (value := scope.value(told)) is not NOTHING
        }
        for action in step.on_success:
            if all(scope.meets(one) for one in action.criteria):
                return self._place(action.step_id) if action.step_id else None
        return at + 1

    async def _send(self, step: Step, scope: Scope) -> Answer:
        operation = self._operations[step.operation_id]
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
        for parameter in step.parameters:
            value = scope.filled(parameter.value)
            if value is NOTHING:
                raise JourneyFailed(f"{step.step_id}: nothing is known for {parameter.name} ({parameter.value})")
            given[parameter.place][parameter.name] = value
        body = scope.filled(step.request_body.payload) if step.request_body is not None else None
        path = route(operation.path, **{name: str(value) for name, value in given["path"].items()})
        answer = await self._http.request(
            operation.method,
            f"{self._addresses[operation.tier]}{path}",
            params=given["query"],
            headers={name: str(value) for name, value in given["header"].items()},
            json=body,
        )
        is_json = "json" in answer.headers.get("content-type", "")
        return Answer(answer.status_code, answer.headers, answer.json() if is_json else answer.text)

    def _remedy(self, step: Step, scope: Scope, used: Mapping[str, int]) -> FailureAction | None:
        for action in step.on_failure:
            is_used_up = action.type == "retry" and used.get(action.name, 0) >= action.retry_limit
            if not is_used_up and all(scope.meets(one) for one in action.criteria):
                return action
        return None

    def _place(self, step_id: str | None) -> int:
        return next(number for number, step in enumerate(self._workflow.steps) if step.step_id == step_id)

    def _note(self, step: Step, answer: Answer, outcome: Outcome, attempts: int, began: float) -> None:
        seconds = round(time.monotonic() - began, 3)
        outcome.steps.append(Walked(step.step_id, step.operation_id, answer.status, attempts, seconds))

    def _told(self, step: Step, answer: Answer, unmet: list[Criterion], attempts: int) -> str:
        wanted = "; ".join(one.condition for one in unmet)
        return (
            f"{self._workflow.workflow_id}.{step.step_id}: answered {answer.status} after {attempts} attempts, wanted: "
            f"{wanted}; the answer: {str(answer.body)[:500]}"
        )


def _pause(action: FailureAction, answer: Answer) -> float:
    """Seconds before the repeat; what the answer asks for overrules what the document says."""
    asked = str(answer.headers.get("retry-after", ""))
    return float(asked) if asked.isdecimal() else action.retry_after
