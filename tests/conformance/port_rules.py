"""Rules about what the ports promise, whatever the vendor: the order of lists, `modified_since`, and absent records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from shared.errors.taxonomy import NotFound, PlatformError
from system_apis.manifest import load_manifest
from system_apis.ports.acts import acts_of
from tests.conformance.hooks import Hooks
from tests.conformance.scenarios import Bench, rule
from tests.conformance.small_firm import read_on

ROWS, LIMIT = 5, 2
DELIVERY = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77")
INVOICE = InvoiceStatus(
    invoice_ref="INV-7",
    period="2026-10",
    stage=InvoiceStage.POSTED,
    gross=Money.of("119.00", "EUR"),
    paid=Money.zero("EUR"),
)
REFUSED_WHERE_ABSENT: Mapping[str, tuple[object, ...]] = {
    "delivery_statuses.amend": (DELIVERY,),
    "invoice_statuses.amend": ("inv_1", INVOICE),
    "projects.close": (),
}
"""Acts on a record that must be there, and what they are given after its id; every `get` besides."""


class PortRules(Hooks):
    """Promises of `system_apis/ports`, asked of every method that the manifest says the connector has."""

    def _methods(self, bench: Bench) -> dict[str, Any]:
        """`crm contracts.find` → the port's method, for every act of `can`."""
        manifest = load_manifest(self.folder)
        can = {f"{entity}.{verb}" for entity, verbs in manifest.can.items() for verb in verbs}
        for_role = getattr(bench.connector, "for_role", lambda _: bench.connector)
        return {
            f"{role} {act}": getattr(for_role(role), method)
            for role in manifest.plays
            for act, method in acts_of(role).items()
            if act in can
        }

    async def _lists(self, bench: Bench) -> dict[str, Any]:
        """Every list by `modified_since`, with the rows that `paged_reads` can seed."""
        for seed in dict.fromkeys(paged.seed for paged in self.paged_reads(bench).values()):
            await seed(ROWS)
        return {name: method for name, method in self._methods(bench).items() if name.endswith(".list_since")}

    @rule("order_of_change")
    async def test_the_oldest_change_comes_first(self, bench: Bench) -> None:
        lists = await self._lists(bench)
        before = {name: {item.source.ref for item in await read_on(listed, LIMIT)} for name, listed in lists.items()}
        begun = {name: await listed(modified_since=None, cursor=None, limit=LIMIT) for name, listed in lists.items()}
        await asyncio.sleep(self.tick)
        await self.touch(bench)
        several: list[str] = []
        for name, listed in lists.items():
            told = [*begun[name].items]
            if (cursor := begun[name].next_cursor) is not None:
                told += await read_on(listed, LIMIT, cursor=cursor)
            lost = before[name] - {item.source.ref for item in told}
            assert not lost, (
                f"{name}: a record changed between two pages and these were lost: {', '.join(sorted(lost))}"
            )
            moments = [self.changed_at(item) for item in await read_on(listed, LIMIT)]
            assert moments == sorted(moments), f"{name}: not by their change, oldest first, across pages"
            several += [name] if len(set(moments)) > 1 else []
        assert several, (
            "the rows of each list changed at one instant, which shows no order: set `tick` above the vendor's "
            "granularity, or let `touch` change a listed record"
        )
        hints = await bench.connector.list_changes(None)
        occurred = [hint.occurred_at for hint in hints if hint.occurred_at]
        assert len(set(occurred)) > 1, "hints do not tell of several instants"
        assert occurred == sorted(occurred), "hints do not come oldest first"

    @rule("since")
    async def test_lists_and_changes_begin_at_the_instant_they_are_given(self, bench: Bench) -> None:
        told: list[str] = []
        for name, listed in (await self._lists(bench)).items():
            everything = {item.source.ref: self.changed_at(item) for item in await read_on(listed, LIMIT)}
            if not everything:
                continue
            told.append(name)
            moments = sorted(everything.values())
            middle = moments[len(moments) // 2]
            found = {item.source.ref for item in await read_on(listed, LIMIT, since=middle)}
            due = {ref for ref, moment in everything.items() if moment >= middle}
            assert due <= found, f"{name}: modified_since {middle} leaves out what changed at or after it"
            early = {ref for ref in found & everything.keys() if everything[ref] < middle - self.reach}
            assert not early, f"{name}: modified_since {middle} gives what changed before it"
            late = moments[-1] + self.reach + timedelta(seconds=1)
            idle = await read_on(listed, LIMIT, since=late)
            assert not idle, f"{name}: gives rows though nothing changed since {late}"
        assert told, "no list has a row: seed one in `paged_reads`"
        await self.change_something(bench)
        hints = await bench.connector.list_changes(None)
        occurred = [hint.occurred_at for hint in hints if hint.occurred_at]
        assert occurred, "no hint says when the change occurred"
        middle = sorted(occurred)[len(occurred) // 2]
        due = {hint.key for hint in hints if hint.occurred_at and hint.occurred_at >= middle}
        assert due <= {hint.key for hint in await bench.connector.list_changes(middle)}, (
            f"list_changes since {middle} leaves out what changed at or after it"
        )
        late = max(occurred) + self.overlap + timedelta(seconds=1)
        assert not await bench.connector.list_changes(late), f"hints are given though nothing changed since {late}"

    @rule("absent")
    async def test_what_is_not_there_is_none_or_not_found(self, bench: Bench) -> None:
        wrong: list[str] = []
        for name, method in self._methods(bench).items():
            _, act = name.split()
            verb = act.partition(".")[2]
            if verb == "find":
                outcome = await _told(lambda method=method: method(self.absent_ref))
                wrong += [f"{name}: {outcome}, not None"] if outcome != "None" else []
            elif verb == "get" or act in REFUSED_WHERE_ABSENT:
                more = REFUSED_WHERE_ABSENT.get(act, ())
                outcome = await _told(lambda method=method, more=more: method(self.absent_ref, *more))
                wrong += [f"{name}: {outcome}, not NotFound"] if outcome != "NotFound" else []
        assert not wrong, f"asked for {self.absent_ref}, which is not there: {'; '.join(wrong)}"


async def _told(ask: Callable[[], Awaitable[object]]) -> str:
    """What an act came to, in a word."""
    try:
        answer = await ask()
    except NotFound:
        return "NotFound"
    except PlatformError as error:
        return f"{type(error).__name__} ({error})"
    return "None" if answer is None else type(answer).__name__
