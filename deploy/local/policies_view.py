"""How policy chains and their risks look on a terminal; explained chains enter, nothing is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shared.gateway.explain import Explained, Explanation
from shared.gateway.risks import Risk

_SHOWN_OPERATIONS = 3
_UNBROKEN = "\N{NO-BREAK SPACE}"
_ORIGINS = {
    "tier": "dim",
    "registry": "dim",
    "api": "cyan",
    "version": "cyan",
    "operation": "green",
}
_UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def explained_view(out: Console, explained: Explanation, *, with_defaults: bool) -> None:
    """The chain as a table, phase by phase, and what is off."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("phase", style="dim", no_wrap=True)
    table.add_column("policy", style="bold", no_wrap=True)
    table.add_column("settings", ratio=1)
    table.add_column("from", no_wrap=True)
    phase = ""
    for one in explained.chain:
        if one.settings is None:
            continue
        table.add_row(
            one.phase.value if one.phase.value != phase else "",
            one.policy,
            _settings(one, with_defaults=with_defaults),
            _origin(one.origin),
        )
        phase = one.phase.value
    off = [one for one in explained.chain if one.settings is None]
    parts: list[Any] = [_title(explained), table]
    if off:
        told = ", ".join(f"{one.policy} ({one.note})" for one in off)
        parts.append(Padding(Text(f"off: {told}", style="dim"), (0, 0, 1, 0)))
    out.print(Group(*parts))


def _title(explained: Explanation) -> Panel:
    operation, facts = explained.operation, explained.facts
    lines = Text()
    lines.append(f"{explained.api.title}", style="bold").append(
        f" · {explained.tier} tier · {operation.version}, release {facts.release}, {facts.lifecycle.state.value}\n"
    )
    if explained.public:
        lines.append("open to everybody: ", style="yellow").append(explained.public)
    else:
        lines.append("needs the scope ").append(" and ".join(operation.scopes) or "one", style="green")
        if operation.one_of:
            lines.append(" of ").append(", ".join(operation.one_of), style="green")
    if explained.plan:
        lines.append("\nas a caller with the plan ").append(explained.plan, style="magenta").append(" meets it")
    return Panel(lines, title=Text(operation.name, style="bold"), title_align="left", box=box.ROUNDED, expand=False)


def _settings(one: Explained, *, with_defaults: bool) -> Text:
    text = Text()
    if one.is_dry:
        text.append(" DRY RUN ", style="black on yellow").append(" ")
    assert one.settings is not None  # noqa: S101 - asked for by the caller
    shown = {name: value for name, value in one.settings.items() if value not in ({}, [], None)}
    said = [_setting(name, value) for name, value in shown.items() if name in one.declared]
    defaults = [_setting(name, value) for name, value in shown.items() if name not in one.declared]
    text.append_text(Text(", ").join(said) if said else Text("by default", style="dim"))
    if defaults and with_defaults:
        default_text = Text(", ").join(defaults)
        default_text.stylize("dim")
        text.append("\n").append_text(default_text)
    if one.note:
        text.append(f"\n{one.note}", style="magenta")
    return text


def _setting(name: str, value: Any) -> Text:
    if name == "windows":
        return Text(", ".join(f"{one['name']} {one['requests']}/{_span(one['per_seconds'])}" for one in value), "green")
    if name == "fields":
        told = [f"{path} {one['then']} unless {one['unless_scope']}" for path, one in value.items()]
        return Text(", ".join(told), "yellow")
    if name in {"needed", "one_of"}:
        return Text.assemble(("one of " if name == "one_of" else "", "dim"), (_said(value), "green"))
    return Text.assemble((f"{name}: ", "dim"), _said(value))


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return f"{{{', '.join(f'{name}: {_said(one)}' for name, one in entries.items())}}}"
    if isinstance(value, list):
        return " ".join(_said(one) for one in cast("list[Any]", value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _span(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return unit if seconds == size and unit != "s" else f"{seconds // size} {unit}"


def _origin(origin: str) -> Text:
    return Text(origin, style=_ORIGINS.get(origin, "magenta"))


def checked_view(
    out: Console, problems: Sequence[str], warnings: Sequence[Risk], operations: Mapping[str, int], apis: int
) -> None:
    """What is wrong, what deserves a second look, and a sentence about the whole."""
    for problem in problems:
        out.print(Text.assemble(("✗ ", "bold red"), problem))
    if warnings:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("", no_wrap=True)
        table.add_column("where", no_wrap=True)
        table.add_column("what to know", ratio=1)
        for risk in warnings:
            is_dry = risk.rule == "dry-run"
            table.add_row(Text("DRY" if is_dry else "!", style="bold yellow"), risk.where, _risk(risk))
        out.print(table)
    told = ", ".join(f"{tier} {count}" for tier, count in operations.items())
    counted = (
        f"{sum(operations.values())} operations of {apis} APIs ({told})" if operations else "nothing could be read"
    )
    verdict = ("cannot be used", "bold red") if problems else ("can be used", "bold green")
    warned = f", {len(warnings)} warnings" if warnings else ""
    out.print(Text.assemble("The policy documents ", verdict, f": {counted}{warned}."))


def _risk(risk: Risk) -> Text:
    text = Text(risk.text)
    if risk.operations:
        shown = ", ".join(name.replace(" ", _UNBROKEN) for name in risk.operations[:_SHOWN_OPERATIONS])
        more = len(risk.operations) - _SHOWN_OPERATIONS
        text.append(f"\n{shown}{f' and {more} more' if more > 0 else ''}", style="dim")
    return text
