"""Kantata as an installation takes it in: an administrator's token, no pushes."""

from __future__ import annotations

import secrets
from typing import ClassVar

import httpx

from deploy.sandbox.kantata.firm import KantataFirm
from deploy.sandbox.kantata.simulator import simulator
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import PsaFirm
from deploy.sandbox.kit.vendor import Kept, Role, SandboxVendor


class Kantata(SandboxVendor):
    """The PSA of the sandbox."""

    name: ClassVar[str] = "kantata"
    plays: ClassVar[tuple[Role, ...]] = ("psa",)

    def generate(self) -> dict[str, str]:
        """One token; the vendor's never expire."""
        return {"access_token": secrets.token_hex(32)}

    def simulator(self, kept: Kept) -> Simulator:
        """An empty account with that administrator."""
        return simulator(token=kept["access_token"])

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Only where it is."""
        del kept
        return {"base_url": base_url}

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The administrator's token."""
        return {"access_token": kept["access_token"]}

    def psa(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> PsaFirm:
        """The firm's people, who use the administrator's token."""
        return KantataFirm(base_url, http, token=kept["access_token"])


VENDOR = Kantata()
