"""The NetSuite connector under the conformance suite once more, let in by token based authentication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.netsuite.signatures import ACCOUNT, new_token
from deploy.sandbox.netsuite.simulator import simulator
from shared.errors.taxonomy import CredentialsRefused
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET, Bench, Variant, rule
from tests.conformance.netsuite import test_conformance as by_certificate

TOKEN = new_token()
STRANGER = replace(TOKEN, token_secret=new_token().token_secret)


class TestNetSuiteByToken(by_certificate.TestNetSuite):
    variants: ClassVar[Mapping[str, Variant]] = {"token": Variant(settings={"auth": "token"})}

    def simulator(self) -> Simulator:
        known = by_certificate.CREDENTIALS  # the firm's people come in as ever
        return simulator(certificates={known.certificate_id: known.certificate}, access_tokens=[TOKEN])

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        token = TOKEN if is_known else STRANGER
        settings = {
            "base_url": base_url,
            "auth": "token",
            "account": ACCOUNT,
            "consumer_key": token.consumer_key,
            "token_id": token.token_id,
        }
        secrets = {
            "consumer_secret": token.consumer_secret,
            "token_secret": token.token_secret,
            "webhook_secret": WEBHOOK_SECRET,
        }
        return Binding("harbour", "netsuite", settings, secrets)

    @rule("session_refresh")
    async def test_an_expired_session_is_renewed_once(self, bench: Bench) -> None:
        """There are no sessions: nothing is fetched before or between requests, and nothing expires."""
        await self.plain_read(bench)
        fetched = bench.sandbox.calls(self.token_route)
        fault = bench.sandbox.fault(FaultKind.SESSION_EXPIRED, self.read_route)
        await self.plain_read(bench)
        assert bench.sandbox.has_struck(fault)
        assert bench.sandbox.calls(self.token_route) == fetched

    @rule("session_refresh")
    async def test_a_session_that_keeps_expiring_is_given_up(self, bench: Bench) -> None:
        """A token taken away is refused, at once: a repeat would only count as another failed login."""
        await self.plain_read(bench)
        asked = bench.sandbox.calls(self.read_route)
        switches: Any = bench.sandbox.simulator.configure
        switches({"access_tokens": []})
        with pytest.raises(CredentialsRefused):
            await self.plain_read(bench)
        assert bench.sandbox.calls(self.read_route) == asked + 1
