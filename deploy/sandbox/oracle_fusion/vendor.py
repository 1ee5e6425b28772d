"""How an installation takes this vendor in: a confidential application for the connector, a user for finance."""

from __future__ import annotations

import secrets

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.vendor import Kept, SandboxVendor
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from deploy.sandbox.oracle_fusion.simulator import simulator
from deploy.sandbox.oracle_fusion.tokens import SCOPE, Application

_CLIENT = "throughline-connector"
_FINANCE = "finance.user"


class OracleFusionVendor(SandboxVendor):
    """Oracle Fusion Cloud ERP in the sandbox."""

    name = "oracle_fusion"
    plays = ("erp",)

    def generate(self) -> dict[str, str]:
        """The application's secret and the finance user's password."""
        return {"client_secret": secrets.token_urlsafe(32), "finance_password": secrets.token_urlsafe(24)}

    def simulator(self, kept: Kept) -> Simulator:
        """An empty pod that knows both."""
        application = Application(_CLIENT, kept["client_secret"])
        return simulator(applications={_CLIENT: application}, users={_FINANCE: kept["finance_password"]})

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """The connector's settings for that pod."""
        del kept
        return {
            "base_url": base_url,
            "token_url": f"{base_url}/oauth2/v1/token",
            "client_id": _CLIENT,
            "scope": SCOPE,
            "contract_type_id": "300000000000001",
            "project_template": "TL-SERVICES",
        }

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The connector's secret."""
        return {"client_secret": kept["client_secret"]}

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> OracleFusionFirm:
        """Finance, signed in with their own user."""
        return OracleFusionFirm(base_url, http, _FINANCE, kept["finance_password"])


VENDOR = OracleFusionVendor()
