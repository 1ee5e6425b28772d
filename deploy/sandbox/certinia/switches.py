"""How the package behaves where its documents leave it open, and what an operator may bring about; facts only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from deploy.sandbox.kit.switches import UnknownSwitch, taken


@dataclass(slots=True)
class Switches:
    """Each is named for what is true when it is on; numbers count requests to the org."""

    item_marks_source: bool = True  # a billing event item fills its source's Billing_Event_Item at once
    release_bills: bool = True  # releasing an event sets Billed and Bill_Date on its sources
    event_copies_down: bool = True  # invoicing an event by PATCH copies flag, number and date to its sources
    status_sets_flags: bool = True  # a header's Status sets its Submitted and Approved, as the usual workflow rule does
    copy_is_queued: bool = True  # child records of a template are copied after the answer
    errors_in_string: bool = True  # the action tells its own errors in ErrorString of a successful call
    links_opportunity: bool = True  # a project made from a template becomes its deal's primary project
    copy_steps: int = 2  # requests until a queued copy is done
    copy_fails: bool = False  # a queued copy ends in an error
    needs_permission_control: bool = False  # billing needs a Permission Control row of the user

    def put(self, name: str, value: Any) -> None:
        """Change one. Raises UnknownSwitch, or TypeError for a value of another kind."""
        kinds: dict[str, type[Any]] = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        if name not in kinds:
            raise UnknownSwitch(name)
        setattr(self, name, taken(name, value, kinds[name]))
