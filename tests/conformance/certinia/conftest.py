"""Fixtures: a served org with the package, one project of ours in it, and the connector bound to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from deploy.sandbox.certinia import simulator
from shared.canonical.projects import Project
from system_apis.connectors.certinia.connector import CertiniaConnector, open_connector
from tests.conformance.certinia.orgs import Hands, binding, hands
from tests.conformance.psa_firm import USERS, plan
from tests.conformance.served import Sandbox, Serve


@dataclass(frozen=True, slots=True)
class Org:
    """A served org, who works in it, and the connector."""

    sandbox: Sandbox
    hands: Hands
    connector: CertiniaConnector

    def switch(self, **switches: object) -> None:
        """Change how the org behaves."""
        assert self.sandbox.simulator.configure is not None
        self.sandbox.simulator.configure(dict(switches))

    async def project(self, number: int = 1, **given: object) -> Project:
        """One of our projects."""
        return await self.connector.create_project(plan(number, **given))  # type: ignore[arg-type] # as plan takes them


@pytest.fixture
async def org(serve: Serve) -> AsyncIterator[Org]:
    sandbox = await serve(simulator())
    async with hands(sandbox.base_url) as people:
        await people.firm.load_users(USERS)
        connector = open_connector(binding(sandbox.base_url))
        yield Org(sandbox, people, connector)
        await connector.aclose()
