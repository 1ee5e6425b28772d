"""The data management framework: blobs, imports that run in the background, exports with change tracking."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from deploy.sandbox.dynamics_finance import packages
from deploy.sandbox.dynamics_finance.entities import Entities
from deploy.sandbox.dynamics_finance.errors import Refusal, bad_request
from deploy.sandbox.dynamics_finance.rules import refused_by
from deploy.sandbox.dynamics_finance.schema import EntitySet
from deploy.sandbox.dynamics_finance.values import instant, taken

LABELS: Final[Mapping[str, str]] = {
    "Legal entities": "LegalEntities",
    "Ledgers": "Ledgers",
    "Currencies": "Currencies",
    "Main accounts": "MainAccounts",
    "Customer groups": "CustomerGroups",
    "Terms of payment": "PaymentTerms",
    "Sales tax groups": "TaxGroups",
    "Sales tax group codes": "TaxGroupDatas",
    "Sales tax code values V2": "TaxCodeValuesV2",
    "Customers V3": "CustomersV3",
    "Project groups": "ProjectGroups",
    "Project parameters V2": "ProjectParameterV2",
    "Project categories": "ProjectCategoryEntities",
    "Released products V2": "ReleasedProductsV2",
    "Project hour sales prices V2": "ProjHourSalesPricesV2",
    "Project on-account forecasts": "ProjectOnAccForecasts",
    "Free text invoice lines": "FreeTextInvoiceLines",
    "Free text invoice headers": "FreeTextInvoiceHeaders",
    "Customer transactions": "CustTransactions",
    "Project invoice proposal on-account lines": "ProjectInvoiceProposalOnAccountLines",
}
"""What packages call an entity (its label) → its set."""


@dataclass(slots=True)
class Execution:
    """One run of an import or export."""

    number: str
    group: str
    polls_left: int
    work: Callable[[], str]
    status: str = "NotRun"
    errors: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    keys: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    package: str = ""


class Jobs:
    """Executions and blobs."""

    def __init__(self, entities: Entities) -> None:
        """`polls`: how often an execution is asked for before it is done."""
        self._entities = entities
        self.polls = 1
        self.forget()

    def forget(self) -> None:
        """No execution and no blob."""
        self.blobs: dict[str, bytes] = {}
        self.executions: dict[str, Execution] = {}
        self._exported: dict[tuple[str, str, str], datetime] = {}

    def act(self, action: str, body: Mapping[str, Any], blob_url: Callable[[str], str]) -> Any:
        """The `value` of one action. Raises Refusal."""
        handlers: dict[str, Callable[[], Any]] = {
            "GetAzureWriteUrl": lambda: self._write_url(str(body["uniqueFileName"]), blob_url),
            "ImportFromPackage": lambda: self._import(body),
            "ExportToPackage": lambda: self._export(body),
            "GetExecutionSummaryStatus": lambda: self._status(str(body["executionId"])),
            "GetExportedPackageUrl": lambda: self._package_url(str(body["executionId"]), blob_url),
            "GetExecutionErrors": lambda: json.dumps(self._execution(str(body["executionId"])).errors),
            "GetImportStagingErrorFileUrl": lambda: "",
            "GenerateImportTargetErrorKeysFile": lambda: bool(self._bad_keys(body)),
            "GetImportTargetErrorKeysFileUrl": lambda: self._error_keys(body, blob_url),
        }
        if action not in handlers:
            raise Refusal(404, f"The action {action} is not known.")
        try:
            return handlers[action]()
        except KeyError as missing:
            raise bad_request(f"The parameter {missing.args[0]} is missing.") from missing

    @staticmethod
    def _write_url(name: str, blob_url: Callable[[str], str]) -> str:
        number = f"{{{uuid.uuid4()}}}"
        return json.dumps({"BlobId": number, "BlobUrl": blob_url(f"{uuid.uuid4().hex}-{name}")})

    def _execution(self, number: str) -> Execution:
        if number not in self.executions:
            raise bad_request(f"The execution {number} was not found.")
        return self.executions[number]

    def _begin(self, body: Mapping[str, Any], work: Callable[[Execution], str]) -> Execution:
        running = [one for one in self.executions.values() if one.status in {"NotRun", "Executing"}]
        if running:
            raise Refusal(500, "An error has occurred.", "Another import or export is running; try again later.")
        number = str(body.get("executionId") or f"{body['definitionGroupId']}-{uuid.uuid4().hex[:12]}")
        execution = Execution(number, str(body["definitionGroupId"]), self.polls, lambda: "")
        execution.work = lambda: work(execution)
        self.executions[number] = execution
        return execution

    def _import(self, body: Mapping[str, Any]) -> str:
        name = str(body["packageUrl"]).partition("?")[0].rpartition("/")[2]
        if name not in self.blobs:
            raise bad_request("The package cannot be downloaded from packageUrl.")
        try:
            parts = packages.read(self.blobs[name])
        except packages.BadPackage as error:
            raise bad_request(f"The package is not valid: {error}.") from error
        for part in parts:
            if part.entity not in LABELS:
                raise bad_request(f"Entity {part.entity} does not exist in the target environment.")
        company = str(body.get("legalEntityId") or "").lower()
        return self._begin(body, lambda execution: self._run(execution, parts, company)).number

    def _run(self, execution: Execution, parts: list[packages.Part], company: str) -> str:
        good = bad = 0
        for part in parts:
            entity = self._entity(part.entity)
            for row in part.rows:
                try:
                    self._upsert(entity, row, company)
                    good += 1
                except Refusal as refusal:
                    bad += 1
                    reason = refused_by(refusal)
                    execution.errors.append({"EntityName": part.entity, "ErrorMessage": reason})
                    key = ",".join(row.get(name.upper(), "") for name in entity.keys)
                    execution.keys.setdefault(part.entity, []).append(key)
        if not bad:
            return "Succeeded"
        return "PartiallySucceeded" if good else "Failed"

    def _entity(self, label: str) -> EntitySet:
        return self._entities.environment.tables[LABELS[label]].entity

    def _upsert(self, entity: EntitySet, texts: Mapping[str, str], company: str) -> None:
        if strange := sorted(texts.keys() - {name.upper() for name in entity.fields}):
            raise bad_request(f"The field {strange[0]} of the mapping does not exist on entity {entity.entity}.")
        body = {
            name: _from_text(facts.kind, text)
            for name, facts in entity.fields.items()
            if (text := texts.get(name.upper(), ""))
        }
        environment = self._entities.environment
        with environment.transaction():
            values = taken(entity, body, is_new=True, lenient=True)
            if entity.has_company:
                values["dataAreaId"] = (values.get("dataAreaId") or company).lower()
            found = environment.get(entity.name, **{name: values.get(name, "") for name in entity.keys})
            if found is None:
                self._entities.insert(entity, values)
                return
            values = self._entities.rules.before_change(entity.name, found, values)
            fresh = {name: value for name, value in values.items() if found[name] != value}
            if fresh:
                environment.change(entity.name, found, fresh)

    def _export(self, body: Mapping[str, Any]) -> str:
        group, company = str(body["definitionGroupId"]), str(body.get("legalEntityId") or "").lower()
        if group not in LABELS:
            raise bad_request(f"The export project {group} does not exist.")
        return self._begin(body, lambda execution: self._write_out(execution, group, company)).number

    def _write_out(self, execution: Execution, label: str, company: str) -> str:
        entity = self._entity(label)
        since = self._exported.get((label, company, "all"))
        now = self._entities.environment.clock()
        rows = [
            row
            for row in self._entities.environment.tables[entity.name].rows.values()
            if (not entity.has_company or not company or row["dataAreaId"] == company)
            and (since is None or row.get("TLModifiedDateTime", now) >= since.replace(microsecond=0))
        ]
        self._exported[label, company, "all"] = now
        lines = [{name: _as_text(row[name]) for name in entity.fields} for row in rows]
        execution.package = f"{uuid.uuid4().hex}.zip"
        self.blobs[execution.package] = packages.compose(label, {label: lines} if lines else {})
        return "Succeeded"

    def _status(self, number: str) -> str:
        execution = self._execution(number)
        if execution.status == "NotRun":
            execution.status = "Executing"
        if execution.status == "Executing":
            if execution.polls_left <= 0:
                execution.status = execution.work()
            execution.polls_left -= 1
        return execution.status

    def _package_url(self, number: str, blob_url: Callable[[str], str]) -> str:
        package = self._execution(number).package
        return blob_url(package) if package else ""

    def _bad_keys(self, body: Mapping[str, Any]) -> list[str]:
        return self._execution(str(body["executionId"])).keys.get(str(body["entityName"]), [])

    def _error_keys(self, body: Mapping[str, Any], blob_url: Callable[[str], str]) -> str:
        keys = self._bad_keys(body)
        if not keys:
            return ""
        text = io.StringIO()
        csv.writer(text).writerows([[key] for key in keys])
        name = f"{uuid.uuid4().hex}-keys.txt"
        self.blobs[name] = text.getvalue().encode()
        return blob_url(name)


def _from_text(kind: str, text: str) -> Any:
    if kind in {"decimal", "int", "long"}:
        try:
            return Decimal(text) if kind == "decimal" else int(text)
        except (InvalidOperation, ValueError):
            return text
    return text


def _as_text(value: Any) -> str:
    return instant(value) if isinstance(value, datetime) else str(value)
