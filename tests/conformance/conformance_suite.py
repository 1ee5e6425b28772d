"""The conformance suite every connector's test class inherits; it knows the ports and the simulator kit, no vendor.

A subclass is named `Test<Vendor>`, sets the class attributes, writes the hooks. `conformance.yaml` in the connector's
folder scores every rule: `simulated`, `{verified: date}` or `{exempt: reason}`; exempt rules are skipped.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import pytest

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Subscription, standard_webhooks
from deploy.sandbox.kit.faults import FaultKind
from shared.errors.taxonomy import (
    CredentialsRefused,
    InvalidRequest,
    NotAuthenticated,
    OutcomeUnknown,
    VendorDrift,
    VendorThrottled,
    VendorTrouble,
    VendorUnavailable,
)
from system_apis.fields import load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, WebhookDelivery, WebhookIntake
from system_apis.scorecard import load_scorecard
from tests.conformance.served import Mailbox, Sandbox, Serve, free_port

READ_VERBS = {"find", "get", "list", "list_since", "list_changes", "describe", "read_feed"}
WEBHOOK_SECRET = "conformance-webhook-secret"
Case = TypeVar("Case", bound=Callable[..., object])


class Connector(Protocol):
    """What the suite needs of a connector besides its ports."""

    @property
    def manifest(self) -> Manifest: ...

    async def ping(self) -> object: ...

    async def list_changes(self, since: Any) -> Sequence[ChangeHint]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Bench:
    """A served simulator with the connector opened on it, and whatever `prepare` put there."""

    sandbox: Sandbox
    connector: Any
    binding: Binding
    seeded: Any = None


@dataclass(frozen=True)
class Variant:
    """A way the vendor may be: connector settings and simulator switches for what its documents leave unconfirmed."""

    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    switches: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Moved:
    """A tenant's override: the canonical field `entity.name` stands at `path` with `values`; `read` gives that field.

    `prepare` puts a record into the simulator that has the value there and nowhere else; `read` must give `expected`.
    """

    entity: str
    name: str
    path: str
    prepare: Callable[[], Awaitable[object]]
    read: Callable[[Any], Awaitable[object]]
    expected: object
    values: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Write:
    """A port write. `count` asks the simulator over its own wire how many records there are of what is written.

    `route` finds the vendor's writing calls (regular expression on `METHOD /path?query`); one clean write makes `steps`
    of them and the answer is cut at each in turn. A clean write, once or often, leaves `expected` records.
    """

    do: Callable[[], Awaitable[object]]
    count: Callable[[], Awaitable[int]]
    route: str
    steps: int = 1
    expected: int = 1


@dataclass(frozen=True)
class PagedRead:
    """A list of the port, read whole: `seed` makes the simulator hold so many rows and answers their distinct names,
    `read` gives the names the connector sees when every page is read (through cursors), `route` finds the page calls.
    """

    seed: Callable[[int], Awaitable[Sequence[str]]]
    read: Callable[[], Awaitable[Sequence[str]]]
    route: str
    rows: int
    pages: int = 4


@dataclass(frozen=True)
class Drift:
    """A read that must fail when the vendor's answer lacks `field` (as the vendor spells it)."""

    read: Callable[[], Awaitable[object]]
    route: str
    field: str


def rule(name: str) -> Callable[[Case], Case]:
    """Marks the test that proves a rule of the scorecard."""

    def mark(test: Case) -> Case:
        test.rule = name  # type: ignore[attr-defined] # functions take attributes
        return test

    return mark


class ConformanceSuite(ABC):
    """Inherit, set the class attributes, write the hooks."""

    folder: ClassVar[Path]
    writes: ClassVar[tuple[str, ...]]  # `<entity>.<verb>` as in the manifest's `can`
    read_route: ClassVar[str]  # finds the vendor calls that `plain_read` makes
    token_route: ClassVar[str] = "^$"  # finds the vendor calls that get a session; nothing for static tokens
    variants: ClassVar[Mapping[str, Variant]] = {"documented": Variant()}  # every rule is shown with each of them

    # --- hooks -----------------------------------------------------------------------------------------------------
    @abstractmethod
    def simulator(self) -> Simulator:
        """A fresh, empty simulator."""

    @abstractmethod
    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        """Settings and secrets for a simulator there (`webhook_secret`: WEBHOOK_SECRET); unknown: to be refused."""

    @abstractmethod
    def connect(self, binding: Binding) -> Any:
        """The connector, opened."""

    async def prepare(self, sandbox: Sandbox) -> object:
        """Put what the writes and reads presuppose into the simulator, over its wire; kept as `bench.seeded`."""
        del sandbox
        return None

    @abstractmethod
    async def plain_read(self, bench: Bench) -> object:
        """A cheap read through the port that calls `read_route` (not cached by the connector)."""

    @abstractmethod
    async def write(self, bench: Bench, name: str) -> Write:
        """The scenario of one of `writes`; may make what it presupposes (a contract's customer) through the port."""

    @abstractmethod
    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        """At least one list of the port."""

    @abstractmethod
    def drifts(self, bench: Bench) -> Sequence[Drift]:
        """At least one read with a field it cannot do without."""

    @abstractmethod
    async def change_something(self, bench: Bench) -> str:
        """Change, over the wire, a record that `list_changes` and the webhooks tell about; its entity."""

    def intake(self, binding: Binding) -> WebhookIntake | None:
        """The webhook intake, where the vendor can push."""
        del binding
        return None

    def signed_again(self, delivery: WebhookDelivery, body: bytes) -> WebhookDelivery:
        """The delivery with another body, properly signed; Standard Webhooks unless the vendor has a way of its own."""
        target = Subscription(url="http://127.0.0.1/hook", secret=WEBHOOK_SECRET)
        headers = {**delivery.headers, **standard_webhooks(target, delivery.headers["webhook-id"], body)}
        return WebhookDelivery(headers, body, delivery.received_at)

    def moved(self, bench: Bench) -> Moved | None:
        """A custom field of a tenant's own; None: exempt the rule `overrides`."""
        del bench
        return None

    async def lose_position(self, bench: Bench) -> None:
        """Make the vendor forget the feed's positions (`read_feed`); connectors without a feed exempt the rule."""
        del bench
        raise AssertionError("no way to lose a position: exempt the rule feed")

    # --- machinery -------------------------------------------------------------------------------------------------
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every write is its own test case."""
        if "write_name" in metafunc.fixturenames:
            metafunc.parametrize("write_name", self.writes)
        if "bench" in metafunc.fixturenames and len(self.variants) > 1:
            metafunc.parametrize("bench", list(self.variants), indirect=True)

    @pytest.fixture(autouse=True)
    def _exempt(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.function, "rule", None)
        score = load_scorecard(self.folder).rules.get(name) if name else None
        if score is not None and score.exempt:
            pytest.skip(f"exempt: {score.exempt}")

    @asynccontextmanager
    async def _opened(self, binding: Binding) -> AsyncGenerator[Any]:
        connector = self.connect(binding)
        try:
            yield connector
        finally:
            await connector.aclose()

    @pytest.fixture
    async def bench(self, request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Bench]:
        variant = self.variants[getattr(request, "param", next(iter(self.variants)))]
        sandbox = await serve(self.simulator())
        if variant.switches:
            assert sandbox.simulator.configure is not None
            sandbox.simulator.configure(dict(variant.switches))
        known = self.binding(sandbox.base_url)
        binding = replace(known, settings={**known.settings, **variant.settings})
        seeded = await self.prepare(sandbox)
        async with self._opened(binding) as connector:
            yield Bench(sandbox, connector, binding, seeded)

    # --- facts -----------------------------------------------------------------------------------------------------
    @rule("manifest")
    def test_the_manifest_loads_and_is_named_like_its_folder(self) -> None:
        manifest = load_manifest(self.folder)
        assert manifest.name == self.folder.name
        abilities = {entity: set(verbs) for entity, verbs in manifest.can.items()}
        denied = [key for key in manifest.cannot if key.partition(".")[2] in abilities.get(key.partition(".")[0], ())]
        assert not denied, "declared both as can and as cannot"

    @rule("repeat_declared")
    def test_every_write_declares_how_a_repeat_is_recognised_and_has_a_scenario(self) -> None:
        manifest = load_manifest(self.folder)
        writes = {
            f"{entity}.{verb}" for entity, verbs in manifest.can.items() for verb in verbs if verb not in READ_VERBS
        }
        assert set(manifest.repeat) == writes
        assert set(self.writes) == writes

    def test_every_rule_is_done_or_exempt_with_a_reason(self) -> None:
        tests = (getattr(self, name) for name in dir(type(self)) if name.startswith("test_"))
        known = {name for test in tests if (name := getattr(test, "rule", None))}
        card = load_scorecard(self.folder)
        assert card.connector == self.folder.name
        assert set(card.rules) == known
        assert not [name for name, score in card.rules.items() if not score.is_settled]

    # --- reading ---------------------------------------------------------------------------------------------------
    @rule("paging")
    async def test_lists_longer_than_three_pages_come_whole_and_once(self, bench: Bench) -> None:
        for name, paged in self.paged_reads(bench).items():
            seeded = await paged.seed(paged.rows)
            before = bench.sandbox.calls(paged.route)
            seen = await paged.read()
            assert sorted(seen) == sorted(seeded), name
            assert bench.sandbox.calls(paged.route) - before >= paged.pages, f"{name}: fewer pages than promised"

    @rule("session_refresh")
    async def test_an_expired_session_is_renewed_once(self, bench: Bench) -> None:
        await self.plain_read(bench)
        before = bench.sandbox.calls(self.token_route)
        bench.sandbox.fault(FaultKind.SESSION_EXPIRED, self.read_route)
        await self.plain_read(bench)
        assert bench.sandbox.calls(self.token_route) == before + 1

    @rule("session_refresh")
    async def test_a_session_that_keeps_expiring_is_given_up(self, bench: Bench) -> None:
        await self.plain_read(bench)
        before = bench.sandbox.calls(self.token_route)
        bench.sandbox.fault(FaultKind.SESSION_EXPIRED, self.read_route, times=None)
        with pytest.raises((CredentialsRefused, VendorTrouble)):
            await self.plain_read(bench)
        assert bench.sandbox.calls(self.token_route) <= before + 2

    @rule("throttling")
    async def test_a_throttled_read_waits_and_succeeds(self, bench: Bench) -> None:
        await self.plain_read(bench)
        fault = bench.sandbox.fault(FaultKind.THROTTLED, self.read_route, times=2)
        await self.plain_read(bench)
        assert bench.sandbox.has_struck(fault)

    @rule("throttling")
    async def test_lasting_throttling_is_told_as_such(self, bench: Bench) -> None:
        await self.plain_read(bench)
        bench.sandbox.fault(FaultKind.THROTTLED, self.read_route, times=None)
        with pytest.raises(VendorThrottled):
            await self.plain_read(bench)

    @rule("tolerance")
    async def test_unknown_fields_are_tolerated(self, bench: Bench) -> None:
        bench.sandbox.fault(FaultKind.EXTRA_FIELDS, times=None)
        await self.plain_read(bench)
        for drift in self.drifts(bench):
            await drift.read()

    @rule("drift")
    async def test_a_missing_field_is_drift_that_names_field_and_vendor(self, bench: Bench) -> None:
        for drift in self.drifts(bench):
            await drift.read()
            bench.sandbox.fault(FaultKind.MISSING_FIELD, drift.route, times=None, field=drift.field)
            with pytest.raises(VendorDrift) as caught:
                await drift.read()
            bench.sandbox.heal()
            told = " ".join(
                [caught.value.message, caught.value.detail or "", *(f.field for f in caught.value.findings)]
            )
            assert drift.field.lower() in told.lower()
            assert self.folder.name in told.lower()

    # --- writing ---------------------------------------------------------------------------------------------------
    @rule("writes")
    async def test_a_write_repeated_leaves_one_record(self, bench: Bench, write_name: str) -> None:
        write = await self.write(bench, write_name)
        before = await write.count()
        await write.do()
        await write.do()
        assert await write.count() - before == write.expected

    @rule("repeat_after_cut")
    async def test_a_write_whose_answer_is_cut_is_recognised_when_repeated(self, bench: Bench, write_name: str) -> None:
        await self._cut(bench, write_name, FaultKind.CUT_AFTER)

    @rule("repeat_after_cut")
    async def test_a_write_that_never_arrived_is_made_when_repeated(self, bench: Bench, write_name: str) -> None:
        await self._cut(bench, write_name, FaultKind.CUT_BEFORE)

    async def _cut(self, bench: Bench, write_name: str, kind: FaultKind) -> None:
        manifest = load_manifest(self.folder)
        write = await self.write(bench, write_name)
        before = await write.count()
        for step in range(write.steps):
            fault = bench.sandbox.fault(kind, write.route, skip=step)
            with suppress(OutcomeUnknown):
                await write.do()
            assert bench.sandbox.has_struck(fault), f"{write.route} has no call number {step + 1}"
            bench.sandbox.heal()
            if manifest.repeat[write_name] == "not_recognisable":
                return
        await write.do()
        assert await write.count() - before == write.expected

    # --- trouble ---------------------------------------------------------------------------------------------------
    @rule("vendor_down")
    async def test_a_vendor_that_is_down_is_unavailable(self) -> None:
        binding = self.binding(f"http://127.0.0.1:{free_port()}/{self.folder.name}")
        async with self._opened(binding) as connector:
            with pytest.raises(VendorUnavailable):
                await connector.ping()

    @rule("bad_credentials")
    async def test_refused_credentials_are_told_as_such(self, serve: Serve) -> None:
        sandbox = await serve(self.simulator())
        async with self._opened(self.binding(sandbox.base_url, is_known=False)) as connector:
            with pytest.raises(CredentialsRefused):
                await connector.ping()

    # --- changes ---------------------------------------------------------------------------------------------------
    @rule("change_poll")
    async def test_a_change_is_hinted_with_a_stable_key(self, bench: Bench) -> None:
        entity = await self.change_something(bench)
        first = await bench.connector.list_changes(None)
        again = await bench.connector.list_changes(None)
        assert entity in {hint.entity for hint in first}
        assert [hint.key for hint in first] == [hint.key for hint in again]
        assert len({hint.key for hint in first}) == len(first)

    async def _delivered(self, bench: Bench, mail: Mailbox) -> WebhookDelivery:
        box = bench.sandbox.simulator.deliveries
        assert box is not None, "the simulator pushes nothing: exempt the rule"
        box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
        await self.change_something(bench)
        return await mail.first()

    def _intake(self, bench: Bench) -> WebhookIntake:
        intake = self.intake(bench.binding)
        assert intake is not None, "no intake: exempt the rule"
        return intake

    @rule("webhook_same_hint")
    async def test_webhook_and_poll_hint_at_the_same_record(self, bench: Bench, mail: Mailbox) -> None:
        delivery = await self._delivered(bench, mail)
        pushed = self._intake(bench).read(delivery)
        polled = await bench.connector.list_changes(None)
        assert pushed
        assert {(hint.entity, hint.ref) for hint in pushed} <= {(hint.entity, hint.ref) for hint in polled}

    @rule("webhook_signature")
    async def test_a_tampered_stale_or_unsigned_delivery_is_refused(self, bench: Bench, mail: Mailbox) -> None:
        good = await self._delivered(bench, mail)
        intake = self._intake(bench)
        assert intake.read(good)
        tampered = WebhookDelivery(good.headers, good.body + b" ", good.received_at)
        late = WebhookDelivery(good.headers, good.body, good.received_at + timedelta(minutes=6))
        early = WebhookDelivery(good.headers, good.body, good.received_at - timedelta(minutes=6))
        bare = WebhookDelivery({"content-type": "application/json"}, good.body, good.received_at)
        for bad in (tampered, late, early, bare):
            with pytest.raises(NotAuthenticated):
                intake.read(bad)

    @rule("webhook_signature")
    async def test_a_signed_delivery_that_cannot_be_read_is_an_invalid_request(
        self, bench: Bench, mail: Mailbox
    ) -> None:
        good = await self._delivered(bench, mail)
        intake = self._intake(bench)
        for body in (b"{", b"[]", json.dumps({"unknown": "shape"}).encode()):
            with pytest.raises(InvalidRequest):
                intake.read(self.signed_again(good, body))

    # --- feed ------------------------------------------------------------------------------------------------------
    @rule("feed")
    async def test_a_feed_is_read_on_from_its_position(self, bench: Bench) -> None:
        begun = await bench.connector.read_feed(None)
        assert begun.position
        entity = await self.change_something(bench)
        first = await bench.connector.read_feed(begun.position)
        again = await bench.connector.read_feed(begun.position)
        assert entity in {hint.entity for hint in first.hints}
        assert not first.was_reset
        assert {hint.key for hint in first.hints} <= {hint.key for hint in again.hints}
        rest = await bench.connector.read_feed(first.position)
        assert not {hint.key for hint in rest.hints} - {hint.key for hint in first.hints}

    @rule("feed")
    async def test_a_forgotten_position_is_answered_by_a_full_scan(self, bench: Bench) -> None:
        begun = await bench.connector.read_feed(None)
        entity = await self.change_something(bench)
        await self.lose_position(bench)
        found = await bench.connector.read_feed(begun.position)
        assert found.was_reset
        assert found.position
        assert entity in {hint.entity for hint in found.hints}

    # --- mapping ---------------------------------------------------------------------------------------------------
    @rule("schema")
    async def test_every_mapped_field_is_in_the_vendors_metadata(self, bench: Bench) -> None:
        fields = load_fields(self.folder)
        told = await bench.connector.describe(fields.objects())
        for entity, places in fields.items():
            assert places.object in told, f"{entity}: {places.object} is not described"
            names = {facts.name for facts in told[places.object]}
            paths = {path for path in places.paths() if path not in names and path.split(".")[0] not in names}
            assert not paths, f"{entity}: {places.object} has no {', '.join(sorted(paths))}"

    @rule("schema")
    async def test_what_is_written_covers_what_the_vendor_demands(self, bench: Bench) -> None:
        fields = load_fields(self.folder)
        told = await bench.connector.describe(fields.objects())
        given: dict[str, set[str]] = {}
        for _entity, places in fields.items():  # noqa: PERF102 - no dict
            if places.amended:
                continue
            given.setdefault(places.object, set()).update(
                part
                for place in places.places.values()
                if place.written
                for part in (place.path, place.path.split(".")[0])
            )
        for name, paths in given.items():
            demanded = {facts.name for facts in told[name] if facts.is_required and facts.is_writable}
            assert not paths or demanded <= paths, f"{name}: never given {', '.join(sorted(demanded - paths))}"

    @rule("overrides")
    async def test_a_tenants_own_field_takes_the_place_of_the_standard_one(self, bench: Bench, tmp_path: Path) -> None:
        moved = self.moved(bench)
        assert moved is not None, "no field of a tenant's own: exempt the rule"
        await moved.prepare()
        document = {moved.entity: {moved.name: {"path": moved.path, "values": dict(moved.values)}}}
        file = tmp_path / "own.yaml"
        file.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
        async with self._opened(replace(bench.binding, overrides=file)) as connector:
            assert await moved.read(connector) == moved.expected
