"""How an installation takes Salesforce in."""

from __future__ import annotations

import secrets

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, SandboxVendor
from deploy.sandbox.salesforce.firm import SalesforceFirm
from deploy.sandbox.salesforce.org import INTEGRATION_USER
from deploy.sandbox.salesforce.sessions import Client
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT, simulator


class Salesforce(SandboxVendor):
    """The org of the firm's sales people; whoever loads data keeps the demonstration login."""

    name = "salesforce"
    plays = ("crm",)
    pushes = True

    def generate(self) -> dict[str, str]:
        """The external client app of the connector, and what signs its webhooks."""
        return {
            "client_id": f"3MVG9{secrets.token_hex(20)}",
            "client_secret": secrets.token_hex(32).upper(),
            "webhook_secret": secrets.token_urlsafe(32),
        }

    def simulator(self, kept: Kept) -> Simulator:
        """A new org that knows the app."""
        app = Client(kept["client_id"], kept["client_secret"], INTEGRATION_USER, users=frozenset({INTEGRATION_USER}))
        return simulator(clients=(app, LOADER_CLIENT))

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where the org is, and the app's consumer key; it is near, so its streams are not waited for long."""
        return {"base_url": base_url, "client_id": kept["client_id"], "feed_wait_seconds": "0.2"}

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The app's secret and the webhooks'."""
        return {"client_secret": kept["client_secret"], "webhook_secret": kept["webhook_secret"]}

    def crm(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> SalesforceFirm:
        """The firm's people."""
        del kept
        return SalesforceFirm(base_url, http)


VENDOR = Salesforce()
