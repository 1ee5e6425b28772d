"""The pod's setup: business units, ledgers, periods, taxes, templates and types, and the switches of its behaviour."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.oracle_fusion.errors import Refusal, not_valid
from deploy.sandbox.oracle_fusion.schema import RESOURCES, Resource
from deploy.sandbox.oracle_fusion.state import Pod, Row

RECEIVABLES_ID = 222
FIRST_YEAR, YEARS = 2015, 16
TASKS = {
    "XLE_MANAGE_LEGAL_ENTITY": ("legalEntitiesLOV", "LegalEntityIdentifier"),
    "ORG_BUSINESS_UNIT": ("finBusinessUnitsLOV", "BusinessUnitName"),
    "GL_MANAGE_PRIMARY_LEDGERS": ("ledgersLOV", "Name"),
    "AR_MANAGE_MEMO_LINES": ("memoLinesLOV", "MemoLineName"),
}
"""Setup tasks whose files the pod imports, the list of values they fill, and the column that names a row."""
LEGAL_ENTITY_LOOKUP = "THROUGHLINE_LEGAL_ENTITY"


class Setup:
    """What functional consultants set up."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self.reset()

    def reset(self) -> None:
        """As a fresh pod comes."""
        self.transaction_sources = {"THROUGHLINE": 1}
        self.payment_terms = {"IMMEDIATE": 0, **{f"{days} Net": days for days in (10, 15, 30, 45, 60, 90)}}
        self.contract_types = {300000000000001: "Services Contract"}
        self.line_types = {"Free-form, project"}
        self.event_types = {"Milestone"}
        self.templates = {"TL-SERVICES"}
        self.closed_periods: set[str] = set()
        self.language = "en"
        self.keeps_line_amounts = True
        self.calculates_tax = True
        self.tax_drift = Decimal(0)
        self.lets_delete = True
        self.applications_touch_receipts = True
        self.matches_at_once = False
        self.locked: set[str] = set()
        self.numbers_lines = True

    # --- structure -----------------------------------------------------------------------------------------------
    def business_unit(self, name: str) -> Row:
        """The unit of that name. Raises Refusal."""
        for row in self._pod.tables["finBusinessUnitsLOV"].values():
            if row["BusinessUnitName"] == name:
                return row
        raise not_valid(f"The business unit {name} is not valid.", "BusinessUnit", "AR-855031")

    def has_unit(self, number: Any) -> bool:
        """Whether there is a unit of that id."""
        return number in self._pod.tables["finBusinessUnitsLOV"]

    def currency_of(self, unit: Row) -> str:
        """Currency of the unit's ledger."""
        return str(self._pod.tables["ledgersLOV"].get(unit["PrimaryLedgerId"], {}).get("CurrencyCode") or "USD")

    def legal_entity_of(self, unit: Row) -> Row:
        """The unit's legal entity."""
        return self._pod.tables["legalEntitiesLOV"].get(unit["LegalEntityId"], {})

    def is_open(self, unit: Row, on: str) -> bool:
        """Whether receivables may post that day."""
        del unit
        return on[:7] not in self.closed_periods

    def set_periods(self, months: list[str], *, is_closed: bool) -> None:
        """Close or open calendar months (`2026-10`) in every ledger."""
        for month in months:
            date.fromisoformat(f"{month}-01")
        changed = self.closed_periods.union if is_closed else self.closed_periods.difference
        self.closed_periods = set(changed(months))
        for row in self._pod.tables["accountingPeriodStatusLOV"].values():
            row["ClosingStatus"] = "C" if row["StartDate"][:7] in self.closed_periods else "O"

    # --- taxes (as the lookups of the legal entities name them) ---------------------------------------------------
    def _entities(self) -> list[Row]:
        lookup = self._pod.tables["standardLookups"].get(LEGAL_ENTITY_LOOKUP)
        codes: list[Row] = lookup["lookupCodes"] if lookup else []
        return [code["lookupCodesDFF"][0] for code in codes if code["lookupCodesDFF"]]

    def tax_rates(self) -> set[tuple[Any, Any]]:
        """Regime and rate codes that are valid."""
        rows = self._entities()
        return {(row["taxRegimeCode"], row[name]) for row in rows for name in ("taxRateCode", "zeroTaxRateCode")}

    def tax_of(self, unit: str) -> tuple[Any, Any, Decimal]:
        """What the tax engine would take for a unit: regime, rate code, rate."""
        for row in self._entities():
            if row["businessUnit"] == unit:
                return row["taxRegimeCode"], row["taxRateCode"], row["taxRate"] or Decimal(0)
        return None, None, Decimal(0)

    def customer_set(self, unit: str) -> int | None:
        """Reference data set of the unit's customer sites."""
        return next((row["customerSetId"] for row in self._entities() if row["businessUnit"] == unit), None)

    # --- import --------------------------------------------------------------------------------------------------
    def run_import(self, task: str, files: list[Row]) -> None:
        """Take setup files in: rows of a list of values, recognised by the column that names them. Raises Refusal."""
        if task not in TASKS:
            raise not_valid(f"The setup task {task} is not valid.", "TaskCode", "ASM-40031")
        name, naming = TASKS[task]
        resource = RESOURCES[name]
        for file in files:
            for record in _records(file["FileContent"]):
                values = {column: _typed(resource, column, text) for column, text in record.items()}
                held = next((r for r in self._pod.tables[name].values() if r[naming] == values.get(naming)), None)
                if held is None:
                    row = self._pod.insert(resource, values)
                    if name == "ledgersLOV":
                        self._open_ledger(row)
                elif any(held[column] != value for column, value in values.items()):
                    self._pod.change(resource, held, values)

    def _open_ledger(self, ledger: Row) -> None:
        resource = RESOURCES["accountingPeriodStatusLOV"]
        for number in range(YEARS * 12):
            first = date(FIRST_YEAR + number // 12, number % 12 + 1, 1)
            last = date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)
            self._pod.insert(
                resource,
                {
                    "ApplicationId": RECEIVABLES_ID,
                    "LedgerId": ledger["LedgerId"],
                    "PeriodName": f"{first:%b-%y}",
                    "StartDate": first.isoformat(),
                    "EndDate": last.isoformat(),
                    "ClosingStatus": "C" if first.isoformat()[:7] in self.closed_periods else "O",
                },
            )


def _records(content: str) -> list[dict[str, str]]:
    try:
        text = base64.b64decode(content, validate=True).decode("utf-8")
    except ValueError as error:
        raise Refusal(400, "FileContent is not Base64 of a file.", code="ASM-40032") from error
    return list(csv.DictReader(io.StringIO(text)))


def _typed(resource: Resource, column: str, text: str) -> Any:
    attribute = resource.attributes.get(column)
    if attribute is None:
        raise not_valid(f"The column {column} is not known.", "FileContent", "ASM-40033")
    if not text:
        return None
    take: Callable[[str], Any] = {"int": int, "number": Decimal}.get(attribute.kind, str)
    try:
        return take(text)
    except (ValueError, InvalidOperation) as error:
        raise not_valid(f"{text} does not fit {column}.", "FileContent", "ASM-40034") from error
