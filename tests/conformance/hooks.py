"""The hooks a vendor's test class writes, and the machinery that opens connectors on served simulators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Subscription, standard_webhooks
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookDelivery, WebhookIntake
from system_apis.scorecard import load_scorecard
from tests.conformance.scenarios import WEBHOOK_SECRET, Bench, Drift, Moved, PagedRead, Removed, Variant, Write
from tests.conformance.served import Sandbox, Serve


class Hooks(ABC):
    """Inherit, set the class attributes, write the hooks."""

    folder: ClassVar[Path]
    writes: ClassVar[tuple[str, ...]]  # `<entity>.<verb>` as in the manifest's `can`
    read_route: ClassVar[str]  # finds the vendor calls that `plain_read` makes
    token_route: ClassVar[str] = "^$"  # finds the vendor calls that get a session; nothing for static tokens
    variants: ClassVar[Mapping[str, Variant]] = {"documented": Variant()}  # every rule is shown with each of them
    tick: ClassVar[float] = 0.02  # seconds after which a change has another instant at this vendor
    reach: ClassVar[timedelta] = timedelta(seconds=1)  # how far before `modified_since` a list may begin
    overlap: ClassVar[timedelta] = timedelta(hours=1)  # how far before `since` a poll of changes may begin
    absent_ref: ClassVar[str] = "999999999"  # an id the vendor could give, of a record that is not there

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

    async def touch(self, bench: Bench) -> None:
        """Change (or make) one record, so that a list of `paged_reads` tells it after those that it told before."""
        await self.change_something(bench)

    def intake(self, binding: Binding) -> WebhookIntake | None:
        """The webhook intake, where the vendor can push."""
        del binding
        return None

    def signed_again(self, delivery: WebhookDelivery, body: bytes) -> WebhookDelivery:
        """The delivery with another body, properly signed; Standard Webhooks unless the vendor has a way of its own."""
        target = Subscription(url="http://127.0.0.1/hook", secret=WEBHOOK_SECRET)
        headers = {**delivery.headers, **standard_webhooks(target, delivery.headers["webhook-id"], body)}
        return WebhookDelivery(headers, body, delivery.received_at)

    def changed_at(self, item: Any) -> datetime:
        """When an item of a list changed, by which the list is ordered."""
        moment = item.source.modified_at
        assert moment is not None, f"{type(item).__name__} does not say when it changed: fill source.modified_at"
        return moment

    def moved(self, bench: Bench) -> Moved | None:
        """A custom field of a tenant's own; None: exempt the rule `overrides`."""
        del bench
        return None

    @abstractmethod
    def removed(self, bench: Bench) -> Removed:
        """A mapped field that an administrator can take away; a vendor without such a field exempts the rule."""

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
        request.getfixturevalue("short_pauses")
        variant = self.variants[getattr(request, "param", next(iter(self.variants)))]
        sandbox = await serve(self.simulator())
        assert sandbox.simulator.name == self.folder.name, "Simulator.name must be the folder's name"
        if variant.switches:
            assert sandbox.simulator.configure is not None
            sandbox.simulator.configure(dict(variant.switches))
        known = self.binding(sandbox.base_url)
        binding = replace(known, settings={**known.settings, **variant.settings})
        seeded = await self.prepare(sandbox)
        async with self._opened(binding) as connector:
            yield Bench(sandbox, connector, binding, seeded)
