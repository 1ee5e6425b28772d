"""How an installation takes Tryton in: a server of its own, its users' passwords, and the people in three roles."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import CrmFirm, ErpFirm, PsaFirm
from deploy.sandbox.kit.vendor import Kept, SandboxVendor
from deploy.sandbox.tryton.consultants import TrytonConsultants
from deploy.sandbox.tryton.finance import TrytonFinance
from deploy.sandbox.tryton.install import ensure
from deploy.sandbox.tryton.sales import TrytonSales
from deploy.sandbox.tryton.seed import INTEGRATION, PEOPLE
from deploy.sandbox.tryton.server import DATABASE
from deploy.sandbox.tryton.session import TrytonSession
from deploy.sandbox.tryton.simulator import NAME, Passwords, simulator


class Tryton(SandboxVendor):
    """The firm's whole suite, or any part of it."""

    name = NAME
    plays = ("crm", "psa", "erp")

    def generate(self) -> dict[str, str]:
        """The passwords of the integration user and of the people."""
        return {"password": secrets.token_urlsafe(24), "people_password": secrets.token_urlsafe(24)}

    def prepare(self, tell: Callable[[str], None]) -> None:
        """Install it, once per machine. Raises InstallFailed."""
        ensure(tell)

    def simulator(self, kept: Kept) -> Simulator:
        """A server that starts when somebody first comes."""
        return simulator(Passwords(kept["password"], kept["people_password"]))

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where the server is, its database and our user."""
        del kept
        return {"base_url": base_url, "database": DATABASE, "user": INTEGRATION}

    def secrets(self, kept: Kept) -> dict[str, str]:
        """Our user's password."""
        return {"password": kept["password"]}

    def crm(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> CrmFirm:
        """Sales people."""
        return TrytonSales(_session(base_url, http, kept))

    def psa(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> PsaFirm:
        """Consultants and their managers."""
        return TrytonConsultants(_session(base_url, http, kept))

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> ErpFirm:
        """Finance."""
        return TrytonFinance(_session(base_url, http, kept))


def _session(base_url: str, http: httpx.AsyncClient, kept: Kept) -> TrytonSession:
    return TrytonSession(base_url, http, user=PEOPLE, password=kept["people_password"])


VENDOR = Tryton()
