"""How the environment is set up and how it fares: what the product's pages leave open, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from deploy.sandbox.dynamics_finance.address import Desk
from deploy.sandbox.dynamics_finance.schema import OWN
from deploy.sandbox.kit.switches import DELETED_FIELDS, deletable, flag, known, taken

Handler = Callable[[Any], None]


class Switches:
    """The switches of one simulator, by name.

    Unconfirmed facts: `customer_numbers` manual, automatic; `project_operations`; `line_amounts` kept, priced;
    `tax_override`; `tax_by_line`; `proposals` writable, forbidden, absent; `working_days`; `settled_lines` kept,
    dropped; `set_names` {documented: here}.
    Operation: `closed_periods` ["2017-01"], `open_periods`; `batch_every` requests (0: no job), `run_batch`,
    `posting_service`; `load` 0 to 100, `retry_after` seconds or None, `priorities` {client id: low, medium, high};
    `registered` {client id: bool}; `forbidden_sets`; `update_conflicts` {set: times}; `page_rows`; `token_seconds`;
    `job_polls`; `deleted_fields` {set: [extension field]}.
    """

    def __init__(self, desk: Desk) -> None:
        """Nothing is switched yet."""
        self._desk = desk
        self._ways = desk.entities.rules.ways
        self._handlers: Mapping[str, Handler] = {**self._facts(), **self._operation()}

    def configure(self, wanted: dict[str, Any]) -> None:
        """Set switches. Raises UnknownSwitch, ValueError or TypeError for values that are not taken."""
        known(wanted, self._handlers)
        for name, value in wanted.items():
            self._handlers[name](value)

    def set_up_operations(self) -> None:
        """The row that tells whether Project Operations integration is on."""
        environment = self._desk.entities.environment
        table = environment.tables["ProjectParameterV2"]
        if not self._ways.has_project_operations:
            table.rows.clear()
        elif not table.rows:
            environment.insert("ProjectParameterV2", {"dataAreaId": "dat", "Key": 0})

    def _facts(self) -> dict[str, Handler]:
        posting = self._desk.posting
        return {
            "customer_numbers": self._among("customer_numbers", "manual", "automatic"),
            "proposals": self._among("proposals", "writable", "forbidden", "absent"),
            "project_operations": self._project_operations,
            "line_amounts": lambda value: setattr(self._ways, "keeps_line_amounts", value == "kept"),
            "tax_override": lambda value: setattr(self._ways, "honours_tax_override", flag("tax_override", value)),
            "tax_by_line": lambda value: setattr(posting, "tax_by_line", flag("tax_by_line", value)),
            "working_days": lambda value: setattr(self._ways, "checks_working_days", flag("working_days", value)),
            "settled_lines": lambda value: setattr(posting, "keeps_settled_lines", value == "kept"),
            "set_names": self._desk.entities.set_names.update,
        }

    def _operation(self) -> dict[str, Handler]:
        desk, posting = self._desk, self._desk.posting
        return {
            "closed_periods": posting.closed_periods.update,
            "open_periods": posting.closed_periods.difference_update,
            "batch_every": lambda value: setattr(desk, "batch_every", taken("batch_every", value, int)),
            "run_batch": lambda _: posting.run_batch(),
            "posting_service": lambda value: setattr(desk, "has_posting_service", flag("posting_service", value)),
            "load": lambda value: setattr(desk, "load", taken("load", value, int)),
            "retry_after": lambda value: setattr(desk, "retry_after", value),
            "priorities": lambda values: self._applications("priority", values),
            "registered": lambda values: self._applications("is_registered", values),
            "forbidden_sets": lambda value: setattr(desk.entities, "forbidden", set(value)),
            "update_conflicts": desk.entities.conflicts.update,
            "page_rows": lambda value: setattr(desk.entities, "page_rows", taken("page_rows", value, int)),
            "token_seconds": lambda value: setattr(desk.door, "token_seconds", taken("token_seconds", value, int)),
            "job_polls": lambda value: setattr(desk.jobs, "polls", taken("job_polls", value, int)),
            DELETED_FIELDS: lambda value: desk.entities.environment.delete_fields(deletable(value, OWN)),
        }

    def _project_operations(self, value: Any) -> None:
        self._ways.has_project_operations = flag("project_operations", value)
        self.set_up_operations()

    def _applications(self, field: str, values: Mapping[str, Any]) -> None:
        applications = self._desk.door.applications
        for client_id, value in values.items():
            applications[client_id] = replace(applications[client_id], **{field: value})

    def _among(self, attribute: str, *allowed: str) -> Handler:
        def choose(value: Any) -> None:
            if value not in allowed:
                raise ValueError(f"{attribute} is one of {', '.join(allowed)}, not {value!r}")
            setattr(self._ways, attribute, value)

        return choose
