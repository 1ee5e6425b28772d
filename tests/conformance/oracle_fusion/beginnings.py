"""Steps that several tests begin with."""

from __future__ import annotations

from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector
from tests.conformance.erp_firm import contract, customer, plan
from tests.conformance.served import Sandbox


def switch(fusion: Sandbox, **values: object) -> None:
    assert fusion.simulator.configure
    fusion.simulator.configure(values)


async def set_up(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())
