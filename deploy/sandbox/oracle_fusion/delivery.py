"""The pod's rules for projects, contracts and billing events: numbers, references between them, what may go."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from deploy.sandbox.oracle_fusion.errors import Refusal, not_valid
from deploy.sandbox.oracle_fusion.schema import RESOURCES
from deploy.sandbox.oracle_fusion.setup import Setup
from deploy.sandbox.oracle_fusion.state import STATUSES, Pod, Row


class Delivery:
    """Projects, contracts and events of one pod."""

    def __init__(self, pod: Pod, setup: Setup) -> None:
        self._pod = pod
        self._setup = setup

    # --- projects ------------------------------------------------------------------------------------------------
    def complete_project(self, row: Row) -> None:
        """Fill in and check a new project. Raises Refusal."""
        self._setup.business_unit(row["BusinessUnitName"])
        if row["SourceTemplateNumber"] not in self._setup.templates:
            raise not_valid("The source template is not valid.", "SourceTemplateNumber", "PJF_PRJ_TEMPLATE_INVALID")
        row["ProjectNumber"] = row.get("ProjectNumber") or str(self._pod.number("project", 500001))
        row["ProjectStatusCode"] = row.get("ProjectStatusCode") or "ACTIVE"
        self.check_project(row)
        tasks: list[Row] = []
        for task in row.get("Tasks", []):
            tasks.append(self.complete_task(tasks, task))
        row["Tasks"] = tasks

    def check_project(self, row: Row) -> None:
        """Whether a project's values go together. Raises Refusal."""
        code = row["ProjectStatusCode"]
        if code not in STATUSES:
            raise not_valid(f"The project status {code} is not valid.", "ProjectStatusCode", "PJF_PRJ_STATUS_INVALID")
        row["ProjectStatus"] = STATUSES[code]

    def complete_task(self, siblings: Iterable[Row], task: Row, project: Row | None = None) -> Row:
        """Fill in and check a new task among its project's tasks. Raises Refusal."""
        by_number = {other["TaskNumber"]: other for other in siblings}
        if project is not None and project["ProjectStatusCode"] == "CLOSED":
            raise Refusal(400, "The project is closed and takes no tasks.", code="PJF_TASK_PROJ_CLOSED")
        if task["TaskNumber"] in by_number:
            raise not_valid("A task of this number already exists.", "TaskNumber", "PJF_TASK_NUMBER_NOT_UNIQUE")
        level = 1
        if parent := task.get("ParentTaskNumber"):
            if parent not in by_number:
                raise not_valid("The parent task is not valid.", "ParentTaskNumber", "PJF_TASK_PARENT_INVALID")
            level = by_number[parent]["TaskLevel"] + 1
        return self._pod.stamped(RESOURCES["projects"].children["Tasks"], {**task, "TaskLevel": level})

    # --- contracts -----------------------------------------------------------------------------------------------
    def complete_contract(self, row: Row) -> None:
        """Fill in and check a new contract. Raises Refusal."""
        kind = row["ContractTypeId"]
        if kind not in self._setup.contract_types:
            raise not_valid("The contract type is not valid.", "ContractTypeId", "OKC-195700")
        row["ContractTypeName"] = self._setup.contract_types[kind]
        row["ContractNumber"] = row.get("ContractNumber") or f"C{self._pod.number('contract')}"
        row["StsCode"], row["MajorVersion"], row["VersionType"] = row.get("StsCode") or "DRAFT", 1, "C"
        self.check_contract(row)
        lines: list[Row] = []
        for line in row.get("ContractLine", []):
            lines.append(self.complete_line(lines, line))
        row["ContractLine"] = lines

    def check_contract(self, row: Row) -> None:
        """Whether a contract's values go together. Raises Refusal."""
        if not self._setup.has_unit(row["OrgId"]):
            raise not_valid("The business unit is not valid.", "OrgId", "OKC-195702")
        parties = {org["PartyId"] for org in self._pod.tables["hubOrganizations"].values()}
        wanted = [row.get("PrimaryPartyId"), *(party["PartyId"] for party in row.get("ContractParty", []))]
        if any(party is not None and party not in parties for party in wanted):
            raise not_valid("The party is not valid.", "PrimaryPartyId", "OKC-195790")

    def complete_line(self, siblings: Iterable[Row], line: Row) -> Row:
        """Fill in and check a new contract line. Raises Refusal."""
        if line.get("LineNumber") and self._setup.numbers_lines:
            raise not_valid("Lines are numbered automatically; leave the number out.", "LineNumber", "OKC-195760")
        if line["LineTypeName"] not in self._setup.line_types:
            raise not_valid("The line type is not valid.", "LineTypeName", "OKC-195761")
        self.check_line(line)
        taken = [int(other["LineNumber"]) for other in siblings if str(other["LineNumber"]).isdigit()]
        number = line.get("LineNumber") or str(max(taken, default=0) + 1)
        return self._pod.stamped(
            RESOURCES["contracts"].children["ContractLine"], {**line, "LineNumber": number, "StsCode": "DRAFT"}
        )

    def check_line(self, line: Row) -> None:
        """Whether the projects of a line are there. Raises Refusal."""
        for link in line.get("AssociatedProject", []):
            project = self._pod.tables["projects"].get(link["ProjectId"])
            numbers = {task["TaskNumber"] for task in project["Tasks"]} if project else set[Any]()
            if project is None or (link.get("TaskNumber") and link["TaskNumber"] not in numbers):
                raise not_valid("The associated project or task is not valid.", "ProjectId", "OKC-195820")

    # --- billing events ------------------------------------------------------------------------------------------
    def complete_event(self, row: Row) -> None:
        """Fill in and check a new billing event. Raises Refusal."""
        row["EventNumber"] = self._pod.number("event", 1)
        row["Invoiced"], row["InvoicedAmount"] = "U", Decimal(0)
        row["BillHold"] = row.get("BillHold") or "N"
        self.check_event(row)

    def check_event(self, row: Row) -> None:
        """Whether an event's references are there. Raises Refusal."""
        if row["EventTypeName"] not in self._setup.event_types:
            raise not_valid("The event type is not valid.", "EventTypeName", "PJB_EVT_INVALID_TYPE")
        contract = self._contract(row)
        lines = {line["LineNumber"] for line in contract["ContractLine"]} if contract else set[Any]()
        if row["ContractLineNumber"] not in lines:
            raise not_valid(
                "The contract or its line is not valid.", "ContractLineNumber", "PJB_EVT_INVALID_CONTRACT_LINE"
            )
        if number := row.get("ProjectNumber"):
            project = self._pod.one("projects", ProjectNumber=number)
            tasks = {task["TaskNumber"] for task in project["Tasks"]} if project else set[Any]()
            if project is None or (row.get("TaskNumber") and row["TaskNumber"] not in tasks):
                raise not_valid("The project or task is not valid.", "ProjectNumber", "PJB_EVT_INVALID_PROJECT")

    def _contract(self, row: Row) -> Row | None:
        kinds = [number for number, name in self._setup.contract_types.items() if name == row["ContractTypeName"]]
        for kind in kinds:
            if found := self._pod.one("contracts", ContractNumber=row["ContractNumber"], ContractTypeId=kind):
                return found
        return None

    @staticmethod
    def forbid_change(row: Row, values: Row) -> None:
        """What was invoiced stays as it was. Raises Refusal."""
        if row["Invoiced"] != "U" and any(row.get(name) != value for name, value in values.items()):
            raise Refusal(400, "An invoiced event cannot be changed.", code="PJB_EVT_INVOICED")
