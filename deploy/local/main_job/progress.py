"""How the main job shows where it is: live bars on a terminal, few lines elsewhere, nothing for --json."""

from __future__ import annotations

import time
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_LINE_EVERY = 5.0


class Display(Protocol):
    """What the job tells while it works."""

    def begin(self, heading: str) -> None:
        """A new phase."""
        ...

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` things; called often."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Silent:
    """Shows nothing."""

    def begin(self, heading: str) -> None:
        """Nothing."""

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


class Lines:
    """One line per thing finished, and one now and then while it lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, float] = {}
        self._finished: set[str] = set()
        self._what = ""
        self._latest = ""
        self._printed = ""

    def begin(self, heading: str) -> None:
        """A heading line."""
        self._catch_up()
        self._told.clear()
        self._finished.clear()
        self._what = ""
        self._console.print(f"== {heading}", highlight=False, markup=False)

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """A line when something begins, is first full, or has moved a while later; the last word always."""
        if what != self._what:
            self._catch_up()
            self._what = what
        self._latest = f"{what}: {done}/{total}{f' ({note})' if note else ''}"
        now = time.monotonic()
        is_first_end = done >= total and what not in self._finished
        if is_first_end:
            self._finished.add(what)
        if is_first_end or now - self._told.get(what, 0) >= _LINE_EVERY:
            self._told[what] = now
            self._catch_up()

    def _catch_up(self) -> None:
        """Print what was shown last, unless it is the line above."""
        if self._latest and self._latest != self._printed:
            self._printed = self._latest
            self._console.print(self._latest, highlight=False, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The last word is not withheld."""
        self._catch_up()


class Bars:
    """Live bars, one per thing counted."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._heading = ""
        self._tasks: dict[str, int] = {}

    def begin(self, heading: str) -> None:
        """Bars of the phase begin anew below the old ones."""
        self._tasks.clear()
        self._progress.console.rule(heading)

    def show(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move the bar."""
        if what not in self._tasks:
            self._tasks[what] = int(self._progress.add_task(what, total=total, note=note))
        for task in self._progress.tasks:
            if task.id == self._tasks[what]:
                self._progress.update(task.id, completed=done, total=total, note=note)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def display_for(console: Console, *, is_quiet: bool) -> Display:
    """The display that suits where the output goes."""
    if is_quiet:
        return Silent()
    return Bars(console) if console.is_terminal else Lines(console)
