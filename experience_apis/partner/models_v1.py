"""Shapes for partners, as `/partner/v1` promised them; deprecated, made from those of `/partner/v2`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped

State = Literal["provisioning", "activated"]


class ProjectStatus(Shaped):
    """A project and where it stands."""

    project_id: Annotated[
        Id | None,
        Field(description="Our id of the project; null until it is known.", examples=["prj_4r7c2m5xk3ta"]),
    ]
    reference: Annotated[
        str | None, Field(max_length=1000, description="Reference of the deal.", examples=["OPP-1042"])
    ]
    region: Annotated[str | None, Field(max_length=1000, description="Where it is delivered.", examples=["EMEA"])]
    state: Annotated[Code, Field(description="Where the project stands.", examples=["activated"])]
    state_label: Label
    since: Annotated[
        datetime | None, Field(description="When the project came to stand there.", examples=["2026-10-02T08:00:00Z"])
    ]
    activated_at: Annotated[
        datetime | None,
        Field(description="Since when time can be booked; null before.", examples=["2026-10-02T08:00:00Z"]),
    ] = None
    message: Sentence
