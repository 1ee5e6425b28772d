"""Where there is no terminal every line says something new, and the last word on a thing is printed."""

from __future__ import annotations

import io

from rich.console import Console

from deploy.local.main_job.progress import Lines


def lines(*shown: tuple[str, int, int, str]) -> list[str]:
    printed = io.StringIO()
    with Lines(Console(file=printed, width=200)) as display:
        for one in shown:
            display.show(*one)
    return printed.getvalue().splitlines()


def test_a_line_is_not_repeated() -> None:
    assert lines(*[("deals", 3, 3, "")] * 4, ("cash", 1, 1, ""), ("cash", 1, 1, "")) == ["deals: 3/3", "cash: 1/1"]


def test_the_final_number_is_printed_although_the_count_seemed_full_before() -> None:
    shown = [("work", 100, 101, "running"), ("work", 200, 201, "running"), ("work", 350, 350, "drafted")]
    assert lines(*shown) == ["work: 100/101 (running)", "work: 350/350 (drafted)"]
    assert lines(("work", 1, 1, ""), ("work", 2, 2, ""), ("work", 9, 9, ""), ("cash", 1, 1, "")) == [
        "work: 1/1",
        "work: 9/9",
        "cash: 1/1",
    ]


def test_the_last_word_is_printed_when_nothing_follows() -> None:
    assert lines(("deals", 2, 2, "1 activated"), ("deals", 2, 2, "2 activated")) == [
        "deals: 2/2 (1 activated)",
        "deals: 2/2 (2 activated)",
    ]
