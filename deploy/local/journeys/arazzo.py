"""Arazzo 1.0 documents as far as our journeys use it; what is not understood is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.local.failures import JobFailed
from shared.documents import read_yaml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$")]
OutputName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9.\-_]+$")]


class JourneyRefused(JobFailed):
    """A document is no journey that can be walked; every line names its place."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Part(BaseModel):
    """Root of all parts: an unknown member is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Info(Part):
    """What the document is about."""

    title: str
    version: str
    summary: str | None = None
    description: str | None = None


class SourceDescription(Part):
    """An OpenAPI document whose operations are called."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$")]
    url: str
    type: Literal["openapi"]


class CriterionType(Part):
    """The language of a condition, with its version."""

    type: Literal["jsonpath"]
    version: Literal["draft-goessner-dispatch-jsonpath-00", "rfc9535"]


class Criterion(Part):
    """Something that must be true of an answer."""

    condition: str
    context: str | None = None
    type: Literal["simple", "regex", "jsonpath"] | CriterionType = "simple"

    @property
    def language(self) -> str:
        """`simple`, `regex` or `jsonpath`."""
        return self.type if isinstance(self.type, str) else self.type.type

    @model_validator(mode="after")
    def _context_where_needed(self) -> Self:
        if self.language != "simple" and self.context is None:
            raise ValueError("a condition of type regex or jsonpath needs a context")
        return self


class Parameter(Part):
    """A value sent with a request."""

    name: str
    place: Literal["path", "query", "header", "cookie"] = Field(alias="in")
    value: Any


class Payload(Part):
    """A request body."""

    content_type: Literal["application/json"] = Field(default="application/json", alias="contentType")
    payload: Any


class SuccessAction(Part):
    """Where to go on when a step succeeded and the criteria hold."""

    name: Name
    type: Literal["end", "goto"]
    step_id: Name | None = Field(default=None, alias="stepId")
    criteria: tuple[Criterion, ...] = ()

    @model_validator(mode="after")
    def _goto_names_a_step(self) -> Self:
        if (self.type == "goto") != (self.step_id is not None):
            raise ValueError("`goto` names a stepId, `end` does not")
        return self


class FailureAction(Part):
    """What to do when a step failed and the criteria hold."""

    name: Name
    type: Literal["end", "goto", "retry"]
    step_id: Name | None = Field(default=None, alias="stepId", description="With retry: walked before the repeat.")
    retry_after: float = Field(default=0.0, alias="retryAfter", ge=0)
    retry_limit: int = Field(default=1, alias="retryLimit", ge=0)
    criteria: tuple[Criterion, ...] = ()


class Step(Part):
    """One call of one operation."""

    step_id: Name = Field(alias="stepId")
    description: str
    operation_id: str = Field(alias="operationId", pattern=r"^\$sourceDescriptions\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+$")
    parameters: tuple[Parameter, ...] = ()
    request_body: Payload | None = Field(default=None, alias="requestBody")
    success_criteria: tuple[Criterion, ...] = Field(alias="successCriteria", min_length=1)
    on_success: tuple[SuccessAction, ...] = Field(default=(), alias="onSuccess")
    on_failure: tuple[FailureAction, ...] = Field(default=(), alias="onFailure")
    outputs: dict[OutputName, str] = {}


class Workflow(Part):
    """A journey."""

    workflow_id: Name = Field(alias="workflowId")
    summary: str
    description: str
    inputs: dict[str, Any]
    steps: tuple[Step, ...] = Field(min_length=1)
    outputs: dict[OutputName, str] = {}

    def find(self, step_id: str) -> Step:
        """The step of that name."""
        return next(step for step in self.steps if step.step_id == step_id)


class Arazzo(Part):
    """A whole document."""

    arazzo: Annotated[str, Field(pattern=r"^1\.0\.\d+$")]
    info: Info
    source_descriptions: tuple[SourceDescription, ...] = Field(alias="sourceDescriptions", min_length=1)
    workflows: tuple[Workflow, ...] = Field(min_length=1)


def read_arazzo(path: Path) -> Arazzo:
    """The document in a file.

    Raises: JourneyRefused naming file, place and reason.
    """
    try:
        return Arazzo.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise JourneyRefused([f"{path}: {error}"]) from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise JourneyRefused(lines) from error
