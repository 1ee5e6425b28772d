"""A call as the portal sees it, whichever family of paths it came by, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from deploy.sandbox.hubspot.errors import invalid
from deploy.sandbox.hubspot.sessions import App
from deploy.sandbox.hubspot.values import iso

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body; None: no body."""

    status: int
    body: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request below its family's prefix: `room` is objects, associations, properties, pipelines, owners, schemas."""

    method: str
    room: str
    path: tuple[str, ...]
    query: Mapping[str, Sequence[str]]
    body: Any
    app: App
    at: int
    is_dated: bool
    link: str = field(default="", repr=False)

    def asked(self, name: str) -> list[str]:
        """A list given as repeated parameters or with commas."""
        return [part for value in self.query.get(name, ()) for part in value.split(",") if part]

    def one(self, name: str, otherwise: str = "") -> str:
        """A parameter given once."""
        values = self.query.get(name, ())
        return values[-1] if values else otherwise

    def whole(self, name: str, otherwise: int, most: int) -> int:
        """A whole number. Raises HubspotError."""
        text = self.one(name, str(otherwise))
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise invalid(f"Invalid {name}: must be between 1 and {most}")
        return int(text)

    def document(self) -> Json:
        """The body as an object. Raises HubspotError."""
        if not isinstance(self.body, dict):
            raise invalid("Invalid input JSON on line 1, column 1: Cannot deserialize the request")
        return cast("Json", self.body)

    def inputs(self, most: int) -> list[Json]:
        """The inputs of a batch. Raises HubspotError."""
        listed = self.document().get("inputs")
        if not isinstance(listed, list) or not listed:
            raise invalid("Invalid input JSON: inputs is required")
        if len(cast("list[Any]", listed)) > most:
            raise invalid(f"The maximum number of inputs of a batch is {most}")
        return cast("list[Json]", listed)


def page(rows: list[Json], after: str | None, link: str) -> Json:
    """A page of results; `paging` only where there is more."""
    body: Json = {"results": rows}
    if after is not None:
        body["paging"] = {"next": {"after": after, "link": f"{link}?after={after}"}}
    return body


def batch(results: list[Json], errors: list[Json], at: int, status: int = 200) -> Reply:
    """A batch's answer: 207 where some of its inputs failed."""
    stamp = iso(at)
    body: Json = {"status": "COMPLETE", "results": results, "startedAt": stamp, "completedAt": stamp}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Reply(207 if errors else status, body)
