"""How an installation takes a vendor in: secrets, the simulator that knows them, the tenant's binding, its people.

A vendor's folder ends in `vendor.py` with `VENDOR = <SandboxVendor>()`; nobody lists the vendors anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import CrmFirm, ErpFirm, PsaFirm

Role = Literal["crm", "psa", "erp"]
Kept = Mapping[str, str]


class SandboxVendor(ABC):
    """One vendor of the sandbox. `kept` are the secrets of this installation that `generate` made once."""

    name: ClassVar[str]
    plays: ClassVar[tuple[Role, ...]]
    pushes: ClassVar[bool] = False  # whether `deliveries` can be subscribed to (kept["webhook_secret"] signs them)

    @abstractmethod
    def generate(self) -> dict[str, str]:
        """Fresh secrets, keys and client ids of one installation."""

    def prepare(self, tell: Callable[[str], None]) -> None:
        """What must be on the machine before the sandbox starts; told step by step. Repeat: nothing more.

        Raises StartFailed of the local profile, naming what is missing.
        """
        del tell

    @abstractmethod
    def simulator(self, kept: Kept) -> Simulator:
        """An empty system that knows these secrets."""

    @abstractmethod
    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """`settings` of the tenant's binding; `base_url` is the vendor's root in the sandbox."""

    @abstractmethod
    def secrets(self, kept: Kept) -> dict[str, str]:
        """`secrets` of the tenant's binding."""

    def crm(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> CrmFirm:
        """The firm's people in this CRM."""
        del base_url, http, kept
        raise LookupError(f"{self.name} is no CRM")

    def psa(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> PsaFirm:
        """The firm's people in this PSA."""
        del base_url, http, kept
        raise LookupError(f"{self.name} is no PSA")

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> ErpFirm:
        """The firm's people in this ERP."""
        del base_url, http, kept
        raise LookupError(f"{self.name} is no ERP")
