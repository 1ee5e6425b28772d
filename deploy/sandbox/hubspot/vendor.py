"""How an installation takes HubSpot in."""

from __future__ import annotations

import secrets

import httpx

from deploy.sandbox.hubspot.firm import HubspotFirm
from deploy.sandbox.hubspot.sessions import App
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP, PEOPLE, simulator
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, SandboxVendor

# Stands for the address that an installation puts in its place: where its intake is reached.
WEBHOOK_URL = "https://hooks.harbour.example/intake/v1/webhooks/hubspot"
CONTRACT_TYPE = "2-30000001"


class Hubspot(SandboxVendor):
    """The portal of the firm's sales people; whoever loads data keeps the demonstration token."""

    name = "hubspot"
    plays = ("crm",)
    pushes = True

    def generate(self) -> dict[str, str]:
        """The installed app of the connector, and what signs its webhooks."""
        return {
            "client_id": secrets.token_hex(18),
            "client_secret": secrets.token_hex(18),
            "refresh_token": secrets.token_urlsafe(36),
            "webhook_secret": secrets.token_urlsafe(32),
        }

    def simulator(self, kept: Kept) -> Simulator:
        """A new portal that knows the app."""
        app = App(
            CONNECTOR_APP.app_id,
            client_id=kept["client_id"],
            client_secret=kept["client_secret"],
            refresh_token=kept["refresh_token"],
            scopes=CONNECTOR_APP.scopes,
        )
        return simulator(apps=(app, PEOPLE))

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where the portal is, the app, and its limits: the sandbox enforces none unless it is told to."""
        return {
            "base_url": base_url,
            "auth_flow": "refresh_token",
            "client_id": kept["client_id"],
            "webhook_url": WEBHOOK_URL,
            "contract_type_id": CONTRACT_TYPE,
            "requests_per_ten_seconds": "20000",
            "searches_per_second": "200",
        }

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The app's secret, the refresh token of its installation, and the webhooks' secret."""
        return {name: kept[name] for name in ("client_secret", "refresh_token", "webhook_secret")}

    def crm(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> HubspotFirm:
        """The firm's people."""
        del kept
        return HubspotFirm(base_url, http)


VENDOR = Hubspot()
