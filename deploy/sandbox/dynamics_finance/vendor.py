"""How an installation takes Dynamics 365 Finance in."""

from __future__ import annotations

import secrets
from typing import ClassVar

import httpx

from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm, Login
from deploy.sandbox.dynamics_finance.simulator import TENANT, simulator
from deploy.sandbox.dynamics_finance.tokens import Application
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, Role, SandboxVendor

_SECRET_BYTES = 30


class DynamicsFinance(SandboxVendor):
    """An environment with two applications: that of the connector, and that of the firm's own loader."""

    name: ClassVar[str] = "dynamics_finance"
    plays: ClassVar[tuple[Role, ...]] = ("erp",)
    pushes: ClassVar[bool] = True

    def generate(self) -> dict[str, str]:
        """Ids and secrets of both applications."""
        return {
            "client_id": f"throughline-{secrets.token_hex(4)}",
            "client_secret": secrets.token_urlsafe(_SECRET_BYTES),
            "loader_id": f"loader-{secrets.token_hex(4)}",
            "loader_secret": secrets.token_urlsafe(_SECRET_BYTES),
            "webhook_secret": secrets.token_urlsafe(_SECRET_BYTES),
        }

    def simulator(self, kept: Kept) -> Simulator:
        """An empty environment that knows both."""
        known = (
            Application(kept["client_id"], kept["client_secret"], "high"),
            Application(kept["loader_id"], kept["loader_secret"], "low"),
        )
        return simulator(applications={one.client_id: one for one in known})

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """The simulator is its own Entra."""
        return {
            "base_url": base_url,
            "login_url": base_url,
            "tenant_id": TENANT,
            "client_id": kept["client_id"],
            "package_poll_seconds": "0.02",
        }

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The application's secret, and that of the relay of business events."""
        return {"client_secret": kept["client_secret"], "webhook_secret": kept["webhook_secret"]}

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> DynamicsFinanceFirm:
        """Finance works as the loader."""
        return DynamicsFinanceFirm(base_url, http, Login(TENANT, kept["loader_id"], kept["loader_secret"]))


VENDOR = DynamicsFinance()
