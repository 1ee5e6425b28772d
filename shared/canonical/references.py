"""Identity of canonical things: model base, identifiers, source references, pages."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import date, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$", max_length=120),
    Field(description="Opaque identifier of ours.", examples=["opp_4r7c2m5xk3ta"]),
]
Ref = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="Identifier in the source system, opaque to us.", examples=["006A0000000PnTYIA0"]),
]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _written_day(given: object) -> object:
    """A bare number would be read as seconds since 1970; a day is written out."""
    if isinstance(given, float | int):
        message = "a day is written as YYYY-MM-DD"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a finding
    return given


Day = Annotated[date, BeforeValidator(_written_day)]
CountryCode = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{2}$"),
    Field(description="ISO 3166-1 alpha-2 code of the country.", examples=["DE"]),
]

PREFIXES = {
    "customer": "cus",
    "opportunity": "opp",
    "contract": "con",
    "project": "prj",
    "workstream": "wks",
    "milestone": "mil",
    "resource": "res",
    "time_entry": "tim",
    "expense": "exp",
    "invoice": "inv",
    "payment": "pay",
    "legal_entity": "ent",
    "service_item": "svc",
    "rate_card": "rat",
}


def canonical_id(entity: str, tenant: str, *key: str) -> str:
    """Our id of a thing: the same key always gives the same id, so two readers of one record agree without asking.

    `key` is usually (system, ref). Shape: prefix, underscore, 20 base-32 digits of a SHA-256.
    """
    digest = hashlib.sha256("\x1f".join((entity, tenant, *key)).encode()).digest()
    return f"{PREFIXES[entity]}_{b32encode(digest)[:20].decode().lower()}"


class CanonicalModel(BaseModel):
    """Root of canonical models: immutable, and strangers among the fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceRef(CanonicalModel):
    """Where a record came from: system, its id there, its version there."""

    system: Identifier = Field(description="Name of the connector.", examples=["salesforce"])
    ref: Ref
    version: Ref = Field(description="Version marker of the source; equal markers mean equal content.", examples=["3"])
    modified_at: datetime | None = Field(
        default=None, description="When the source says it last changed (UTC).", examples=["2017-03-16T09:12:30Z"]
    )


class Entity(CanonicalModel):
    """Any canonical record: whose it is, our id, and where it comes from."""

    tenant: Identifier = Field(description="The firm whose record it is.", examples=["harbour"])
    id: Identifier = Field(description="Our id of the record; the same in every system.")
    source: SourceRef = Field(description="Which system it was read from, and its id and version there.")


Item = TypeVar("Item")


class Page(CanonicalModel, Generic[Item]):
    """A page of a list; `next_cursor` is absent on the last one."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A page of a list; `next_cursor` is null on the last one."}
    )

    items: tuple[Item, ...] = Field(max_length=1000, description="Rows of this page, in the order the list promises.")
    next_cursor: str | None = Field(
        default=None,
        max_length=2000,
        description="Pass as `cursor` to read on; null on the last page.",
        examples=["eyJhZnRlciI6MTAwfQ"],
    )


class Written(CanonicalModel):
    """Answer of a system to a write: where the record is now, and whether this call created it."""

    id: Identifier = Field(description="Our id of the record that was written.")
    source: SourceRef = Field(description="Where the record stands in the system now.")
    was_created: bool = Field(
        description="False when the record was there already, recognised by our reference.", examples=[True]
    )
