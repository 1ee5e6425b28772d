"""S/4HANA in an installation of the sandbox: its secrets, its simulator, the tenant's binding, the firm's people."""

from __future__ import annotations

import secrets
from typing import ClassVar

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import ErpFirm
from deploy.sandbox.kit.vendor import Kept, Role, SandboxVendor
from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.sessions import CommunicationUser
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER, FIRM_USER, simulator


class S4Hana(SandboxVendor):
    """SAP S/4HANA Cloud."""

    name: ClassVar[str] = "s4hana"
    plays: ClassVar[tuple[Role, ...]] = ("erp",)
    pushes: ClassVar[bool] = True

    def generate(self) -> dict[str, str]:
        """Passwords of the two communication users, and what forwarded events are signed with."""
        names = ("connector_password", "firm_password", "webhook_secret")
        return {name: secrets.token_urlsafe(24) for name in names}

    def simulator(self, kept: Kept) -> Simulator:
        """An empty tenant that knows the two users."""
        connector = CommunicationUser(CONNECTOR_USER.name, kept["connector_password"])
        return simulator(users=(connector, self._people(kept)))

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """The connector comes with Basic, as communication arrangements are made by default."""
        del kept
        return {"base_url": base_url, "user": CONNECTOR_USER.name}

    def secrets(self, kept: Kept) -> dict[str, str]:
        """Secrets of the tenant's binding."""
        return {"password": kept["connector_password"], "webhook_secret": kept["webhook_secret"]}

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> ErpFirm:
        """Finance and the bank."""
        return S4Firm(base_url, http, self._people(kept))

    @staticmethod
    def _people(kept: Kept) -> CommunicationUser:
        return CommunicationUser(FIRM_USER.name, kept["firm_password"])


VENDOR = S4Hana()
