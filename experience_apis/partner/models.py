"""Shapes for partners: the status of projects and nothing about money or people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped


class ProjectStatus(Shaped):
    """A project and where it stands."""

    project_id: Id | None
    reference: Annotated[str | None, Field(max_length=1000, description="Reference of the deal.")]
    region: Annotated[str | None, Field(max_length=1000)]
    state: Annotated[Code, Field(examples=["activated"])]
    state_label: Label
    since: datetime | None
    message: Sentence
