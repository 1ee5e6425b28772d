"""The conformance suite every connector's test class inherits; it knows the ports and the simulator kit, no vendor.

A subclass is named `Test<Vendor>`, sets the class attributes, writes the hooks (`hooks.py`). `conformance.yaml` in the
connector's folder scores every rule: `simulated`, `{verified: date}` or `{exempt: reason}`; exempt rules are skipped.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.sandbox.catalog import vendor
from deploy.sandbox.kit.deliveries import Subscription
from deploy.sandbox.kit.faults import FaultKind
from shared.errors.taxonomy import (
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    NotAuthenticated,
    OutcomeUnknown,
    PlatformError,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorTrouble,
    VendorUnavailable,
)
from system_apis.fields import load_fields
from system_apis.manifest import load_manifest
from system_apis.ports.acts import READING, acts_of
from system_apis.ports.changes import WebhookDelivery, WebhookIntake
from system_apis.schema_drift import DriftKind, drift_findings, kinds_of
from system_apis.scorecard import load_scorecard
from tests.conformance.port_rules import PortRules
from tests.conformance.scenarios import (
    WEBHOOK_SECRET,
    Bench,
    Drift,
    Moved,
    PagedRead,
    Removed,
    Variant,
    Write,
    rule,
)
from tests.conformance.served import Mailbox, Serve, free_port

__all__ = ["WEBHOOK_SECRET", "Bench", "ConformanceSuite", "Drift", "Moved", "PagedRead", "Removed", "Variant", "Write"]
ADDRESS = "http://127.0.0.1:9/vendor"


class ConformanceSuite(PortRules):
    """Inherit, set the class attributes, write the hooks."""

    # --- facts -----------------------------------------------------------------------------------------------------
    @rule("manifest")
    def test_the_manifest_loads_and_tells_of_every_act(self) -> None:
        manifest = load_manifest(self.folder)
        can = {f"{entity}.{verb}" for entity, verbs in manifest.can.items() for verb in verbs}
        assert not can & set(manifest.cannot), "declared both as can and as cannot"
        acts = {act for role in manifest.plays for act in acts_of(role)} | {"changes.list_changes", "schema.describe"}
        untold = sorted(acts - can - set(manifest.cannot))
        assert not untold, f"manifest.yaml: {', '.join(untold)}: say under can or, with the reason, under cannot"

    @rule("manifest")
    async def test_every_method_of_its_ports_is_there(self) -> None:
        manifest = load_manifest(self.folder)
        module = importlib.import_module(f"system_apis.connectors.{self.folder.name}.connector")
        connector = module.open_connector(self.binding(ADDRESS))
        try:
            ports = {role: getattr(connector, "for_role", lambda _: connector)(role) for role in manifest.plays}
            absent = [
                f"{role}: {name}" for role, one in ports.items() for name in _lacking(one, acts_of(role).values())
            ]
            absent += _lacking(connector, ["ping", "aclose", "list_changes", "describe"])
            assert not absent, f"also what stands under cannot has its method, an empty list for one: {absent}"
            feeds = "read_feed" in manifest.can["changes"]
            assert feeds == hasattr(connector, "read_feed"), "changes: read_feed is told exactly where there is one"
        finally:
            await connector.aclose()

    @rule("manifest")
    def test_what_the_connector_is_given_stands_in_the_manifest(self) -> None:
        manifest = load_manifest(self.folder)
        known = self.binding(ADDRESS)
        given = {"the hook binding": (dict(known.settings), dict(known.secrets))}
        given |= {f"the variant {name}": (dict(one.settings), {}) for name, one in self.variants.items()}
        player = vendor(self.folder.name)
        kept = player.generate()
        given["vendor.py"] = (player.settings(ADDRESS, kept), player.secrets(kept))
        for source, (settings, secrets) in given.items():
            strange = sorted(settings.keys() - manifest.settings.keys())
            assert not strange, f"{source} gives settings that manifest.yaml does not declare: {', '.join(strange)}"
            strange = sorted(secrets.keys() - set(manifest.secrets))
            assert not strange, f"{source} gives secrets that manifest.yaml does not declare: {', '.join(strange)}"
        assert set(player.plays) == set(manifest.plays), "vendor.py and manifest.yaml name other roles"

    @rule("repeat_declared")
    def test_every_write_declares_how_a_repeat_is_recognised_and_has_a_scenario(self) -> None:
        manifest = load_manifest(self.folder)
        acts = {f"{entity}.{verb}" for entity, verbs in manifest.can.items() for verb in verbs}
        writes = {act for act in acts if act.partition(".")[2] not in READING}
        _same(writes, set(manifest.repeat), "repeat in manifest.yaml, for every act of can that writes")
        _same(writes, set(self.writes), "`writes` of the test class, with a scenario each in the hook `write`")

    def test_every_rule_is_done_or_exempt_with_a_reason(self) -> None:
        tests = (getattr(self, name) for name in dir(type(self)) if name.startswith("test_"))
        known = {name for test in tests if (name := getattr(test, "rule", None))}
        card = load_scorecard(self.folder)
        _same(known, set(card.rules), "rules in conformance.yaml: simulated, or {exempt: <why it does not apply>}")
        drafted = [name for name, score in card.rules.items() if not score.is_settled]
        assert not drafted, f"conformance.yaml: still drafted: {', '.join(drafted)}"

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
            assert drift.field.lower() in _told(caught.value)
            assert self.folder.name in _told(caught.value)

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

    @rule("removed_field")
    async def test_a_mapped_field_that_is_removed_is_found(self, bench: Bench) -> None:
        removed = self.removed(bench)
        fields = load_fields(self.folder)
        before = kinds_of(await bench.connector.describe(fields.objects()))
        await removed.remove()
        found = drift_findings(fields, await bench.connector.describe(fields.objects()), before)
        assert {(one.entity, one.field, one.kind) for one in found} == {
            (removed.entity, removed.name, DriftKind.FIELD_MISSING)
        }

    @rule("removed_field")
    async def test_whoever_needs_a_removed_field_is_told_which(self, bench: Bench) -> None:
        removed = self.removed(bench)
        path = load_fields(self.folder)[removed.entity].path(removed.name)
        for use in removed.uses.values():
            await use()
        await removed.remove()
        assert removed.uses
        for called, use in removed.uses.items():
            told = await _refusal(use)
            assert told, f"{called} does without {path}"
            assert path.lower() in told, f"{called}: {told}"
            assert self.folder.name in told, f"{called}: {told}"
        if removed.give_back:
            await removed.give_back()
            for use in removed.uses.values():
                await use()

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


def _same(due: set[str], told: set[str], where: str) -> None:
    missing, strange = sorted(due - told), sorted(told - due)
    assert not missing, f"missing: {', '.join(missing)}; they belong to {where}"
    assert not strange, f"not known: {', '.join(strange)}; they stand in {where}"


async def _refusal(use: Callable[[], Awaitable[object]]) -> str:
    try:
        await use()
    except (VendorDrift, VendorRejected, Misconfigured) as error:
        return _told(error)
    return ""


def _told(error: PlatformError) -> str:
    return " ".join([error.message, error.detail or "", *(finding.field for finding in error.findings)]).lower()


def _lacking(connector: object, names: Iterable[str]) -> list[str]:
    return [name for name in names if not callable(getattr(connector, name, None))]
