"""Which connection to the system tier a tenant's work goes through; tokens by client credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from process_apis.systems.connectors import Connectors, ConnectorsApi
from process_apis.systems.crm import Crm, CrmApi
from process_apis.systems.erp import Erp, ErpApi
from process_apis.systems.psa import Psa, PsaApi
from process_apis.systems.wire import SystemWire
from shared.errors.taxonomy import Misconfigured
from shared.outbound import ClientCredentials, Outbound

_SCOPES = ("crm.read", "crm.write", "psa.read", "psa.write", "erp.read", "erp.write", "connectors.read")


@dataclass(frozen=True, slots=True)
class ConnectedSystems:
    """The three systems of one tenant, and what is known of them."""

    crm: Crm
    psa: Psa
    erp: Erp
    connectors: Connectors


class Systems(Protocol):
    """Finds a tenant's systems."""

    def of(self, tenant: str) -> ConnectedSystems:
        """The systems of a tenant."""
        ...

    async def aclose(self) -> None:
        """Give the connections back."""
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """An OAuth client of this tier."""

    client_id: str
    client_secret: str


class SystemDirectory:
    """Connections over HTTP, one per tenant, opened when first asked for.

    `tenant_clients` names the client whose tokens belong to a tenant. `client` serves `client_tenant` only, for the
    system tier answers with the systems of the tenant a token belongs to.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token_url: str,
        client: Credentials,
        client_tenant: str | None,
        tenant_clients: Mapping[str, Credentials] | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._base_url = base_url
        self._token_url = token_url
        own = {} if client_tenant is None else {client_tenant: client}
        self._clients = {**own, **(tenant_clients or {})}
        self._timeout = timeout
        self._open: dict[str, tuple[ConnectedSystems, list[SystemWire]]] = {}

    def of(self, tenant: str) -> ConnectedSystems:
        """The systems of a tenant. Raises Misconfigured for a tenant without a client of its own."""
        if tenant not in self._open:
            if tenant not in self._clients:
                raise Misconfigured(f"tenant_clients: there is no client for tenant {tenant}")
            self._open[tenant] = self._connect(self._clients[tenant])
        return self._open[tenant][0]

    async def aclose(self) -> None:
        """Give all connections back."""
        for _, wires in self._open.values():
            for wire in wires:
                await wire.aclose()
        self._open.clear()

    def _connect(self, client: Credentials) -> tuple[ConnectedSystems, list[SystemWire]]:
        auth = ClientCredentials(
            token_url=self._token_url,
            client_id=client.client_id,
            client_secret=client.client_secret,
            scopes=_SCOPES,
            audience="throughline-system",
        )

        def wire(kind: str) -> SystemWire:
            # A connection per kind of system: when one vendor is down, the breaker of its own connection opens only.
            outbound = Outbound(
                system=f"system-{kind}", base_url=self._base_url, auth=auth, timeout=self._timeout, is_inner=True
            )
            return SystemWire(outbound)

        crm, psa, erp, known = wire("crm"), wire("psa"), wire("erp"), wire("connectors")
        made = ConnectedSystems(crm=CrmApi(crm), psa=PsaApi(psa), erp=ErpApi(erp), connectors=ConnectorsApi(known))
        return made, [crm, psa, erp, known]
