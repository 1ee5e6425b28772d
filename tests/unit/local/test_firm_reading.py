"""A firm's folder is read whole or refused with every problem named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from deploy.local.firm import Firm, FirmRefused, read_firm
from tests.factories.generated_firm import write_firm

SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "sandbox" / "firm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_firm(tmp_path / "firm", deals=6, entries_per_deal=6)


def problems(folder: Path) -> list[str]:
    with pytest.raises(FirmRefused) as refused:
        read_firm(folder)
    return [str(problem) for problem in refused.value.problems]


def edit(folder: Path, file: str, line: int, old: str, new: str) -> None:
    path = folder / file
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def append(folder: Path, file: str, row: str) -> int:
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_sample_firm_is_read_whole() -> None:
    firm: Firm = read_firm(SAMPLE)
    assert len(firm.won()) == 120
    assert len(firm["psa/time_entries.csv"]) == 37_537
    assert firm.expected is not None


def test_a_generated_firm_is_read_whole(folder: Path) -> None:
    assert len(read_firm(folder).won()) == 6


def test_a_byte_order_mark_and_further_columns_do_no_harm(folder: Path) -> None:
    path = folder / "crm/products.csv"
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\ufeff" + "\n".join(f"{row},x" for row in rows), encoding="utf-8")
    assert read_firm(folder)["crm/products.csv"][0]["product_code"] == "ADV"


def test_columns_that_do_not_matter_may_be_missing(folder: Path) -> None:
    path = folder / "psa/milestone_completions.csv"
    rows = [row.split(",") for row in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("\n".join(",".join((row[0], *row[2:])) for row in rows), encoding="utf-8")
    assert all(row["opportunity_id"] for row in read_firm(folder)["psa/milestone_completions.csv"])


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "nothing") == [f"{tmp_path / 'nothing'}: there is no such folder"]


def test_every_missing_file_is_named(folder: Path) -> None:
    (folder / "crm/accounts.csv").unlink()
    (folder / "fixes.csv").unlink()
    assert problems(folder) == ["crm/accounts.csv: the file is missing", "fixes.csv: the file is missing"]


def test_a_missing_column_is_named(folder: Path) -> None:
    edit(folder, "crm/accounts.csv", 1, "payment_share", "share")
    assert problems(folder) == ["crm/accounts.csv, line 1, column payment_share: the column is missing"]


@pytest.mark.parametrize(
    ("file", "line", "old", "new", "said"),
    [
        ("crm/accounts.csv", 2, ",1.00,", ",1.01,", "column payment_share: 1.01 is not between 0 and 1"),
        ("crm/accounts.csv", 2, ",false,", ",no,", "column po_required: 'no' is neither true nor false"),
        ("crm/accounts.csv", 2, ",US,", ",usa,", "column billing_country: 'usa' is not an ISO 3166"),
        ("crm/opportunities.csv", 2, "2025-05-02", "2025-02-30", "column close_date: '2025-02-30' is not a date"),
        ("crm/opportunities.csv", 2, "USD", "XYZ", "column currency: 'XYZ' is not an ISO 4217"),
        ("crm/opportunities.csv", 2, "2500", "2,500", "8 fields where the header has"),
        ("crm/opportunities.csv", 2, "2500", "1e3", "column amount: '1e3' is not a decimal number"),
        ("crm/opportunity_lines.csv", 2, "time_and_materials", "hourly", "column billing_model: 'hourly' is not one"),
        ("psa/time_entries.csv", 2, "D000-0", "", "column entry_id: is blank"),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_column(
    folder: Path, file: str, line: int, old: str, new: str, said: str
) -> None:
    edit(folder, file, line, old, new)
    [problem] = problems(folder)
    assert problem.startswith(f"{file}, line {line}")
    assert said.removeprefix("8 ") in problem


@pytest.mark.parametrize(
    ("hours", "said"),
    [("-1.00", "-1.00 is negative"), ("25", "25 hours on one day"), ("1.03", "1.03 is not a multiple of 0.05")],
)
def test_hours_that_cannot_be_are_refused(folder: Path, hours: str, said: str) -> None:
    line = append(folder, "psa/time_entries.csv", f"X-1,D000,WS1,1,,2025-06-01,{hours},true,true")
    assert problems(folder) == [f"psa/time_entries.csv, line {line}, column hours: {said}"]


def test_a_doubled_id_names_the_line_of_the_first(folder: Path) -> None:
    line = append(folder, "psa/time_entries.csv", "D000-0,D000,WS1,1,,2025-06-01,1.00,true,true")
    assert problems(folder) == [
        f"psa/time_entries.csv, line {line}, column entry_id: 'D000-0' stands in line 2 already"
    ]


def test_references_to_nothing_are_all_named(folder: Path) -> None:
    line = append(folder, "psa/time_entries.csv", "X-1,D999,WS1,99,,2025-06-01,1.00,true,true")
    assert problems(folder) == [
        f"psa/time_entries.csv, line {line}, column opportunity_id: 'D999' is not in crm/opportunities.csv",
        f"psa/time_entries.csv, line {line}, column user_id: '99' is not in psa/users.csv",
    ]


def test_hours_on_a_workstream_that_was_not_sold_are_refused(folder: Path) -> None:
    line = append(folder, "psa/time_entries.csv", "X-1,D000,WS9,1,,2025-06-01,1.00,true,true")
    assert problems(folder) == [
        f"psa/time_entries.csv, line {line}, column workstream: 'WS9' is not a workstream of D000"
    ]


def test_rates_that_overlap_are_refused(folder: Path) -> None:
    line = append(folder, "erp/rate_cards.csv", "CARD-NO-US,Advisor,USD,70,2025-06-30,2025-06-30")
    [problem] = problems(folder)
    assert f"erp/rate_cards.csv, line {line}, column effective_from: overlaps" in problem


def test_accounts_in_a_circle_are_refused(folder: Path) -> None:
    edit(folder, "crm/accounts.csv", 2, ",,retail", ",A1,retail")
    found = problems(folder)
    assert "crm/accounts.csv, line 2, column parent_account_id: the account stands above itself" in found


def test_a_won_deal_without_a_contract_is_refused(folder: Path) -> None:
    path = folder / "clm/contracts.csv"
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([rows[0], *rows[2:]]), encoding="utf-8")
    assert problems(folder) == ["crm/opportunities.csv, line 2, column opportunity_id: has no row in clm/contracts.csv"]


def test_a_fix_of_nothing_is_refused(folder: Path) -> None:
    line = append(folder, "fixes.csv", "tax_id,A77,DE1")
    assert problems(folder) == [f"fixes.csv, line {line}, column subject: 'A77' is not in crm/accounts.csv"]


def test_no_more_than_fifty_problems_are_listed(folder: Path) -> None:
    for number in range(60):
        append(folder, "psa/time_entries.csv", f"X-{number},D999,WS1,1,,2025-06-01,1.00,true,true")
    assert len(problems(folder)) == 50


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("crm/opportunities.csv", "amount"),
        ("crm/opportunity_lines.csv", "amount"),
        ("clm/milestones.csv", "amount"),
        ("clm/contracts.csv", "cap_amount"),
    ],
)
def test_an_amount_finer_than_its_currency_is_refused(folder: Path, file: str, column: str) -> None:
    line, row = rewritten(folder, file, {column: "100.015"})
    currency = currency_of(folder, row["opportunity_id"])
    knows = "no" if currency == "JPY" else "2"
    reason = f"100.015 is finer than {currency}: it has {knows} decimal places"
    assert problems(folder) == [f"{file}, line {line}, column {column}: {reason}"]


def test_half_a_yen_is_refused_and_a_yen_written_with_zeros_is_not(folder: Path) -> None:
    rewritten(folder, "crm/opportunities.csv", {"currency": "JPY", "amount": "100.50"})
    for file, column in (("crm/opportunity_lines.csv", "amount"), ("clm/milestones.csv", "amount")):
        path = folder / file
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        write(path, [row | {column: "100.00"} for row in rows])
    path = folder / "clm/contracts.csv"
    write(path, [row | {"cap_amount": ""} for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())])
    reason = "100.50 is finer than JPY: it has no decimal places"
    assert problems(folder) == [f"crm/opportunities.csv, line 2, column amount: {reason}"]


def test_a_rate_may_be_finer_than_its_currency(folder: Path) -> None:
    rewritten(folder, "erp/rate_cards.csv", {"rate": "100.0155"})
    read_firm(folder)


@pytest.mark.parametrize(
    ("file", "column", "most"),
    [
        ("crm/accounts.csv", "billing_city", 40),
        ("crm/accounts.csv", "billing_postal_code", 20),
        ("crm/accounts.csv", "billing_street", 255),
        ("crm/accounts.csv", "tax_id", 40),
        ("crm/accounts.csv", "name", 255),
        ("crm/opportunities.csv", "name", 120),
        ("crm/opportunities.csv", "owner", 121),
        ("crm/opportunities.csv", "region", 80),
        ("clm/milestones.csv", "name", 80),
        ("psa/time_entries.csv", "entry_id", 200),
    ],
)
def test_a_text_longer_than_the_systems_take_is_refused(folder: Path, file: str, column: str, most: int) -> None:
    rewritten(folder, file, {column: "x" * most})
    read_firm(folder)
    line, _ = rewritten(folder, file, {column: "x" * (most + 1)})
    reason = f"{most + 1} characters, but the systems it goes to take no more than {most}"
    assert problems(folder) == [f"{file}, line {line}, column {column}: {reason}"]


def test_a_fix_longer_than_the_systems_take_is_refused(folder: Path) -> None:
    account = next(csv.DictReader((folder / "crm/accounts.csv").read_text(encoding="utf-8").splitlines()))["account_id"]
    (folder / "fixes.csv").write_text(f"kind,subject,value\nbilling_address,{account},Street|{'c' * 41}|1\n", "utf-8")
    reason = f"'{'c' * 20}'… is longer than 40 characters"
    assert problems(folder) == [f"fixes.csv, line 2, column value: {reason}"]


def test_a_folder_where_a_file_is_expected_is_refused(folder: Path) -> None:
    (folder / "fixes.csv").unlink()
    (folder / "fixes.csv").mkdir()
    assert problems(folder) == ["fixes.csv: cannot be read: Is a directory"]


def rewritten(folder: Path, file: str, values: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Values put into the first row of a file; its line and what stood there."""
    path = folder / file
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    write(path, [rows[0] | values, *rows[1:]])
    return 2, rows[0]


def currency_of(folder: Path, opportunity: str) -> str:
    rows = csv.DictReader((folder / "crm/opportunities.csv").read_text(encoding="utf-8").splitlines())
    return next(row["currency"] for row in rows if row["opportunity_id"] == opportunity)


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
