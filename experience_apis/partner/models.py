"""Shapes for partners, as `/partner/v2` tells them: the status of projects and nothing about money or people."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from experience_apis.desk.models import Id, Label, Sentence, Shaped


class StatusCode(StrEnum):
    """Where a project stands; projects that are not there yet, or will never be, are not told to partners."""

    BEING_SET_UP = "being_set_up"
    ACTIVE = "active"


class PartnerStatus(Shaped):
    """Where a project stands, for programs and for people, and since when."""

    code: Annotated[StatusCode, Field(description="For programs; stable.", examples=["active"])]
    label: Label
    since: Annotated[
        datetime | None, Field(description="When the project came to stand there.", examples=["2026-10-02T08:00:00Z"])
    ]


class PartnerProject(Shaped):
    """A project and where it stands."""

    id: Annotated[
        Id | None,
        Field(description="Our id of the project; null until it is known.", examples=["prj_4r7c2m5xk3ta"]),
    ]
    deal_reference: Annotated[
        str | None, Field(max_length=1000, description="What people call the deal.", examples=["OPP-1042"])
    ]
    region: Annotated[str | None, Field(max_length=1000, description="Where it is delivered.", examples=["EMEA"])]
    status: Annotated[PartnerStatus, Field(description="Where the project stands.")]
    won_at: Annotated[datetime | None, Field(description="When the deal was won.", examples=["2026-10-01T12:00:00Z"])]
    activated_at: Annotated[
        datetime | None,
        Field(description="Since when time can be booked; null before.", examples=["2026-10-02T08:00:00Z"]),
    ]
    message: Sentence
