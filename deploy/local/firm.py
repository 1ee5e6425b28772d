"""Reads a folder in the sample firm's format, whole or not at all: every problem names file, line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from deploy.local.firm_format import AMOUNTS, FIX_LENGTHS, FIX_SUBJECTS, TABLES, Table
from shared.canonical.money import minor_digits, rounded

WON = "Closed Won"
_MOST_PROBLEMS = 50

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a firm's file that cannot be used; `line` 0 is the file as a whole."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        """`crm/accounts.csv, line 3, column tax_id: too long`."""
        where = [
            self.file,
            *([f"line {self.line}"] if self.line else []),
            *([f"column {self.column}"] if self.column else []),
        ]
        return f"{', '.join(where)}: {self.reason}"


class FirmRefused(Exception):
    """The folder is not a firm in the sample format; nothing of it was loaded."""

    def __init__(self, folder: Path, problems: list[Problem], *, more: bool = False) -> None:
        """`more`: there were more problems than are listed."""
        self.problems = tuple(problems)
        listed = "\n".join(f"  {problem}" for problem in problems)
        rest = "\n  … and more" if more else ""
        super().__init__(f"The firm in {folder} cannot be used; nothing was loaded:\n{listed}{rest}")


@dataclass(frozen=True, slots=True)
class Firm:
    """A firm's tables, checked; rows keep the texts of the files, missing optional columns are filled."""

    folder: Path
    tables: Mapping[str, list[Row]]

    def __getitem__(self, file: str) -> list[Row]:
        """The rows of a file, e.g. `firm["crm/accounts.csv"]`."""
        return self.tables[file]

    def legal_entities(self) -> tuple[str, ...]:
        """Codes of the firm's companies."""
        return tuple(row["code"] for row in self["erp/legal_entities.csv"])

    def won(self) -> list[Row]:
        """The opportunities that are deals."""
        return [row for row in self["crm/opportunities.csv"] if row["stage"] == WON]

    @property
    def expected(self) -> Path | None:
        """The folder of expected results, where the firm brings one."""
        folder = self.folder / "expected"
        return folder if folder.is_dir() else None


class _Problems:
    """Collects up to the cap, then gives up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: list[Problem] = []

    def add(self, file: str, line: int, column: str, reason: str) -> None:
        if len(self._found) == _MOST_PROBLEMS:
            raise FirmRefused(self._folder, self._found, more=True)
        self._found.append(Problem(file, line, column, reason))

    def refuse_any(self) -> None:
        if self._found:
            raise FirmRefused(self._folder, self._found)


@dataclass(frozen=True, slots=True)
class _Sheet:
    file: str
    rows: list[Row]
    lines: list[int]

    def numbered(self) -> Iterable[tuple[int, Row]]:
        return zip(self.lines, self.rows, strict=True)


def read_firm(folder: Path) -> Firm:
    """Read and check everything. Raises FirmRefused with all problems (the first fifty)."""
    problems = _Problems(folder)
    if not folder.is_dir():
        problems.add(str(folder), 0, "", "there is no such folder")
        problems.refuse_any()
    sheets = {file: _read(folder, file, table, problems) for file, table in TABLES.items()}
    problems.refuse_any()  # references are only meaningful among readable rows
    for sheet in sheets.values():
        _check_references(sheet, sheets, problems)
    problems.refuse_any()
    _complete(sheets)
    _check_deals(sheets, problems)
    _check_amounts(sheets, problems)
    _check_rate_cards(sheets["erp/rate_cards.csv"], problems)
    _check_parents(sheets["crm/accounts.csv"], problems)
    _check_fixes(sheets, problems)
    problems.refuse_any()
    return Firm(folder, {file: sheet.rows for file, sheet in sheets.items()})


def _read(folder: Path, file: str, table: Table, problems: _Problems) -> _Sheet:
    sheet = _Sheet(file, [], [])
    try:
        with (folder / file).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, list[str]())
            if _check_header(file, header, table, problems):
                for cells in reader:
                    if cells:
                        _take(sheet, reader.line_num, cells, header, problems)
    except FileNotFoundError:
        problems.add(file, 0, "", "the file is missing")
    except OSError as error:
        problems.add(file, 0, "", f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        problems.add(file, 0, "", f"not UTF-8 text: {error.reason} at byte {error.start}")
    except csv.Error as error:
        problems.add(file, (sheet.lines[-1] if sheet.lines else 1) + 1, "", f"not readable as CSV: {error}")
    seen: dict[tuple[str, ...], int] = {}
    for line, row in sheet.numbered():
        _check_row(file, line, row, table, problems)
        key = tuple(row[column] for column in table.key)
        if (first := seen.setdefault(key, line)) != line:
            problems.add(file, line, ", ".join(table.key), f"{' / '.join(key)!r} stands in line {first} already")
    return sheet


def _check_header(file: str, header: list[str], table: Table, problems: _Problems) -> bool:
    missing = [name for name, column in table.columns.items() if column.default is None and name not in header]
    doubled = sorted({name for name in header if header.count(name) > 1})
    for name in missing:
        problems.add(file, 1, name, "the column is missing")
    for name in doubled:
        problems.add(file, 1, name, "the column stands there twice")
    return not missing and not doubled


def _take(sheet: _Sheet, line: int, cells: list[str], header: list[str], problems: _Problems) -> None:
    if len(cells) != len(header):
        problems.add(sheet.file, line, "", f"{len(cells)} fields where the header has {len(header)}")
        return
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name, column in TABLES[sheet.file].columns.items():
        row[name] = row.get(name, "") or column.default or ""
    sheet.rows.append(row)
    sheet.lines.append(line)


def _check_row(file: str, line: int, row: Row, table: Table, problems: _Problems) -> None:
    for name, column in table.columns.items():
        if row[name]:
            reason = column.check(row[name])
        else:
            reason = None if column.is_blank_allowed or column.default is not None else "is blank"
        if reason:
            problems.add(file, line, name, reason)


def _check_references(sheet: _Sheet, sheets: Mapping[str, _Sheet], problems: _Problems) -> None:
    for name, column in TABLES[sheet.file].columns.items():
        if column.refers_to is None:
            continue
        file, target = column.refers_to
        known = {row[target] for row in sheets[file].rows}
        for line, row in sheet.numbered():
            if row[name] and row[name] not in known:
                problems.add(sheet.file, line, name, f"{row[name]!r} is not in {file}")


def _complete(sheets: Mapping[str, _Sheet]) -> None:
    for row in sheets["crm/opportunities.csv"].rows:
        row["name"] = row["name"] or row["opportunity_id"]
    for file in ("crm/products.csv", "erp/service_items.csv"):
        for row in sheets[file].rows:
            row["name"] = row["name"] or row["product_code"]
    for row in sheets["erp/legal_entities.csv"].rows:
        row["name"] = row["name"] or row["code"]
    for row in sheets["psa/users.csv"].rows:
        row["username"] = row["username"] or f"user{row['user_id']}"
    lines = {row["line_id"]: row for row in sheets["crm/opportunity_lines.csv"].rows}
    for row in lines.values():
        row["unit_price"] = row["unit_price"] or row["amount"]
    milestones = {row["milestone_id"]: row for row in sheets["clm/milestones.csv"].rows}
    for row in milestones.values():
        for column in ("opportunity_id", "workstream"):
            row[column] = row[column] or lines[row["line_id"]][column]
    for row in sheets["psa/milestone_completions.csv"].rows:
        row["opportunity_id"] = row["opportunity_id"] or milestones[row["milestone_id"]]["opportunity_id"]


def _check_deals(sheets: Mapping[str, _Sheet], problems: _Problems) -> None:
    contracts: dict[str, int] = {}
    for line, row in sheets["clm/contracts.csv"].numbered():
        if (first := contracts.setdefault(row["opportunity_id"], line)) != line:
            problems.add("clm/contracts.csv", line, "opportunity_id", f"its contract stands in line {first} already")
    lines = {row["line_id"]: row for row in sheets["crm/opportunity_lines.csv"].rows}
    sold = {(row["opportunity_id"], row["workstream"]) for row in lines.values()}
    with_lines = {opportunity for opportunity, _ in sold}
    for line, row in sheets["crm/opportunities.csv"].numbered():
        if row["stage"] == WON and row["opportunity_id"] not in contracts:
            problems.add("crm/opportunities.csv", line, "opportunity_id", "has no row in clm/contracts.csv")
        if row["stage"] == WON and row["opportunity_id"] not in with_lines:
            problems.add("crm/opportunities.csv", line, "opportunity_id", "has no row in crm/opportunity_lines.csv")
    _check_workstreams(sheets, lines, sold, problems)


def _check_workstreams(
    sheets: Mapping[str, _Sheet], lines: Mapping[str, Row], sold: set[tuple[str, str]], problems: _Problems
) -> None:
    for line, row in sheets["psa/time_entries.csv"].numbered():
        if (row["opportunity_id"], row["workstream"]) not in sold:
            reason = f"{row['workstream']!r} is not a workstream of {row['opportunity_id']}"
            problems.add("psa/time_entries.csv", line, "workstream", reason)
    for line, row in sheets["clm/milestones.csv"].numbered():
        for column in ("opportunity_id", "workstream"):
            if row[column] != lines[row["line_id"]][column]:
                problems.add("clm/milestones.csv", line, column, f"differs from that of line {row['line_id']}")


def _check_amounts(sheets: Mapping[str, _Sheet], problems: _Problems) -> None:
    currencies = {row["opportunity_id"]: row["currency"] for row in sheets["crm/opportunities.csv"].rows}
    for file, column in AMOUNTS.items():
        for line, row in sheets[file].numbered():
            currency = currencies[row["opportunity_id"]]
            if row[column] and rounded(Decimal(row[column]), currency) != Decimal(row[column]):
                knows = minor_digits(currency) or "no"
                problems.add(
                    file, line, column, f"{row[column]} is finer than {currency}: it has {knows} decimal places"
                )


def _check_rate_cards(sheet: _Sheet, problems: _Problems) -> None:
    currencies: dict[str, str] = {}
    until: dict[tuple[str, str], tuple[str, int]] = {}
    for line, row in sorted(sheet.numbered(), key=lambda numbered: numbered[1]["effective_from"]):
        card, ends = row["rate_card"], row["effective_to"] or "9999-12-31"
        if currencies.setdefault(card, row["currency"]) != row["currency"]:
            problems.add(sheet.file, line, "currency", f"card {card} is in {currencies[card]} elsewhere")
        if ends < row["effective_from"]:
            problems.add(sheet.file, line, "effective_to", "is before effective_from")
        before = until.get((card, row["role"]))
        if before and before[0] >= row["effective_from"]:
            problems.add(sheet.file, line, "effective_from", f"overlaps the rate of the same role in line {before[1]}")
        until[card, row["role"]] = (ends, line)


def _check_parents(sheet: _Sheet, problems: _Problems) -> None:
    parents = {row["account_id"]: row["parent_account_id"] for row in sheet.rows}
    for line, row in sheet.numbered():
        above, steps = row["parent_account_id"], 0
        while above and above != row["account_id"] and steps <= len(parents):
            above, steps = parents[above], steps + 1
        if above == row["account_id"]:
            problems.add(sheet.file, line, "parent_account_id", "the account stands above itself")


def _check_fixes(sheets: Mapping[str, _Sheet], problems: _Problems) -> None:
    for line, row in sheets["fixes.csv"].numbered():
        file, column = FIX_SUBJECTS[row["kind"]]
        if row["subject"] not in {known[column] for known in sheets[file].rows}:
            problems.add("fixes.csv", line, "subject", f"{row['subject']!r} is not in {file}")
        lengths = FIX_LENGTHS[row["kind"]]
        parts = row["value"].split("|") if row["kind"] == "billing_address" else [row["value"]]
        if len(parts) != len(lengths):
            problems.add("fixes.csv", line, "value", "is not street|city|postal code")
        for part, most in zip(parts, lengths, strict=False):
            if len(part) > most:
                problems.add("fixes.csv", line, "value", f"{part[:20]!r}… is longer than {most} characters")
        if row["kind"] == "contract_status" and row["value"] not in {"approved", "in_review"}:
            problems.add("fixes.csv", line, "value", f"{row['value']!r} is not one of approved, in_review")
