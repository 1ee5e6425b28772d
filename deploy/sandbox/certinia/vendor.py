"""How an installation takes Certinia PSA in."""

from __future__ import annotations

import secrets

import httpx

from deploy.sandbox.certinia.firm import CertiniaFirm
from deploy.sandbox.certinia.simulator import simulator
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, SandboxVendor
from deploy.sandbox.salesforce.org import INTEGRATION_USER
from deploy.sandbox.salesforce.sessions import Client
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT


class Certinia(SandboxVendor):
    """The org of the firm's delivery; whoever loads data keeps the demonstration login."""

    name = "certinia"
    plays = ("psa",)

    def generate(self) -> dict[str, str]:
        """The external client app of the connector."""
        return {"client_id": f"3MVG9{secrets.token_hex(20)}", "client_secret": secrets.token_hex(32).upper()}

    def simulator(self, kept: Kept) -> Simulator:
        """A new org that knows the app."""
        app = Client(kept["client_id"], kept["client_secret"], INTEGRATION_USER, users=frozenset({INTEGRATION_USER}))
        return simulator(clients=(app, LOADER_CLIENT))

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where the org is, and the app's consumer key; it is near, so its streams are not waited for long."""
        return {"base_url": base_url, "client_id": kept["client_id"], "feed_wait_seconds": "0.2"}

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The app's secret."""
        return {"client_secret": kept["client_secret"]}

    def psa(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> CertiniaFirm:
        """The firm's people."""
        del kept
        return CertiniaFirm(base_url, http)


VENDOR = Certinia()
