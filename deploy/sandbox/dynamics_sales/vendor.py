"""How an installation takes Dynamics 365 Sales in."""

from __future__ import annotations

import secrets
from uuid import uuid4

import httpx

from deploy.sandbox.dynamics_sales.firm import DataverseFirm
from deploy.sandbox.dynamics_sales.simulator import INTEGRATION_USER, KEY_HEADER, LOADER_APP, simulator
from deploy.sandbox.dynamics_sales.tokens import App
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, SandboxVendor


class DynamicsSales(SandboxVendor):
    """The environment of the firm's sales people; whoever loads data keeps the demonstration login."""

    name = "dynamics_sales"
    plays = ("crm",)
    pushes = True

    def generate(self) -> dict[str, str]:
        """The Entra tenant, the connector's app registration, and the key of its webhooks."""
        return {
            "tenant_id": str(uuid4()),
            "client_id": str(uuid4()),
            "client_secret": secrets.token_urlsafe(30),
            "webhook_secret": secrets.token_urlsafe(32),
        }

    def simulator(self, kept: Kept) -> Simulator:
        """A new environment that knows the app."""
        app = App(kept["client_id"], kept["client_secret"], INTEGRATION_USER)
        return simulator(apps=(app, LOADER_APP), tenant_id=kept["tenant_id"])

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where environment and Entra are, and who the app is."""
        return {
            "base_url": base_url,
            "login_url": base_url,
            "tenant_id": kept["tenant_id"],
            "client_id": kept["client_id"],
            "webhook_header": KEY_HEADER,
        }

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The app's secret and the webhooks' key."""
        return {"client_secret": kept["client_secret"], "webhook_secret": kept["webhook_secret"]}

    def crm(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> DataverseFirm:
        """The firm's people."""
        return DataverseFirm(base_url, http, kept["tenant_id"])


VENDOR = DynamicsSales()
