"""Small portals for tests, made over the vendor's wire, and how the connector is bound to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from deploy.sandbox.hubspot.firm import HubspotFirm
from deploy.sandbox.hubspot.session import HubspotSession
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP
from deploy.sandbox.hubspot.vendor import CONTRACT_TYPE, WEBHOOK_URL
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.small_firm import Tables


@asynccontextmanager
async def firm_wire(base_url: str) -> AsyncGenerator[HubspotFirm]:
    """The firm's people, at the portal there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield HubspotFirm(base_url, client)


@asynccontextmanager
async def people_wire(base_url: str) -> AsyncGenerator[HubspotSession]:
    """Calls by people, to the portal there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield HubspotSession(base_url, client)


async def load(base_url: str, given: Tables) -> str:
    """A firm with its deals won; the record id of the first."""
    async with firm_wire(base_url) as firm:
        await firm.load(given)
        await firm.close(given["opportunities"])
        return (await firm.read_deals())["D0000"].record_id


def binding_for(base_url: str, **settings: str) -> Binding:
    """The connector as an installed app."""
    return Binding(
        tenant="harbour",
        system="hubspot",
        settings={
            "base_url": base_url,
            "auth_flow": "refresh_token",
            "client_id": CONNECTOR_APP.client_id,
            "webhook_url": WEBHOOK_URL,
            "contract_type_id": CONTRACT_TYPE,
            "requests_per_ten_seconds": "5000",
            "searches_per_second": "1000",
            "pause_seconds": "0.02",
            **settings,
        },
        secrets={
            "client_secret": CONNECTOR_APP.client_secret,
            "refresh_token": CONNECTOR_APP.refresh_token,
            "access_token": CONNECTOR_APP.token,
            "webhook_secret": WEBHOOK_SECRET,
        },
    )
