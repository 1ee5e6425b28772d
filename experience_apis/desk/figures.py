"""Key figures as people see them: shapes and labels; the numbers are the process tier's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Code, Label, Sentence, Shaped
from experience_apis.processes.models import Kpi, KpiPart, Kpis
from experience_apis.wording.catalog import Wording
from shared.canonical.money import Amount


class FigurePart(Shaped):
    """A figure for one region or legal entity."""

    key: Annotated[
        str, Field(max_length=1000, description="The region, or the code of the legal entity.", examples=["Central"])
    ]
    value: Annotated[
        Amount | None,
        Field(
            description="The figure for it, in the unit of the whole; null while nothing has been measured.",
            examples=["23.5"],
        ),
    ]
    sample: Annotated[int, Field(ge=0, le=1_000_000_000, description="How many cases it rests on.", examples=[17])]


class Figure(Shaped):
    """One key figure."""

    name: Annotated[Code, Field(description="Stable name of the figure.", examples=["closed_won_to_activation"])]
    label: Annotated[Label, Field(examples=["Closed won to active project"])]
    unit: Annotated[Code, Field(description="What it counts: hours, share, count.", examples=["hours"])]
    unit_label: Annotated[Label, Field(examples=["hours"])]
    value: Annotated[
        Amount | None,
        Field(description="The figure in its unit; null while nothing has been measured.", examples=["23.5"]),
    ]
    sample: Annotated[int, Field(ge=0, le=1_000_000_000, description="How many cases it rests on.", examples=[17])]
    target: Annotated[
        Amount | None, Field(description="What the firm aims at, in the same unit; null: no target.", examples=["72"])
    ]
    by_region: Annotated[tuple[FigurePart, ...], Field(max_length=1000, description="The same by sales region.")]
    by_legal_entity: Annotated[
        tuple[FigurePart, ...], Field(max_length=1000, description="The same by company of the firm.")
    ]


class Figures(Shaped):
    """The key figures."""

    figures: Annotated[
        tuple[Figure, ...], Field(max_length=100, description="Always the same ones, in the same order.")
    ]
    measured_at: Annotated[
        datetime, Field(description="When they were measured (UTC).", examples=["2017-03-16T09:12:30Z"])
    ]
    message: Annotated[Sentence, Field(examples=["Figures of all deals so far."])]


def figures(kpis: Kpis, words: Wording) -> Figures:
    """The key figures with their names in people's language."""
    is_measured = any(kpi.sample for kpi in kpis.kpis)
    return Figures(
        figures=tuple(_figure(kpi, words) for kpi in kpis.kpis),
        measured_at=kpis.as_of,
        message=words.say("kpis.some" if is_measured else "kpis.none"),
    )


def _figure(kpi: Kpi, words: Wording) -> Figure:
    return Figure(
        name=kpi.name,
        label=words.say(f"kpi.{kpi.name}"),
        unit=kpi.unit,
        unit_label=words.say(f"unit.{kpi.unit}"),
        value=kpi.value,
        sample=kpi.sample,
        target=kpi.target,
        by_region=_parts(kpi.by_region),
        by_legal_entity=_parts(kpi.by_legal_entity),
    )


def _parts(parts: tuple[KpiPart, ...]) -> tuple[FigurePart, ...]:
    return tuple(FigurePart(key=part.key, value=part.value, sample=part.sample) for part in parts)
