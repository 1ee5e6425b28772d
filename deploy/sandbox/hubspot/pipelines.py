"""Pipelines of deals: stages under opaque ids, with labels anyone may change and metadata of strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from deploy.sandbox.hubspot.errors import invalid, not_found
from deploy.sandbox.hubspot.values import iso

Json = dict[str, Any]
_DEFAULT = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
    ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"),
    ("closedlost", "Closed Lost", "0.0"),
)
_NUMBERED = 900_001


@dataclass(slots=True)
class Stage:
    """A stage of a pipeline."""

    id: str
    label: str
    order: int
    metadata: dict[str, str]
    changed: int

    @property
    def is_closed(self) -> bool:
        """Whether a deal in it is no longer being sold."""
        return self.metadata["isClosed"] == "true"

    @property
    def is_won(self) -> bool:
        """Whether a deal in it was won."""
        return self.is_closed and float(self.metadata["probability"]) == 1

    def shown(self) -> Json:
        """As an answer shows it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": self.order,
            "metadata": dict(self.metadata),
            "createdAt": iso(self.changed),
            "updatedAt": iso(self.changed),
            "archived": False,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }


@dataclass(slots=True)
class Pipeline:
    """A pipeline with its stages in order."""

    id: str
    label: str
    order: int
    changed: int
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])

    def shown(self) -> Json:
        """As an answer shows it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": self.order,
            "stages": [stage.shown() for stage in self.stages.values()],
            "createdAt": iso(self.changed),
            "updatedAt": iso(self.changed),
            "archived": False,
        }


class Pipelines:
    """All pipelines of deals; a new portal has one."""

    def __init__(self, now: int) -> None:
        self._next = _NUMBERED
        sales = Pipeline("default", "Sales Pipeline", 0, now)
        for order, (stage_id, label, probability) in enumerate(_DEFAULT):
            closed = "true" if probability in {"1.0", "0.0"} else "false"
            metadata = {"isClosed": closed, "probability": probability}
            sales.stages[stage_id] = Stage(stage_id, label, order, metadata, now)
        self.all = {"default": sales}

    def stage(self, pipeline: str, stage: str) -> Stage | None:
        """A stage of a pipeline."""
        return self.all[pipeline].stages.get(stage) if pipeline in self.all else None

    def add(self, given: Json, now: int) -> Pipeline:
        """A pipeline from a request; ids are numbers. Raises HubspotError."""
        if not isinstance(given.get("stages"), list) or not given.get("label") or "displayOrder" not in given:
            raise invalid("Invalid input JSON: label, displayOrder and stages are required")
        made = Pipeline(self._number(), str(given["label"]), int(given["displayOrder"]), now)
        for one in given["stages"]:
            metadata = _metadata(one.get("metadata"))
            stage = Stage(self._number(), str(one["label"]), int(one["displayOrder"]), metadata, now)
            made.stages[stage.id] = stage
        self.all[made.id] = made
        return made

    def amend_stage(self, pipeline: str, stage_id: str, given: Json, now: int) -> Stage:
        """Another label, order or metadata. Raises HubspotError."""
        stage = self.stage(pipeline, stage_id)
        if stage is None:
            raise not_found()
        stage.label = str(given.get("label", stage.label))
        stage.order = int(given.get("displayOrder", stage.order))
        if "metadata" in given:
            stage.metadata = _metadata({**stage.metadata, **given["metadata"]})
        stage.changed = now
        return stage

    def _number(self) -> str:
        self._next += 1
        return str(self._next)


def _metadata(given: Any) -> dict[str, str]:
    """Strings, whatever was sent; a stage without probability is refused."""
    if not isinstance(given, dict) or "probability" not in given:
        raise invalid("Invalid input JSON: metadata.probability of a deal stage is required")
    told = cast("Json", given)
    probability = str(told["probability"])
    closed = str(told.get("isClosed", probability in {"1.0", "0.0"})).lower()
    return {"isClosed": closed, "probability": probability}
